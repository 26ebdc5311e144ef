/* Processes and threads: their virtual ids, how they are made, and what they may not do to WAKE.

   getpid and getppid give virtual ids, so that they are the same in every run; no real id is as high, so kill and the
   waits take either. fork, gettid and /proc give the real ones. */
enum { REAL_IDS_END = 4194304 };

static pid_t real_id(pid_t id) { /* of a process of this tree; any other number stays as it is */
    u64 ordinal = (u64)id - (page ? page->process_id : 0);
    if (!page || id <= REAL_IDS_END) return id;
    for (u32 i = 0; i < PROCESSES; i++)
        if (page->processes[i].used && page->processes[i].pid && page->processes[i].ordinal == ordinal)
            return (pid_t)page->processes[i].pid;
    return id;
}

static pid_t real_target(pid_t id) { return id < -REAL_IDS_END ? -real_id(-id) : real_id(id); }

EXPORT pid_t getpid(void) {
    volatile struct process *process = own();
    return process ? (pid_t)(page->process_id + process->ordinal) : (pid_t)RAW(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

EXPORT pid_t getppid(void) {
    pid_t parent = (pid_t)RAW(SYS_getppid, 0, 0, 0, 0, 0, 0);
    if (own())
        for (u32 i = 0; i < PROCESSES; i++)
            if (page->processes[i].used && page->processes[i].pid == (u32)parent)
                return (pid_t)(page->process_id + page->processes[i].ordinal);
    return parent;
}

EXPORT int kill(pid_t id, int number) { return (int)told(RAW(SYS_kill, real_target(id), number, 0, 0, 0, 0)); }

EXPORT int killpg(pid_t id, int number) { return kill(-id, number); }

EXPORT pid_t wait4(pid_t id, int *status, int options, struct rusage *usage) {
    return (pid_t)told(RAW(SYS_wait4, real_target(id), status, options, usage, 0, 0));
}

EXPORT pid_t waitpid(pid_t id, int *status, int options) { return wait4(id, status, options, 0); }

EXPORT pid_t getpgid(pid_t id) { return (pid_t)told(RAW(SYS_getpgid, real_id(id), 0, 0, 0, 0, 0)); }

EXPORT pid_t getsid(pid_t id) { return (pid_t)told(RAW(SYS_getsid, real_id(id), 0, 0, 0, 0, 0)); }

EXPORT int setpgid(pid_t id, pid_t group) {
    return (int)told(RAW(SYS_setpgid, real_id(id), real_id(group), 0, 0, 0, 0));
}

struct made { void *(*run)(void *); void *argument; volatile struct slot *slot; };

static void *run_made(void *given) {
    struct made made = *(struct made *)given;
    free(given);
    mine = made.slot;
    if (mine) mine->thread = (u32)RAW(SYS_gettid, 0, 0, 0, 0, 0, 0);
    if (has_ending) pthread_setspecific(ending, (void *)1);
    return made.run(made.argument);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!real) real = next("pthread_create");
    volatile struct process *process = own();
    struct made *made = process ? malloc(sizeof *made) : 0;
    if (!made) return real(thread, attributes, run, argument);
    *made = (struct made){run, argument, make_slot(process)};
    volatile struct slot *slot = made->slot;
    int failed = real(thread, attributes, run_made, made);
    if (failed && slot) slot->thread = 0;
    if (failed) free(made);
    return failed;
}

EXPORT pid_t fork(void) {
    static pid_t (*real)(void);
    if (!real) real = next("fork");
    if (!own()) return real();
    volatile struct process *process = make_process((u32)page_pid);
    volatile struct slot *slot = make_slot(process);
    pid_t pid = real();
    if (!pid) {
        settle(process, slot);
        forget_timers();
    } else if (process && pid > 0) {
        process->pid = (u32)pid;
    } else if (process) {
        if (slot) slot->thread = 0;
        process->used = 0;
    }
    return pid;
}

EXPORT pid_t vfork(void) { return fork(); } /* a function of C cannot return twice on one stack */

/* A child needs the two variables to be one of the tree, even if its parent starts it with few or none. */
static int is_variable(const char *text, const char *name) { return !strncmp(text, name, strlen(name)); }

static size_t count_variables(char *const *given) {
    size_t count = 0;
    while (given && given[count]) count++;
    return count;
}

static char **complete(char **places, char *const *given) { /* `places` has room for two more */
    char **end = places, *preload = preload_variable;
    for (; given && *given; given++) {
        if (is_variable(*given, "PGQMODEL_PROCESS=")) continue;
        if (is_variable(*given, "LD_PRELOAD=")) {
            if (!preload_variable || strstr(*given, preload_variable + strlen("LD_PRELOAD="))) preload = *given;
            continue;
        }
        *end++ = *given;
    }
    *end++ = page_variable;
    if (preload) *end++ = preload;
    *end = 0;
    return places;
}

#define COMPLETE(given) (page ? complete(alloca((count_variables(given) + 3) * sizeof(char *)), given) : (char **)(given))

EXPORT int execve(const char *path, char *const *arguments, char *const *variables) {
    if (!begun) begin();
    return (int)told(RAW(SYS_execve, path, arguments, COMPLETE(variables), 0, 0, 0));
}

EXPORT int execv(const char *path, char *const *arguments) { return execve(path, arguments, environ); }

EXPORT int execvpe(const char *file, char *const *arguments, char *const *variables) {
    int (*real)(const char *, char *const *, char *const *) = next("execvpe");
    if (!begun) begin();
    return real(file, arguments, COMPLETE(variables));
}

EXPORT int execvp(const char *file, char *const *arguments) { return execvpe(file, arguments, environ); }

typedef int spawn(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const *,
                  char *const *);

static int any_spawn(spawn *real, pid_t *id, const char *path, const posix_spawn_file_actions_t *actions,
                     const posix_spawnattr_t *attributes, char *const *arguments, char *const *variables) {
    pid_t made = 0;
    volatile struct process *process = own() ? make_process((u32)page_pid) : 0;
    int failed = real(&made, path, actions, attributes, arguments, COMPLETE(variables));
    if (process && failed) process->used = 0;
    if (process && !failed) __sync_bool_compare_and_swap(&process->pid, 0, (u32)made);
    if (id && !failed) *id = made;
    return failed;
}

EXPORT int posix_spawn(pid_t *id, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const *arguments, char *const *variables) {
    return any_spawn((spawn *)next("posix_spawn"), id, path, actions, attributes, arguments, variables);
}

EXPORT int posix_spawnp(pid_t *id, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const *arguments, char *const *variables) {
    return any_spawn((spawn *)next("posix_spawnp"), id, file, actions, attributes, arguments, variables);
}

/* WAKE is ours: it stays blocked outside of waits, and keeps its handler. */
EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *former) {
    static int (*real)(int, const sigset_t *, sigset_t *);
    if (!real) real = next("pthread_sigmask");
    int failed = real(how, set, former);
    if (page && set && how != SIG_BLOCK) set_wake(SIG_BLOCK);
    return failed;
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *former) {
    int failed = pthread_sigmask(how, set, former);
    return failed ? (int)told(-failed) : 0;
}

EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *former) {
    static int (*real)(int, const struct sigaction *, struct sigaction *);
    if (!real) real = next("sigaction");
    if (!begun) begin();
    if (!page || number != WAKE) return real(number, action, former);
    if (former) memset(former, 0, sizeof *former);
    return 0;
}

EXPORT sighandler_t signal(int number, sighandler_t handler) {
    static sighandler_t (*real)(int, sighandler_t);
    if (!real) real = (sighandler_t(*)(int, sighandler_t))next("signal");
    if (!begun) begin();
    return page && number == WAKE ? SIG_DFL : real(number, handler);
}
