/* One library for two kinds of process: a Postgres server (PGQMODEL_CLOCK names its page) and the processes of a worker
   (PGQMODEL_PROCESS names theirs). Without either it changes nothing that can be seen.

   All files shim*.c are one translation unit, joined in the order of SOURCES in shim.py: a library that is loaded into
   everybody's programs exports what it interposes (EXPORT) and nothing else. It is linked with nothing: libc's names are
   found at run time, without a version, so that a glibc from 2.17 on will do.

   The page of a worker's processes. Time stands still until the controller moves `now`. A thread that would wait with a
   timeout waits without one instead, and says in its slot until when. The controller looks whether all threads are
   still, moves `now`, and ends one wait by writing its sequence number into `woken` and sending the thread WAKE. That
   signal is blocked everywhere but inside a wait, so it cannot come too early and be lost. process_clock.py has the same
   layout; LAYOUT is raised with every change. */
#define _GNU_SOURCE
#include <alloca.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define HOT __attribute__((tls_model("initial-exec")))
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

typedef int64_t i64;
typedef uint64_t u64;
typedef uint32_t u32;

enum {
    LAYOUT = 1,
    WAKE = 63, /* a real-time signal that no runtime is known to use */
    PROCESSES = 128,
    SLOTS = 1024,
    BORN = -1, /* a slot whose thread is being made */
    SECOND = 1000000,
    MASK_BYTES = 8,
    UPTIME_SECONDS = 10000, /* the monotonic clock of a process at its start */
    REAL_ALARM = 1,
    REAL_TIMER = 2,
    REAL_SOCKET_TIMEOUT = 4,
    ASKS_MIN = 10, /* asks in vain before a thread's clock moves by itself */
    ASKS_MAX = 1000, /* ... and before it has to wait */
};

struct process { /* one of the tree, by the order of their making; 64 bytes */
    u32 used;
    u32 pid; /* the real one; 0: being made */
    u32 parent; /* the real one */
    u32 threads; /* how many it has ever had */
    u32 tried; /* 1: executes itself without address randomisation; 2: did */
    u32 unused;
    u64 ordinal;
    char name[16]; /* the kernel's name for it, before that */
    u64 rest[2];
};

struct slot { /* one thread; 64 bytes */
    u32 thread; /* the real thread id; 0: free */
    u32 process; /* its place in `processes` */
    u64 birth; /* the process' ordinal << 32 | the thread's ordinal in it */
    u64 sequence; /* odd: in a wait; raised at the start and at the end of every wait */
    i64 deadline; /* in microseconds of `now`; 0: waits for an event alone */
    u64 woken; /* the sequence number of the wait that the controller ended */
    u64 call; /* the number of the system call that waits */
    u64 drawn; /* how many random values it has had */
    u64 rest;
};

struct page {
    u64 layout;
    i64 now; /* microseconds since the epoch */
    i64 origin; /* `now` at the start */
    u64 seed;
    u64 process_id; /* the first process' virtual id; the next ones count on from it */
    u32 made; /* processes ever */
    u32 opened; /* processes that have read this page; 0: the shim was never loaded */
    u32 lost; /* threads and processes for which there was no room */
    u32 real; /* which timers of the kernel a program has set: REAL_* */
    u32 rest[1024 - 14];
    struct process processes[PROCESSES];
    struct slot slots[SLOTS];
};
_Static_assert(sizeof(struct process) == 64 && sizeof(struct slot) == 64, "process_clock.py has these sizes");
_Static_assert(__builtin_offsetof(struct page, processes) == 4096, "process_clock.py has this offset");

/* shim_clock.c */
static void ask(int ticking); /* the calling thread asked without waiting, in vain */
/* shim_page.c */
static volatile struct page *page; /* 0: this process is no worker's */
static volatile struct slot *self(void); /* the calling thread's slot; 0 without a page, or without room */
static void *next(const char *name); /* libc's own function of a name that we interpose */
static void begin(void); /* reads the environment, once */
static volatile struct process *own(void); /* the calling process' entry; 0 without a page */
/* shim_wait.c */
static u64 enter_wait(volatile struct slot *slot, i64 deadline, long call);
static void leave_wait(volatile struct slot *slot);
static long sleep_until(volatile struct slot *slot, i64 deadline);
static int is_ours(void); /* whether WAKE has come since the last question */
/* shim_process.c */
static pid_t real_id(pid_t id);
/* shim_words.c */
static long wait_word(u32 *word, u32 value, int shared, const struct timespec *until, clockid_t clock);
/* shim_timers.c */
static void forget_timers(void); /* a forked process has no helper thread */
/* shim_chance.c */
static void fill(void *bytes, size_t count);
static int is_random_device(const char *path);
static int drawn_file(void);
