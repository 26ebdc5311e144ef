/* Waits for descriptors, and sleeps.

   The call waits without a timeout and with WAKE unblocked by its own signal mask, which the kernel sets and restores
   together with the wait: WAKE comes before it, and then ends it at once, or in it. */
static __thread volatile int came HOT;

static void on_wake(int signal) { came = 1; }

static int is_ours(void) {
    int answer = came;
    came = 0;
    return answer;
}

/* Odd in a wait, even outside, even if a signal's handler has left a wait by longjmp. */
static u64 enter_wait(volatile struct slot *slot, i64 deadline, long call) {
    slot->deadline = deadline;
    slot->call = (u64)call;
    asks = 0;
    u64 sequence = (slot->sequence + 1) | 1;
    __atomic_store_n(&slot->sequence, sequence, __ATOMIC_SEQ_CST);
    return sequence;
}

static void leave_wait(volatile struct slot *slot) {
    slot->deadline = 0;
    __atomic_store_n(&slot->sequence, (slot->sequence | 1) + 1, __ATOMIC_SEQ_CST);
}

/* The mask of a wait: the caller's, or the thread's own, without WAKE. */
static void open_mask(u64 *mask, const sigset_t *wanted) {
    if (wanted) memcpy(mask, wanted, MASK_BYTES);
    else RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, mask, MASK_BYTES, 0, 0);
    *mask &= ~(1ull << (WAKE - 1));
}

/* The result of a call that waits without a timeout, or 0 if the deadline was reached first; -errno if it failed. */
static long wait_call(volatile struct slot *slot, i64 deadline, long call, long a, long b, long c, long d, long e,
                      long f) {
    u64 sequence = enter_wait(slot, deadline, call);
    long result;
    do {
        is_ours();
        result = raw(call, a, b, c, d, e, f);
        if (result == -EINTR && slot->woken == sequence) result = 0;
    } while (result == -EINTR && is_ours()); /* a WAKE for an earlier wait */
    leave_wait(slot);
    return result;
}

/* Until a deadline, or until a signal of the program comes: 0 or -EINTR. */
static long sleep_until(volatile struct slot *slot, i64 deadline) {
    u64 mask;
    open_mask(&mask, 0);
    if (deadline && deadline <= page->now) {
        ask(1);
        return 0;
    }
    return wait_call(slot, deadline, SYS_ppoll, 0, 0, 0, (long)&mask, MASK_BYTES, 0);
}

/* The loops of JVMs and of spin locks back off with short sleeps and need others to run meanwhile: those stay real, and
   count as busy. */
static int is_short(const struct timespec *length) { return !length->tv_sec && length->tv_nsec <= 1000000; }

static long any_sleep(clockid_t clock, int flags, const struct timespec *length, struct timespec *left) {
    volatile struct slot *slot = is_virtual(clock) ? self() : 0;
    int absolute = flags & TIMER_ABSTIME;
    if (!slot || (!absolute && is_short(length))) return RAW(SYS_clock_nanosleep, clock, flags, length, left, 0, 0);
    if (length->tv_nsec < 0 || length->tv_nsec > 999999999 || length->tv_sec < 0) return -EINVAL;
    i64 deadline = absolute ? deadline_at(length, clock) : deadline_in(length->tv_sec, length->tv_nsec);
    long result = sleep_until(slot, deadline);
    if (result && left && !absolute) *left = as_timespec(deadline > page->now ? deadline - page->now : 0);
    return result;
}

EXPORT int clock_nanosleep(clockid_t clock, int flags, const struct timespec *length, struct timespec *left) {
    return (int)-any_sleep(clock, flags, length, left);
}

EXPORT int nanosleep(const struct timespec *length, struct timespec *left) {
    return (int)told(any_sleep(CLOCK_MONOTONIC, 0, length, left));
}

EXPORT int usleep(useconds_t us) {
    struct timespec length = as_timespec(us);
    return nanosleep(&length, 0);
}

EXPORT unsigned sleep(unsigned seconds) {
    struct timespec length = {.tv_sec = seconds}, left = {0};
    return nanosleep(&length, &left) ? (unsigned)(left.tv_sec + (left.tv_nsec > 0)) : 0;
}

/* A timeout of 0 asks and does not wait: that is no wait of ours. */
static long asked(int asks_only, int ticking, long result) {
    if (asks_only && result) asks = 0;
    if (asks_only && !result) ask(ticking);
    return result;
}

static long any_poll(struct pollfd *files, nfds_t count, const struct timespec *timeout, const sigset_t *wanted) {
    int asks_only = timeout && !timeout->tv_sec && !timeout->tv_nsec;
    struct timespec copy = timeout ? *timeout : (struct timespec){0}; /* the kernel would write into it */
    volatile struct slot *slot = asks_only ? 0 : self();
    u64 mask;
    if (!slot) return asked(asks_only, 1, RAW(SYS_ppoll, files, count, timeout ? &copy : 0, wanted, MASK_BYTES, 0));
    open_mask(&mask, wanted);
    i64 deadline = timeout ? deadline_in(timeout->tv_sec, timeout->tv_nsec) : 0;
    return wait_call(slot, deadline, SYS_ppoll, (long)files, (long)count, 0, (long)&mask, MASK_BYTES, 0);
}

