/* System calls that a program makes by number: those that we answer elsewhere, and none that would wait unseen. */
static long by_number(long number, long a, long b, long c, long d, long e, long f) {
    switch (number) {
    case SYS_clock_gettime: return clock_gettime((clockid_t)a, (struct timespec *)b);
    case SYS_gettimeofday: return gettimeofday((struct timeval *)a, (void *)b);
    case SYS_nanosleep: return nanosleep((struct timespec *)a, (struct timespec *)b);
    case SYS_clock_nanosleep: return told(any_sleep((clockid_t)a, (int)b, (struct timespec *)c, (struct timespec *)d));
    case SYS_futex: return told(any_futex(a, b, c, d, e, f));
    case SYS_getrandom: return getrandom((void *)a, (size_t)b, (unsigned)c);
    case SYS_getpid: return getpid();
    case SYS_getppid: return getppid();
    case SYS_kill: return kill((pid_t)a, (int)b);
    case SYS_tgkill: return told(raw(number, real_id((pid_t)a), b, c, 0, 0, 0));
#ifdef SYS_pidfd_open
    case SYS_pidfd_open: return told(raw(number, real_id((pid_t)a), b, 0, 0, 0, 0));
#endif
    case SYS_wait4: return wait4((pid_t)a, (int *)b, (int)c, (struct rusage *)d);
    case SYS_ppoll: return told(any_poll((struct pollfd *)a, (nfds_t)b, (struct timespec *)c, (sigset_t *)d));
    case SYS_epoll_pwait:
        return epoll_pwait((int)a, (struct epoll_event *)b, (int)c, (int)d, (sigset_t *)e);
    case SYS_epoll_pwait2:
        return epoll_pwait2((int)a, (struct epoll_event *)b, (int)c, (struct timespec *)d, (sigset_t *)e);
    case SYS_pselect6: {
        const sigset_t *const *pack = (const sigset_t *const *)f;
        return told(any_select((int)a, (fd_set *)b, (fd_set *)c, (fd_set *)d, (struct timespec *)e, pack ? *pack : 0));
    }
    case SYS_timerfd_create: return timerfd_create((clockid_t)a, (int)b);
    case SYS_timerfd_settime:
        return timerfd_settime((int)a, (int)b, (struct itimerspec *)c, (struct itimerspec *)d);
    case SYS_timerfd_gettime: return timerfd_gettime((int)a, (struct itimerspec *)b);
    case SYS_close: return close((int)a);
    case SYS_openat: return any_open((int)a, (const char *)b, (int)c, (int)d);
    case SYS_execve: return execve((const char *)a, (char *const *)b, (char *const *)c);
    case SYS_io_uring_setup: return told(-ENOSYS); /* its waits and timeouts pass us by */
#if defined(__x86_64__)
    case SYS_time: return time((time_t *)a);
    case SYS_fork: case SYS_vfork: return fork();
    case SYS_open: return any_open(AT_FDCWD, (const char *)a, (int)b, (int)c);
    case SYS_poll: return poll((struct pollfd *)a, (nfds_t)b, (int)c);
    case SYS_select: return select((int)a, (fd_set *)b, (fd_set *)c, (fd_set *)d, (struct timeval *)e);
    case SYS_epoll_wait: return epoll_wait((int)a, (struct epoll_event *)b, (int)c, (int)d);
#endif
    default: return told(raw(number, a, b, c, d, e, f));
    }
}

/* Timers that stay the kernel's: they are noted in the page, because nobody sees them from outside. */
static void note(u32 what) {
    if (own()) __sync_fetch_and_or(&page->real, what);
}

EXPORT unsigned alarm(unsigned seconds) {
    struct itimerval wanted = {.it_value.tv_sec = seconds}, former;
    if (seconds) note(REAL_ALARM);
    RAW(SYS_setitimer, ITIMER_REAL, &wanted, &former, 0, 0, 0);
    return (unsigned)(former.it_value.tv_sec + (former.it_value.tv_usec > 0));
}

EXPORT int setitimer(__itimer_which_t which, const struct itimerval *restrict wanted, struct itimerval *restrict former) {
    if (which == ITIMER_REAL && wanted && (wanted->it_value.tv_sec || wanted->it_value.tv_usec)) note(REAL_ALARM);
    return (int)told(RAW(SYS_setitimer, which, wanted, former, 0, 0, 0));
}

EXPORT int timer_create(clockid_t clock, struct sigevent *restrict event, timer_t *restrict timer) {
    int (*real)(clockid_t, struct sigevent *, timer_t *) = next("timer_create");
    if (is_virtual(clock)) note(REAL_TIMER);
    return real ? real(clock, event, timer) : (int)told(-ENOSYS);
}

EXPORT int setsockopt(int file, int level, int name, const void *value, socklen_t length) {
    const struct timeval *timeout = value;
    int timed = level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO) && length == sizeof *timeout;
    if (timed && timeout && (timeout->tv_sec || timeout->tv_usec)) note(REAL_SOCKET_TIMEOUT);
    return (int)told(RAW(SYS_setsockopt, file, level, name, value, length, 0));
}

EXPORT long syscall(long number, ...) {
    va_list rest;
    va_start(rest, number);
    long a = va_arg(rest, long), b = va_arg(rest, long), c = va_arg(rest, long), d = va_arg(rest, long);
    long e = va_arg(rest, long), f = va_arg(rest, long);
    va_end(rest);
    if (!begun) begin();
    return page ? by_number(number, a, b, c, d, e, f) : told(raw(number, a, b, c, d, e, f));
}
