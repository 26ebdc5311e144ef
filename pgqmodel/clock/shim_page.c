/* The page, and who is who in it: the processes of the tree and their threads.

   Places are given out by the parent, before a process or a thread exists: which of two newborn ones comes to run first
   then changes nothing. All of it is done with atomic operations and no lock, because any process may be killed at any
   instruction. */
static int begun, page_pid; /* page_pid: the real id of the process that `entry` is of */
static volatile struct process *entry;
static char page_variable[4096 + 32]; /* PGQMODEL_PROCESS=... as children shall have it */
static char *preload_variable;
static pthread_key_t ending;
static int has_ending;
static __thread volatile struct slot *mine HOT;

static int is_dead(u32 pid) { return RAW(SYS_kill, pid, 0, 0, 0, 0, 0) == -ESRCH; }

static u32 parent_id(void) { return (u32)RAW(SYS_getppid, 0, 0, 0, 0, 0, 0); }

static volatile struct process *make_process(u32 parent) {
    for (int round = 0; round < 2; round++)
        for (u32 i = 0; i < PROCESSES; i++) {
            volatile struct process *it = &page->processes[i];
            if (round && it->used == 1 && it->pid && is_dead(it->pid)) it->used = 0;
            if (it->used || !__sync_bool_compare_and_swap(&it->used, 0, 1)) continue;
            it->ordinal = __sync_fetch_and_add(&page->made, 1);
            it->parent = parent;
            it->threads = it->tried = it->pid = 0;
            return it;
        }
    __sync_fetch_and_add(&page->lost, 1);
    return 0;
}

static volatile struct slot *make_slot(volatile struct process *of) {
    if (!of) return 0;
    u32 place = (u32)(of - page->processes);
    for (int round = 0; round < 2; round++)
        for (u32 i = 0; i < SLOTS; i++) {
            volatile struct slot *it = &page->slots[i];
            if (round && it->thread && it->thread != (u32)BORN && is_dead(it->thread)) it->thread = 0;
            if (it->thread || !__sync_bool_compare_and_swap(&it->thread, 0, (u32)BORN)) continue;
            it->process = place;
            it->birth = of->ordinal << 32 | __sync_add_and_fetch(&of->threads, 1); /* never 0: a slot that was used shows */
            it->deadline = 0, it->drawn = 0;
            it->sequence += it->sequence & 1; /* its last thread may have been killed in a wait */
            return it;
        }
    __sync_fetch_and_add(&page->lost, 1);
    return 0;
}

