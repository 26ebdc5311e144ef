/* System calls without libc: `syscall` is interposed by ourselves, and errno is not ours to change in between. */
static long raw(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
#else
#error "no system calls for this machine"
#endif
}

#define RAW(number, a, b, c, d, e, f) raw(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static long told(long result) { /* a raw result as libc tells it */
    if ((unsigned long)result < -4095ul) return result;
    errno = (int)-result;
    return -1;
}

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

static int real_clock(clockid_t id, struct timespec *answer) {
    static int (*vdso)(clockid_t, struct timespec *); /* libc's does not enter the kernel */
    if (!vdso) vdso = (int (*)(clockid_t, struct timespec *))next("clock_gettime");
    return vdso ? vdso(id, answer) : (int)told(RAW(SYS_clock_gettime, id, answer, 0, 0, 0, 0));
}

static u64 mix(u64 z) { /* SplitMix64 (Steele, Lea and Flood 2014) */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}
