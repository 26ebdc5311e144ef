/* A server's clock and its chance, answered from a mapped page.
   gettimeofday, time and CLOCK_REALTIME give the page's moment; /dev/urandom gives a stream of the page's seed; all
   else is real. Each session draws from a stream of its own, named by its application_name: which of two sessions is
   scheduled first then changes neither's values. The count of draws lies in the page, not in the process: a worker that
   connects again must not be given the tokens of its former life. */
typedef long long i64;
typedef unsigned long long u64;
struct timeval { i64 tv_sec, tv_usec; };
struct timespec { i64 tv_sec, tv_nsec; };
extern long syscall(long, ...);
extern char *getenv(const char *);
extern void *mmap(void *, unsigned long, int, int, int, i64);
extern char *application_name __attribute__((weak)); /* Postgres's own; other programs have none */
#if defined(__x86_64__)
enum { SYS_clock_gettime = 228, SYS_openat = 257, SYS_pwrite64 = 18, SYS_memfd_create = 319 };
#else
enum { SYS_clock_gettime = 113, SYS_openat = 56, SYS_pwrite64 = 68, SYS_memfd_create = 279 };
#endif
enum { AT_FDCWD = -100, O_RDWR = 2, PROT_READ_WRITE = 3, MAP_SHARED = 1, MFD_CLOEXEC = 1, STREAMS = 510, WORDS = 512 };
static volatile struct {
    i64 now;  /* microseconds since the epoch; 0: the clock runs */
    u64 seed; /* 0: chance is real */
    u64 drawn[STREAMS];
} *page;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("PGQMODEL_CLOCK");
    long file = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDWR, 0) : -1;
    void *mapped = file < 0 ? (void *)-1 : mmap(0, sizeof *page, PROT_READ_WRITE, MAP_SHARED, (int)file, 0);
    if (mapped != (void *)-1) page = mapped;
}

static i64 now(void) {
    struct timespec real;
    if (page && page->now) return page->now;
    syscall(SYS_clock_gettime, 0, &real);
    return real.tv_sec * 1000000 + real.tv_nsec / 1000;
}

int gettimeofday(struct timeval *answer, void *zone) {
    i64 us = now();
    answer->tv_sec = us / 1000000;
    answer->tv_usec = us % 1000000;
    return 0;
}

i64 time(i64 *answer) {
    i64 seconds = now() / 1000000;
    if (answer) *answer = seconds;
    return seconds;
}

int clock_gettime(int id, struct timespec *answer) {
    if (id != 0) return (int)syscall(SYS_clock_gettime, id, answer);
    i64 us = now();
    answer->tv_sec = us / 1000000;
    answer->tv_nsec = us % 1000000 * 1000;
    return 0;
}

static int is_urandom(const char *path) {
    const char *wanted = "/dev/urandom";
    while (*wanted && *wanted == *path) wanted++, path++;
    return *wanted == *path;
}

static u64 mix(u64 z) { /* SplitMix64 (Steele, Lea and Flood 2014) */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* A file with the next numbers of this session's stream. Whoever reads reads a few of them and closes it. */
static int draw(void) {
    u64 name = 0xcbf29ce484222325ull, state, words[WORDS]; /* FNV-1a */
    const char *letter = &application_name && application_name ? application_name : "";
    for (; *letter; letter++) name = (name ^ (unsigned char)*letter) * 0x100000001b3ull;
    state = mix(page->seed) ^ mix(name) ^ mix(++page->drawn[name % STREAMS] << 32);
    for (int i = 0; i < WORDS; i++) words[i] = mix(state += 0x9e3779b97f4a7c15ull);
    long file = syscall(SYS_memfd_create, "chance", MFD_CLOEXEC);
    if (file >= 0) syscall(SYS_pwrite64, file, words, sizeof words, 0l);
    return (int)file;
}

int open(const char *path, int flags, ...) {
    __builtin_va_list rest;
    __builtin_va_start(rest, flags);
    int mode = __builtin_va_arg(rest, int); /* meaningless where open takes none, and then ignored */
    __builtin_va_end(rest);
    if (page && page->seed && is_urandom(path)) return draw();
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
