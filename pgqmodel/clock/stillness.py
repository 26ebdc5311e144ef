"""Whether the processes of a worker are still: nobody runs, and nobody will before something comes from outside.

Only then may the next step be chosen, or time be moved. A look at the state in /proc/PID/stat is not enough: a thread
that was woken, or preempted, may show S there. The page alone is not enough either: a thread that says that it waits
may not have come to its system call yet.

The rule. Every thread is looked at twice through /proc/PID/task/TID/syscall, which says "running" of a thread that runs
or could run. At neither look does any thread run, and in between

- a thread that waits by the shim has the same sequence number in its slot. It changes whenever a wait begins or ends,
  so the thread was in this one wait all the time. It must be asleep, too: one that was woken from another processor and
  has not come onto its own one's queue (TASK_WAKING) still shows its system call, and R as its state;
- any other thread has the same `schedstat`, so that it has not run; and it is asleep (S), stopped (T), or has ended. A
  thread that waits for the disk (D), or for real time, goes on by itself.

The list of threads is read between the looks, while nobody runs, and has to be the list that was looked at. Nobody was
missed then: only a thread that runs can make another.

What is outside the process tree cannot be seen: a program that waits for the answer of a name server is called still.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

import trio

from pgqmodel.clock.process_clock import ProcessClock
from pgqmodel.clock.real_waits import call_name, waits_for_real_time
from pgqmodel.clock.thread_files import ThreadFiles, ThreadTree
from pgqmodel.errors import NoVerdictError, StuckError

__all__ = ["busy", "is_still", "wait_still"]

_PAUSE_SECONDS = 0.000_05
_PAUSE_SECONDS_MAX = 0.002
_TRIES = 3
"""A change that was seen now may be an old one: the list of threads is as it was at the look before."""
_CHANGED = "a thread has just been made or ended"
_CAP_SYS_PTRACE = 1 << 19
_RESTING = {"S", "T", "Z", "X", "I", ""}
_trees: WeakKeyDictionary[ProcessClock, dict[int, ThreadTree]] = WeakKeyDictionary()
"""The open files of each clock's processes, so that a look need not open them again."""
_Seen = dict[ThreadFiles, tuple[object, ...]]


def is_still(pid: int, clock: ProcessClock) -> bool:
    """Whether the process and all that it started are still. What is gone, ended or stopped is still."""
    return not busy(pid, clock)


def busy(pid: int, clock: ProcessClock) -> str:
    """Who of the process tree is not still, and in what, as a sentence; nothing if all are still."""
    return _busy({pid: clock})


async def wait_still(clocks: Mapping[int, ProcessClock], *, guard_seconds: float) -> None:
    """Wait until all these process trees are still at one moment; StuckError if they are not for the guard's real time.

    The kernel has no event for stillness, so this asks again and again, less and less often. It sleeps by the real
    clock and not by Trio's, because Trio's may be a virtual one.
    """
    pause, end = _PAUSE_SECONDS, time.monotonic() + guard_seconds
    await trio.lowlevel.checkpoint()
    while reason := _busy(clocks):
        if time.monotonic() > end:
            message = (
                f"a worker is not still after {guard_seconds:g} real seconds: {reason}; expected its threads to wait "
                f"for the database, a timer or a lock. Look for a busy loop there"
            )
            raise StuckError(message)
        time.sleep(pause)  # noqa: ASYNC251 - nothing else has anything to do meanwhile
        pause = min(pause * 1.5, _PAUSE_SECONDS_MAX)
        await trio.lowlevel.checkpoint()


def _busy(clocks: Mapping[int, ProcessClock]) -> str:
    """The rule, for several trees at one moment: all first looks come before all second ones."""
    trees = [(_tree(pid, clock), clock) for pid, clock in clocks.items()]
    reason = ""
    try:
        for _ in range(_TRIES):
            if (reason := _once(trees)) != _CHANGED:
                return reason
    except PermissionError:
        _check_permission()
        return "a program is just being executed, or belongs to another user"
    return reason


def _once(trees: Sequence[tuple[ThreadTree, ProcessClock]]) -> str:
    first = [_look(tree, clock) for tree, clock in trees]
    for seen in first:
        if isinstance(seen, str):
            return seen
    updated = [tree.update() for tree, _ in trees]
    if not all(updated):
        return _CHANGED
    for (tree, clock), before in zip(trees, first, strict=True):
        seen = _look(tree, clock)
        if isinstance(seen, str):
            return seen
        if seen != before:
            return f"a thread of process {tree.pid} has just run"
    return ""


def _tree(pid: int, clock: ProcessClock) -> ThreadTree:
    trees = _trees.setdefault(clock, {})
    if pid not in trees:
        trees[pid] = ThreadTree(pid)
        trees[pid].update()
        clock.closing(trees[pid].close)
    return trees[pid]


def _look(tree: ThreadTree, clock: ProcessClock) -> _Seen | str:
    """What shows of each thread whether it has run; or who is busy, as a sentence."""
    sequences, seen = clock.sequences(), _Seen()
    for files in tree:
        text = files.read("syscall")
        if text.startswith(b"running"):
            return _sentence(files, "runs")
        sequence = sequences.get(files.thread, 0)
        state = files.state()
        if sequence % 2 and text and text[:2] != b"-1" and state in _RESTING:
            seen[files] = text, sequence
            continue
        if state not in _RESTING:
            return _sentence(files, f"is in state {state}, in {call_name(text)}" if text else f"is in state {state}")
        if text and state == "S" and (text[:2] == b"-1" or waits_for_real_time(text)):
            return _sentence(files, f"waits by the real clock, in {call_name(text)}")
        seen[files] = text, files.read("schedstat"), state
    return seen


def _sentence(files: ThreadFiles, what: str) -> str:
    name = files.read("comm").decode(errors="replace").strip()
    return f"thread {files.thread} ({name}) of process {files.process} {what}"


def _check_permission() -> None:
    """Raise if this kernel lets nobody of our rights look at a thread's system call; not if one process is hidden."""
    if not Path("/proc/self/syscall").exists():
        message = (
            "this kernel has no /proc/PID/syscall, so nobody can tell when a worker is still; expected Linux with it. "
            "Use another sandbox: gVisor and some hardened kernels have none"
        )
        raise NoVerdictError(message)
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    rights = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff:"))
    allowed = int(rights.split()[1], 16) & _CAP_SYS_PTRACE
    if not allowed and scope.exists() and int(scope.read_text()) > 1:
        message = (
            f"user {os.geteuid()} may not read /proc/PID/syscall, so nobody can tell when a worker is still; expected "
            f"kernel.yama.ptrace_scope to be 0 or 1. Run `sysctl kernel.yama.ptrace_scope=1`, or give the container "
            f"the capability SYS_PTRACE"
        )
        raise NoVerdictError(message)
