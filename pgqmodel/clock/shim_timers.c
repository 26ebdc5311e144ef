/* timerfd: a timer's descriptor is an eventfd, which is read and waited for in the same way, and one helper thread of the
   process sleeps until the earliest deadline and writes the expirations into it. The helper writes to a duplicate of its
   own: the program may close the descriptor and be given its number for another file. */
enum { TIMERS = 256 };
static struct timer { int file, copy; clockid_t clock; i64 deadline, interval; } timers[TIMERS];
static int timer_lock, helper_pid;
static u32 timer_changes;

static void lock_timers(void) {
    while (__atomic_exchange_n(&timer_lock, 1, __ATOMIC_ACQUIRE)) sched_yield();
}

static void unlock_timers(void) { __atomic_store_n(&timer_lock, 0, __ATOMIC_RELEASE); }

/* The parent goes on serving the timers that were set before a fork. */
static void forget_timers(void) {
    timer_lock = 0;
    for (int i = 0; i < TIMERS; i++) timers[i].deadline = 0;
}

static struct timer *find_timer(int file) {
    for (int i = 0; i < TIMERS; i++)
        if (timers[i].copy && timers[i].file == file) return &timers[i];
    return 0;
}

static i64 expire(struct timer *it) { /* writes what is due; the timer's next deadline */
    if (!it->copy || !it->deadline || it->deadline > page->now) return it->deadline;
    u64 times = it->interval ? (u64)((page->now - it->deadline) / it->interval) + 1 : 1;
    it->deadline = it->interval ? it->deadline + (i64)times * it->interval : 0;
    RAW(SYS_write, it->copy, &times, sizeof times, 0, 0, 0);
    return it->deadline;
}

static void *serve_timers(void *unused) {
    for (;;) {
        i64 earliest = 0;
        lock_timers();
        u32 seen = timer_changes;
        for (int i = 0; i < TIMERS; i++) {
            i64 deadline = expire(&timers[i]);
            if (deadline && (!earliest || deadline < earliest)) earliest = deadline;
        }
        unlock_timers();
        volatile struct slot *slot = self();
        if (!slot) return 0;
        wait_slot(slot, &timer_changes, seen, 0, earliest);
    }
}

static void start_helper(void) {
    if (helper_pid == page_pid) return;
    helper_pid = page_pid;
    sigset_t all, before;
    pthread_t helper;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!pthread_create(&helper, 0, serve_timers, 0)) pthread_detach(helper);
    pthread_sigmask(SIG_SETMASK, &before, 0);
}

EXPORT int timerfd_create(clockid_t clock, int flags) {
    if (!self() || !is_virtual(clock)) return (int)told(RAW(SYS_timerfd_create, clock, flags, 0, 0, 0, 0));
    _Static_assert((int)TFD_NONBLOCK == (int)EFD_NONBLOCK && (int)TFD_CLOEXEC == (int)EFD_CLOEXEC, "they have the same flags");
    int file = (int)told(RAW(SYS_eventfd2, 0, flags, 0, 0, 0, 0));
    if (file < 0) return file;
    lock_timers();
    struct timer *it = find_timer(file);
    for (int i = 0; !it && i < TIMERS; i++)
        if (!timers[i].copy) it = &timers[i];
    if (it) {
        if (it->copy) RAW(SYS_close, it->copy, 0, 0, 0, 0, 0);
        long copy = RAW(SYS_fcntl, file, F_DUPFD_CLOEXEC, 512, 0, 0, 0); /* out of the way of programs that count on low numbers */
        if (copy < 0) copy = RAW(SYS_fcntl, file, F_DUPFD_CLOEXEC, 3, 0, 0, 0);
        *it = (struct timer){.file = file, .copy = copy < 0 ? 0 : (int)copy, .clock = clock};
    }
    unlock_timers();
    if (it && it->copy) return file;
    RAW(SYS_close, file, 0, 0, 0, 0, 0);
    return (int)told(-EMFILE);
}

static struct itimerspec left_of(const struct timer *it) {
    i64 left = !it->deadline ? 0 : it->deadline > page->now ? it->deadline - page->now : 1;
    return (struct itimerspec){.it_interval = as_timespec(it->interval), .it_value = as_timespec(left)};
}

EXPORT int timerfd_settime(int file, int flags, const struct itimerspec *wanted, struct itimerspec *former) {
    lock_timers();
    struct timer *it = page ? find_timer(file) : 0;
    if (!it) {
        unlock_timers();
        return (int)told(RAW(SYS_timerfd_settime, file, flags, wanted, former, 0, 0));
    }
    if (former) *former = left_of(it);
    struct pollfd pending = {.fd = it->copy, .events = POLLIN};
    struct timespec none = {0};
    u64 dropped;
    if (RAW(SYS_ppoll, &pending, 1, &none, 0, MASK_BYTES, 0) == 1) RAW(SYS_read, it->copy, &dropped, 8, 0, 0, 0);
    const struct timespec *value = &wanted->it_value;
    it->interval = wanted->it_interval.tv_sec * SECOND + (wanted->it_interval.tv_nsec + 999) / 1000;
    if (!value->tv_sec && !value->tv_nsec) it->deadline = 0;
    else it->deadline = flags & TFD_TIMER_ABSTIME ? deadline_at(value, it->clock) : deadline_in(value->tv_sec, value->tv_nsec);
    __atomic_add_fetch(&timer_changes, 1, __ATOMIC_SEQ_CST);
    unlock_timers();
    wake_word(&timer_changes, 0, 1);
    start_helper();
    return 0;
}

EXPORT int timerfd_gettime(int file, struct itimerspec *answer) {
    lock_timers();
    struct timer *it = page ? find_timer(file) : 0;
    if (it) *answer = left_of(it);
    unlock_timers();
    return it ? 0 : (int)told(RAW(SYS_timerfd_gettime, file, answer, 0, 0, 0, 0));
}

static void close_timer(int file) {
    if (!page) return;
    lock_timers();
    struct timer *it = find_timer(file);
    if (it) {
        RAW(SYS_close, it->copy, 0, 0, 0, 0, 0);
        *it = (struct timer){0};
    }
    unlock_timers();
}

EXPORT int close(int file) {
    close_timer(file);
    return (int)told(RAW(SYS_close, file, 0, 0, 0, 0, 0));
}
