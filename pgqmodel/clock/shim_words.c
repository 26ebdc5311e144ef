/* Waits on words of memory: futexes, condition variables, semaphores.

   The kernel waits for the program's word and the slot's `woken` at once (futex_waitv, Linux 5.16), so a WAKE that comes
   between the look at `woken` and the wait is seen by the kernel itself. An older kernel waits for the program's word
   alone; then a WAKE ends the wait only if it comes inside it, which it does where the controller has seen the thread
   still before.

   glibc's condition variables wait inside of glibc, where nothing can be interposed, so they are replaced whole: one
   word counts the signals. A waiter touches the variable no more once it is woken, because it may be freed by then. */
struct word { u64 value, address; u32 flags, rest; };

static long wait_two(u32 *word, u32 value, int shared, volatile struct slot *slot, u64 before) {
    struct word words[2] = {{value, (u64)word, FUTEX_32 | (shared ? 0 : FUTEX_PRIVATE_FLAG), 0},
                            {(u32)before, (u64)&slot->woken, FUTEX_32, 0}};
    static int old_kernel;
    long result = old_kernel ? -ENOSYS : RAW(SYS_futex_waitv, words, 2, 0, 0, 0, 0);
    if (result != -ENOSYS) return result;
    old_kernel = 1;
    return RAW(SYS_futex, word, FUTEX_WAIT | (shared ? 0 : FUTEX_PRIVATE_FLAG), value, 0, 0, 0);
}

/* 0 if the word was woken, -EAGAIN if it has another value, -ETIMEDOUT, or -EINTR. A word that was woken wins over a
   deadline: else the signal of a condition variable would be lost. */
static long wait_slot(volatile struct slot *slot, u32 *word, u32 value, int shared, i64 deadline) {
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != value) return -EAGAIN;
    if (deadline && deadline <= page->now) {
        ask(1);
        return -ETIMEDOUT;
    }
    u64 before = slot->woken, sequence = enter_wait(slot, deadline, SYS_futex);
    long result;
    if (deadline) set_wake(SIG_UNBLOCK);
    for (;;) {
        is_ours();
        result = deadline ? wait_two(word, value, shared, slot, before)
                          : RAW(SYS_futex, word, FUTEX_WAIT | (shared ? 0 : FUTEX_PRIVATE_FLAG), value, 0, 0, 0);
        if (result == 0 || __atomic_load_n(word, __ATOMIC_SEQ_CST) != value) break;
        if (slot->woken == sequence) result = -ETIMEDOUT;
        if (result == -ETIMEDOUT || (result == -EINTR && !is_ours())) break;
        if (result == -EAGAIN && slot->woken == before) break; /* the word has its old value again */
        if (result != -EINTR && result != -EAGAIN && result != 1) break;
        before = slot->woken;
    }
    if (deadline) set_wake(SIG_BLOCK);
    leave_wait(slot);
    return result == 1 ? -EAGAIN : result;
}

static long wait_word(u32 *word, u32 value, int shared, const struct timespec *until, clockid_t clock) {
    volatile struct slot *slot = self();
    if (slot) return wait_slot(slot, word, value, shared, deadline_at(until, clock));
    int operation = FUTEX_WAIT_BITSET | (shared ? 0 : FUTEX_PRIVATE_FLAG);
    if (clock == CLOCK_REALTIME) operation |= FUTEX_CLOCK_REALTIME;
    return RAW(SYS_futex, word, operation, value, until, 0, FUTEX_BITSET_MATCH_ANY);
}

static long wake_word(u32 *word, int shared, int most) {
    return RAW(SYS_futex, word, FUTEX_WAKE | (shared ? 0 : FUTEX_PRIVATE_FLAG), most, 0, 0, 0);
}

/* The futex calls that libuv, V8 and others make by themselves. */
static long any_futex(long a, long b, long c, long d, long e, long f) {
    int operation = (int)b & FUTEX_CMD_MASK, shared = !(b & FUTEX_PRIVATE_FLAG);
    const struct timespec *timeout = (const struct timespec *)d;
    volatile struct slot *slot = 0;
    if (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET) slot = self();
    if (!slot || (operation == FUTEX_WAIT_BITSET && (u32)f != FUTEX_BITSET_MATCH_ANY && !timeout))
        return raw(SYS_futex, a, b, c, d, e, f);
    i64 deadline = !timeout                   ? 0
                   : operation == FUTEX_WAIT ? deadline_in(timeout->tv_sec, timeout->tv_nsec)
                                              : deadline_at(timeout, b & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME
                                                                                              : CLOCK_MONOTONIC);
    return wait_slot(slot, (u32 *)a, (u32)c, shared, deadline);
}