static void settle(volatile struct process *process, volatile struct slot *slot) { /* they are the caller's from now */
    entry = process, mine = slot;
    page_pid = (int)RAW(SYS_getpid, 0, 0, 0, 0, 0, 0);
    if (process) process->pid = (u32)page_pid;
    if (slot) slot->thread = (u32)RAW(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

/* The entry that a parent made for this process before it was executed, if one did. */
static volatile struct process *find_process(void) {
    u32 pid = (u32)RAW(SYS_getpid, 0, 0, 0, 0, 0, 0), parent = parent_id();
    for (u32 i = 0; i < PROCESSES; i++)
        if (page->processes[i].used && page->processes[i].pid == pid) return &page->processes[i];
    for (u32 i = 0; i < PROCESSES; i++)
        if (page->processes[i].used && !page->processes[i].pid && page->processes[i].parent == parent)
            return &page->processes[i];
    return 0;
}

static volatile struct process *own(void) {
    if (!begun) begin();
    if (page && page_pid != (int)RAW(SYS_getpid, 0, 0, 0, 0, 0, 0)) { /* forked by a way that we do not see */
        volatile struct process *found = find_process();
        if (!found) found = make_process(parent_id());
        settle(found, make_slot(found));
        forget_timers();
    }
    return page ? entry : 0;
}

static volatile struct slot *self(void) {
    volatile struct process *process = own();
    if (!process || mine) return process ? mine : 0;
    if (!(mine = make_slot(process))) return 0;
    mine->thread = (u32)RAW(SYS_gettid, 0, 0, 0, 0, 0, 0);
    if (has_ending) pthread_setspecific(ending, (void *)1);
    return mine;
}

/* A thread has ended. Other keys' destructors may still wait, so the slot is given back in the last round of them. */
static void end_thread(void *rounds) {
    if ((long)rounds < 3) {
        pthread_setspecific(ending, (void *)((long)rounds + 1));
    } else if (mine) {
        volatile struct slot *slot = mine;
        mine = 0;
        slot->thread = 0;
    }
}

static void set_wake(int how) {
    u64 set = 1ull << (WAKE - 1);
    RAW(SYS_rt_sigprocmask, how, &set, 0, MASK_BYTES, 0, 0);
}

static void on_wake(int signal);

static long open_page(const char *path) {
    struct sigaction action = {.sa_handler = on_wake}; /* without SA_RESTART: it has to end the wait */
    int (*real)(int, const struct sigaction *, struct sigaction *) = next("sigaction");
    long file = RAW(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0, 0, 0);
    if (file < 0) return file;
    volatile struct page *mapped = mmap(0, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, (int)file, 0);
    RAW(SYS_close, file, 0, 0, 0, 0, 0);
    if (mapped == MAP_FAILED) return -errno;
    if (mapped->layout != LAYOUT || strlen(path) >= 4096) return -EINVAL;
    set_wake(SIG_BLOCK);
    if (real(WAKE, &action, 0)) return -errno;
    page = mapped;
    strcpy(page_variable, "PGQMODEL_PROCESS=");
    strcat(page_variable, path);
    __sync_fetch_and_add(&page->opened, 1);
    if (!has_ending) has_ending = !pthread_key_create(&ending, end_thread);
    return 0;
}

/* The places of threads that ended with the program that this process was before it was executed. */
static void free_slots(volatile struct process *of) {
    u32 place = (u32)(of - page->processes);
    for (u32 i = 0; i < SLOTS; i++)
        if (page->slots[i].thread && page->slots[i].process == place) page->slots[i].thread = 0;
}

static void begin(void) {
    begun = 1;
    const char *clock = getenv("PGQMODEL_CLOCK"), *path = getenv("PGQMODEL_PROCESS"), *preload = getenv("LD_PRELOAD");
    if (preload) preload_variable = (char *)preload - strlen("LD_PRELOAD=");
    if (path && *path) {
        if (open_page(path)) return;
        volatile struct process *found = find_process();
        if (found) free_slots(found);
        if (!found) found = make_process(parent_id());
        settle(found, make_slot(found));
    } else if (clock) {
        begin_server(clock);
    }
}

/* Addresses that chance gave find their way into hashes, and so into the order of things (Node needs them fixed). The
   kernel lays out a program when it is executed, so this one executes itself once more. */
static void fix_addresses(char **arguments, char **environment) {
    char path[32];
    long flags = RAW(SYS_personality, 0xffffffff, 0, 0, 0, 0, 0);
    long length = RAW(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", path, sizeof path, 0, 0);
    if (!entry || entry->tried || flags < 0 || flags & ADDR_NO_RANDOMIZE || length < 1) return;
    if (memmem(path, (size_t)length, "/ld-", 4)) return; /* the loader as a program: its arguments are changed by now */
    entry->tried = 1;
    prctl(PR_GET_NAME, entry->name);
    if (RAW(SYS_personality, flags | ADDR_NO_RANDOMIZE, 0, 0, 0, 0, 0) < 0) return;
    RAW(SYS_execve, "/proc/self/exe", arguments, environment, 0, 0, 0);
}

__attribute__((constructor)) static void start(int count, char **arguments, char **environment) {
    if (!begun) begin();
    if (!page) return;
    if (entry && entry->tried == 1) { /* it was executed as "exe" */
        prctl(PR_SET_NAME, entry->name);
        entry->tried = 2;
    }
    fix_addresses(arguments, environment);
    unsigned char *given = (unsigned char *)getauxval(AT_RANDOM); /* some programs take their seeds from here */
    if (given) fill(given, 16);
}

/* For a fork server: the calling process, newly forked and with one thread, goes over to a page of its own. The server
   may have a page itself; then it has fixed addresses, and so have all that it forks. 0, or -errno. */
EXPORT int pgqmodel_enter(const char *path) {
    if (!begun) begin();
    volatile struct page *former = page;
    page = 0;
    long failure = open_page(path);
    if (failure) {
        page = former;
        return (int)failure;
    }
    if (former) { /* its places there are free again */
        if (mine) mine->thread = 0;
        if (entry) entry->used = 0;
        munmap((void *)former, sizeof *page);
    }
    volatile struct process *process = make_process(parent_id());
    settle(process, make_slot(process));
    forget_timers();
    return setenv("PGQMODEL_PROCESS", path, 1);
}
