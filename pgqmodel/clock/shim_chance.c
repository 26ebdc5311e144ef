/* Random values of a worker's processes: a stream of the page's seed for each thread, so that which of two threads asks
   first changes neither's values. */
enum { DEVICE_WORDS = 8192 };

static int is_random_device(const char *path) {
    return path && (!strcmp(path, "/dev/urandom") || (page && !strcmp(path, "/dev/random")));
}

static void fill(void *bytes, size_t count) {
    volatile struct slot *slot = self();
    if (!slot) {
        RAW(SYS_getrandom, bytes, count, 0, 0, 0, 0);
        return;
    }
    u64 state = mix(page->seed) ^ mix(slot->birth + 0x9e3779b97f4a7c15ull) ^ mix(++slot->drawn << 32), word;
    for (size_t done = 0; done < count; done += sizeof word) {
        word = mix(state += 0x9e3779b97f4a7c15ull);
        memcpy((char *)bytes + done, &word, count - done < sizeof word ? count - done : sizeof word);
    }
}

/* A file with random values, long enough for programs that keep /dev/urandom open for their seeds. */
static int drawn_file(void) {
    u64 *words = mmap(0, DEVICE_WORDS * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (words == MAP_FAILED) return -1;
    fill(words, DEVICE_WORDS * 8);
    long file = RAW(SYS_memfd_create, "chance", MFD_CLOEXEC, 0, 0, 0, 0);
    if (file >= 0) RAW(SYS_pwrite64, file, words, DEVICE_WORDS * 8, 0, 0, 0);
    munmap(words, DEVICE_WORDS * 8);
    return (int)told(file);
}

EXPORT ssize_t getrandom(void *bytes, size_t count, unsigned flags) {
    if (!self()) return told(RAW(SYS_getrandom, bytes, count, flags, 0, 0, 0));
    fill(bytes, count);
    return (ssize_t)count;
}

EXPORT int getentropy(void *bytes, size_t count) {
    if (count > 256) return (int)told(-EIO);
    fill(bytes, count);
    return 0;
}

EXPORT void arc4random_buf(void *bytes, size_t count) { fill(bytes, count); }

EXPORT uint32_t arc4random(void) {
    u32 answer;
    fill(&answer, sizeof answer);
    return answer;
}

EXPORT uint32_t arc4random_uniform(uint32_t bound) {
    u64 answer;
    fill(&answer, sizeof answer);
    return bound ? (u32)(answer % bound) : 0;
}

/* A path of /proc by a virtual process id is meant to be the real one's. */
static const char *real_path(const char *path, char *place, size_t size) {
    char *rest;
    if (!page || !path || strncmp(path, "/proc/", 6)) return path;
    long id = strtol(path + 6, &rest, 10), real = id > INT32_MAX ? id : real_id((pid_t)id);
    if (real == id || strlen(rest) + 32 > size) return path;
    snprintf(place, size, "/proc/%ld%s", real, rest);
    return place;
}

static int any_open(int directory, const char *path, int flags, int mode) {
    char place[256];
    if (!begun) begin();
    path = real_path(path, place, sizeof place);
    if (page && is_random_device(path)) return drawn_file();
    if (server && server->seed && is_random_device(path)) return server_draw();
    return (int)told(RAW(SYS_openat, directory, path, flags, mode, 0, 0));
}

/* The mode is meaningless where open takes none, and then ignored. */
#define MODE(flags) \
    va_list rest; \
    va_start(rest, flags); \
    int mode = va_arg(rest, int); \
    va_end(rest);

EXPORT int open(const char *path, int flags, ...) {
    MODE(flags)
    return any_open(AT_FDCWD, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...) {
    MODE(flags)
    return any_open(AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int directory, const char *path, int flags, ...) {
    MODE(flags)
    return any_open(directory, path, flags, mode);
}

EXPORT int openat64(int directory, const char *path, int flags, ...) {
    MODE(flags)
    return any_open(directory, path, flags, mode);
}

EXPORT int __open_2(const char *path, int flags) { return any_open(AT_FDCWD, path, flags, 0); }

EXPORT int __open64_2(const char *path, int flags) { return any_open(AT_FDCWD, path, flags, 0); }

EXPORT int __openat_2(int directory, const char *path, int flags) { return any_open(directory, path, flags, 0); }

EXPORT int __openat64_2(int directory, const char *path, int flags) { return any_open(directory, path, flags, 0); }