struct condition { u32 signals, monotonic, shared; };

EXPORT int pthread_cond_init(pthread_cond_t *there, const pthread_condattr_t *wanted) {
    struct condition *it = (struct condition *)there;
    clockid_t clock = CLOCK_REALTIME;
    int shared = PTHREAD_PROCESS_PRIVATE;
    memset(there, 0, sizeof *there);
    if (wanted) pthread_condattr_getclock(wanted, &clock), pthread_condattr_getpshared(wanted, &shared);
    it->monotonic = clock == CLOCK_MONOTONIC;
    it->shared = shared == PTHREAD_PROCESS_SHARED;
    return 0;
}

EXPORT int pthread_cond_destroy(pthread_cond_t *there) { return 0; }

static int wake_condition(pthread_cond_t *there, int most) {
    struct condition *it = (struct condition *)there;
    int shared = (int)it->shared;
    __atomic_add_fetch(&it->signals, 1, __ATOMIC_SEQ_CST);
    wake_word(&it->signals, shared, most);
    return 0;
}

EXPORT int pthread_cond_signal(pthread_cond_t *there) { return wake_condition(there, 1); }

EXPORT int pthread_cond_broadcast(pthread_cond_t *there) { return wake_condition(there, INT32_MAX); }

static int wait_condition(struct condition *it, pthread_mutex_t *mutex, const struct timespec *until, clockid_t clock) {
    u32 seen = __atomic_load_n(&it->signals, __ATOMIC_SEQ_CST);
    int shared = (int)it->shared, failed = pthread_mutex_unlock(mutex);
    if (failed) return failed;
    long result = wait_word(&it->signals, seen, shared, until, clock);
    failed = pthread_mutex_lock(mutex);
    return result == -ETIMEDOUT ? ETIMEDOUT : failed;
}

static int is_moment(const struct timespec *until) { return until->tv_nsec >= 0 && until->tv_nsec < 1000000000; }

EXPORT int pthread_cond_wait(pthread_cond_t *there, pthread_mutex_t *mutex) {
    return wait_condition((struct condition *)there, mutex, 0, CLOCK_MONOTONIC);
}

EXPORT int pthread_cond_timedwait(pthread_cond_t *there, pthread_mutex_t *mutex, const struct timespec *until) {
    struct condition *it = (struct condition *)there;
    if (!is_moment(until)) return EINVAL;
    return wait_condition(it, mutex, until, it->monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME);
}

EXPORT int pthread_cond_clockwait(pthread_cond_t *there, pthread_mutex_t *mutex, clockid_t clock,
                                  const struct timespec *until) {
    if (!is_moment(until) || (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)) return EINVAL;
    return wait_condition((struct condition *)there, mutex, until, clock);
}

/* glibc's semaphore (since 2.21): the value in the low half of a word, the number of waiters in the high half, and
   whether it is shared. sem_post stays glibc's. */
struct semaphore { u64 value_and_waiters; int shared; };
static const u64 WAITER = 1ull << 32;

static int take(struct semaphore *it, u64 less) { /* 1 from the value, and `less` with it, if it is above 0 */
    u64 seen = __atomic_load_n(&it->value_and_waiters, __ATOMIC_SEQ_CST);
    while ((u32)seen)
        if (__atomic_compare_exchange_n(&it->value_and_waiters, &seen, seen - 1 - less, 0, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return 1;
    return 0;
}

static int wait_semaphore(sem_t *there, const struct timespec *until, clockid_t clock) {
    struct semaphore *it = (struct semaphore *)there;
    if (take(it, 0)) return 0;
    if (until && !is_moment(until)) return (int)told(-EINVAL);
    __atomic_add_fetch(&it->value_and_waiters, WAITER, __ATOMIC_SEQ_CST);
    while (!take(it, WAITER)) {
        long result = wait_word((u32 *)&it->value_and_waiters, 0, it->shared, until, clock);
        if (result != -ETIMEDOUT && result != -EINTR) continue;
        __atomic_sub_fetch(&it->value_and_waiters, WAITER, __ATOMIC_SEQ_CST);
        return (int)told(result);
    }
    return 0;
}

EXPORT int sem_wait(sem_t *there) { return wait_semaphore(there, 0, CLOCK_MONOTONIC); }

EXPORT int sem_timedwait(sem_t *there, const struct timespec *until) {
    return wait_semaphore(there, until, CLOCK_REALTIME);
}

EXPORT int sem_clockwait(sem_t *there, clockid_t clock, const struct timespec *until) {
    if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME) return (int)told(-EINVAL);
    return wait_semaphore(there, until, clock);
}
