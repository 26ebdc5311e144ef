/* The clocks that a program reads. */
static int is_virtual(clockid_t id) {
    switch (id) {
    case CLOCK_REALTIME: case CLOCK_REALTIME_COARSE: case CLOCK_MONOTONIC: case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW: case CLOCK_BOOTTIME: case CLOCK_REALTIME_ALARM: case CLOCK_BOOTTIME_ALARM: case CLOCK_TAI:
        return 1;
    default:
        return 0; /* a processor's time stays real */
    }
}

static int is_wall(clockid_t id) {
    return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_REALTIME_ALARM || id == CLOCK_TAI;
}

/* What a clock of this process is ahead of `now` by, in microseconds. */
static i64 ahead(clockid_t id) { return is_wall(id) ? 0 : (i64)UPTIME_SECONDS * SECOND - page->origin; }

static struct timespec as_timespec(i64 us) {
    struct timespec answer = {.tv_sec = us / SECOND, .tv_nsec = us % SECOND * 1000};
    return answer;
}

/* The deadline in microseconds of `now` that a moment of a clock means, rounded up; 0 for the end of time. */
static i64 deadline_at(const struct timespec *until, clockid_t id) {
    if (!until || until->tv_sec > 1ll << 40) return 0;
    i64 deadline = (i64)until->tv_sec * SECOND + (until->tv_nsec + 999) / 1000 - ahead(id);
    return deadline > 0 ? deadline : 1;
}

static i64 deadline_in(i64 seconds, i64 nanoseconds) { /* a timeout from now on */
    if (seconds > 1ll << 40) return 0;
    return page->now + seconds * SECOND + (nanoseconds + 999) / 1000;
}

/* Programs ask with a timeout of 0 and go on until `now > end` (multiprocessing.connection.wait does), which a clock that
   stands still would never tell them. So the monotonic clock of a thread that has asked some times in vain, and has not
   waited, is a nanosecond ahead for every further time; too little to be seen. One that has asked very often, or that
   looks at the wall clock, is made to wait until time moves.

   Event loops (epoll) have no ticks: how often they ask depends on how fast their threads and children are, and Node
   would show the nanoseconds. */
static __thread i64 asked_at HOT;
static __thread u32 ticks HOT, asks HOT;

static void ask(int ticking) {
    volatile struct slot *slot = self();
    if (!slot) return;
    if (asked_at != page->now) asked_at = page->now, ticks = 0;
    if (++asks >= ASKS_MAX) sleep_until(slot, page->now + 1);
    else if (ticking && asks >= ASKS_MIN && ticks < 999) ticks++;
}

EXPORT int clock_gettime(clockid_t id, struct timespec *answer) {
    if (!begun) begin();
    if (page && is_virtual(id)) {
        i64 now = page->now;
        *answer = as_timespec(now + ahead(id));
        if (!is_wall(id) && asked_at == now) answer->tv_nsec += ticks;
        return 0;
    }
    if (server && server->now && id == CLOCK_REALTIME) {
        *answer = as_timespec(server->now);
        return 0;
    }
    return real_clock(id, answer);
}

EXPORT int gettimeofday(struct timeval *restrict answer, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    answer->tv_sec = now.tv_sec;
    answer->tv_usec = now.tv_nsec / 1000;
    return 0;
}

EXPORT time_t time(time_t *answer) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (answer) *answer = now.tv_sec;
    return now.tv_sec;
}

EXPORT int timespec_get(struct timespec *answer, int base) {
    if (base != TIME_UTC || clock_gettime(CLOCK_REALTIME, answer)) return 0;
    return base;
}
