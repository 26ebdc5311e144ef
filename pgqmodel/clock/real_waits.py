"""System calls by number, and which of them wait for real time. Pure.

The shim makes every wait that it knows one without a timeout. A wait that still has one was made behind its back, or is
one of the short sleeps that stay real: it ends by itself, so its process is not still.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence

__all__ = ["call_name", "waits_for_real_time"]

_FUTEX_WAITS = {0, 6, 9, 11, 13}
"""FUTEX_WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI and LOCK_PI2."""
_Arguments = Sequence[int]


def _given(place: int) -> Callable[[_Arguments], bool]:
    """The call has a timeout if a pointer is not null."""
    return lambda arguments: arguments[place] != 0


def _milliseconds(place: int) -> Callable[[_Arguments], bool]:
    """The call has a timeout if an int is above 0; -1 means none."""
    return lambda arguments: 0 < arguments[place] & 0xFFFF_FFFF < 2**31


_TIMED: Mapping[str, Callable[[_Arguments], bool]] = {
    "nanosleep": lambda _: True,
    "clock_nanosleep": lambda _: True,
    "restart_syscall": lambda _: True,  # what a stopped sleep goes on as
    "futex": lambda arguments: arguments[1] & 127 in _FUTEX_WAITS and arguments[3] != 0,
    "futex_waitv": _given(3),
    "poll": _milliseconds(2),
    "ppoll": _given(2),
    "select": _given(4),
    "pselect6": _given(4),
    "epoll_wait": _milliseconds(3),
    "epoll_pwait": _milliseconds(3),
    "epoll_pwait2": _given(3),
    "rt_sigtimedwait": _given(2),
    "semtimedop": _given(3),
    "mq_timedsend": _given(4),
    "mq_timedreceive": _given(4),
    "recvmmsg": _given(4),
    "io_getevents": _given(4),
    "io_pgetevents": _given(4),
}
_NUMBERS: Mapping[str, Mapping[int, str]] = {
    "x86_64": {
        0: "read", 1: "write", 7: "poll", 23: "select", 35: "nanosleep", 42: "connect", 43: "accept", 45: "recvfrom",
        47: "recvmsg", 61: "wait4", 128: "rt_sigtimedwait", 202: "futex", 208: "io_getevents", 219: "restart_syscall",
        220: "semtimedop", 230: "clock_nanosleep", 232: "epoll_wait", 242: "mq_timedsend", 243: "mq_timedreceive",
        247: "waitid", 270: "pselect6", 271: "ppoll", 281: "epoll_pwait", 288: "accept4", 299: "recvmmsg",
        333: "io_pgetevents", 441: "epoll_pwait2", 449: "futex_waitv",
    },
    "aarch64": {
        4: "io_getevents", 22: "epoll_pwait", 63: "read", 64: "write", 72: "pselect6", 73: "ppoll", 95: "waitid",
        98: "futex", 101: "nanosleep", 115: "clock_nanosleep", 128: "restart_syscall", 137: "rt_sigtimedwait",
        182: "mq_timedsend", 183: "mq_timedreceive", 192: "semtimedop", 202: "accept", 203: "connect",
        207: "recvfrom", 212: "recvmsg", 242: "accept4", 243: "recvmmsg", 260: "wait4", 292: "io_pgetevents",
        441: "epoll_pwait2", 449: "futex_waitv",
    },
}  # fmt: skip
_HERE = _NUMBERS.get(platform.machine(), {})


def call_name(text: bytes) -> str:
    """What a thread's line of /proc/PID/task/TID/syscall says, as a name."""
    number = text.split(maxsplit=1)[0].decode()
    if number in {"running", "-1"}:
        return "its own code"
    return _HERE.get(int(number), f"system call {number}")


def waits_for_real_time(text: bytes) -> bool:
    """Whether that line is one of a wait that ends by the real clock."""
    words = text.split()
    timed = _TIMED.get(call_name(text))
    return timed is not None and timed([int(word, 16) for word in words[1:7]])