EXPORT int ppoll(struct pollfd *files, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
    return (int)told(any_poll(files, count, timeout, mask));
}

static struct timespec from_ms(int ms) { return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l}; }

EXPORT int poll(struct pollfd *files, nfds_t count, int timeout_ms) {
    struct timespec timeout = from_ms(timeout_ms);
    return (int)told(any_poll(files, count, timeout_ms < 0 ? 0 : &timeout, 0));
}

EXPORT int __poll_chk(struct pollfd *files, nfds_t count, int timeout_ms, size_t size) {
    return poll(files, count, timeout_ms);
}

static void clear(fd_set *set, int count) {
    if (set) memset(set, 0, ((size_t)count + 63) / 64 * 8);
}

static long any_select(int count, fd_set *reads, fd_set *writes, fd_set *errors, const struct timespec *timeout,
                       const sigset_t *wanted) {
    int asks_only = timeout && !timeout->tv_sec && !timeout->tv_nsec;
    struct timespec copy = timeout ? *timeout : (struct timespec){0};
    volatile struct slot *slot = asks_only ? 0 : self();
    u64 mask, *pack[2] = {wanted ? (u64 *)wanted : 0, (u64 *)MASK_BYTES};
    if (!slot) return asked(asks_only, 1, RAW(SYS_pselect6, count, reads, writes, errors, timeout ? &copy : 0, pack));
    open_mask(&mask, wanted);
    pack[0] = &mask;
    i64 deadline = timeout ? deadline_in(timeout->tv_sec, timeout->tv_nsec) : 0;
    long result = wait_call(slot, deadline, SYS_pselect6, count, (long)reads, (long)writes, (long)errors, 0, (long)pack);
    if (!result) clear(reads, count), clear(writes, count), clear(errors, count);
    return result;
}

EXPORT int pselect(int count, fd_set *reads, fd_set *writes, fd_set *errors, const struct timespec *timeout,
                   const sigset_t *mask) {
    return (int)told(any_select(count, reads, writes, errors, timeout, mask));
}

EXPORT int select(int count, fd_set *reads, fd_set *writes, fd_set *errors, struct timeval *timeout) {
    if (!timeout) return (int)told(any_select(count, reads, writes, errors, 0, 0));
    if (timeout->tv_sec < 0 || timeout->tv_usec < 0) return (int)told(-EINVAL);
    struct timespec wanted = as_timespec(timeout->tv_sec > 1ll << 40 ? 1ll << 60 : timeout->tv_sec * SECOND + timeout->tv_usec);
    i64 deadline = page ? deadline_in(wanted.tv_sec, wanted.tv_nsec) : 0;
    long result = any_select(count, reads, writes, errors, &wanted, 0);
    if (deadline) { /* Linux tells what is left; without a page it is left as it was */
        struct timespec left = as_timespec(result && deadline > page->now ? deadline - page->now : 0);
        *timeout = (struct timeval){.tv_sec = left.tv_sec, .tv_usec = left.tv_nsec / 1000};
    }
    return (int)told(result);
}

static long any_epoll(int file, struct epoll_event *events, int most, const struct timespec *timeout,
                      const sigset_t *wanted) {
    int asks_only = timeout && !timeout->tv_sec && !timeout->tv_nsec;
    volatile struct slot *slot = asks_only ? 0 : self();
    u64 mask;
    if (!slot) {
        i64 ms = timeout ? (i64)timeout->tv_sec * 1000 + (timeout->tv_nsec + 999999) / 1000000 : -1;
        ms = ms > INT32_MAX ? INT32_MAX : ms;
        return asked(asks_only, 0, RAW(SYS_epoll_pwait, file, events, most, ms, wanted, MASK_BYTES));
    }
    open_mask(&mask, wanted);
    i64 deadline = timeout ? deadline_in(timeout->tv_sec, timeout->tv_nsec) : 0;
    return wait_call(slot, deadline, SYS_epoll_pwait, file, (long)events, most, -1, (long)&mask, MASK_BYTES);
}

EXPORT int epoll_pwait(int file, struct epoll_event *events, int most, int timeout_ms, const sigset_t *mask) {
    struct timespec timeout = from_ms(timeout_ms);
    return (int)told(any_epoll(file, events, most, timeout_ms < 0 ? 0 : &timeout, mask));
}

EXPORT int epoll_wait(int file, struct epoll_event *events, int most, int timeout_ms) {
    return epoll_pwait(file, events, most, timeout_ms, 0);
}

EXPORT int epoll_pwait2(int file, struct epoll_event *events, int most, const struct timespec *timeout,
                        const sigset_t *mask) {
    return (int)told(any_epoll(file, events, most, timeout, mask));
}
