/* The server's clock: gettimeofday, time and CLOCK_REALTIME are answered from a mapped file; all else is real. */
typedef long long i64;
struct timeval { i64 tv_sec, tv_usec; };
struct timespec { i64 tv_sec, tv_nsec; };
extern long syscall(long, ...);
extern char *getenv(const char *);
extern int open(const char *, int, ...);
extern void *mmap(void *, unsigned long, int, int, int, i64);
#if defined(__x86_64__)
#define SYS_clock_gettime 228
#else
#define SYS_clock_gettime 113
#endif
static volatile i64 *frozen; /* microseconds since the epoch; 0: the clock runs */
__attribute__((constructor)) static void start(void) {
    const char *path = getenv("PGQMODEL_CLOCK");
    int file = path ? open(path, 0) : -1;
    void *page = file < 0 ? (void *)-1 : mmap(0, 8, 1, 1, file, 0);
    if (page != (void *)-1) frozen = page;
}
static i64 now(void) {
    struct timespec real;
    if (frozen && *frozen) return *frozen;
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
