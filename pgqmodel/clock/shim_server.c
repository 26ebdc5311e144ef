/* A server's clock and its chance, answered from a mapped page.
   gettimeofday, time and CLOCK_REALTIME give the page's moment; /dev/urandom gives a stream of the page's seed; all
   else is real. Each session draws from a stream of its own, named by its application_name: which of two sessions is
   scheduled first then changes neither's values. The count of draws lies in the page, not in the process: a worker that
   connects again must not be given the tokens of its former life. */
extern char *application_name __attribute__((weak)); /* Postgres's own; other programs have none */
enum { STREAMS = 510, WORDS = 512 };
static volatile struct {
    i64 now;  /* microseconds since the epoch; 0: the clock runs */
    u64 seed; /* 0: chance is real */
    u64 drawn[STREAMS];
} *server;

static void begin_server(const char *path) {
    long file = RAW(SYS_openat, AT_FDCWD, path, O_RDWR, 0, 0, 0);
    if (file < 0) return;
    void *mapped = mmap(0, sizeof *server, PROT_READ | PROT_WRITE, MAP_SHARED, (int)file, 0);
    if (mapped != MAP_FAILED) server = mapped;
}

/* A file with the next numbers of this session's stream. A session reads a few of them and closes it. */
static int server_draw(void) {
    u64 name = 0xcbf29ce484222325ull, state, words[WORDS]; /* FNV-1a */
    const char *letter = &application_name && application_name ? application_name : "";
    for (; *letter; letter++) name = (name ^ (unsigned char)*letter) * 0x100000001b3ull;
    state = mix(server->seed) ^ mix(name) ^ mix(++server->drawn[name % STREAMS] << 32);
    for (int i = 0; i < WORDS; i++) words[i] = mix(state += 0x9e3779b97f4a7c15ull);
    long file = RAW(SYS_memfd_create, "chance", MFD_CLOEXEC, 0, 0, 0, 0);
    if (file >= 0) RAW(SYS_pwrite64, file, words, sizeof words, 0, 0, 0);
    return (int)told(file);
}
