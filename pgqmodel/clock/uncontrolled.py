"""What the clock of a worker does not control: programs without the shim, waits behind its back, talk to strangers.

A report of a check lists these sentences. None of them is a finding about the queue; each is a reason why the same seed
may not give the same story.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import struct
from collections.abc import Collection, Iterator
from pathlib import Path

from pgqmodel.clock.process_clock import ProcessClock
from pgqmodel.clock.real_waits import call_name, waits_for_real_time
from pgqmodel.clock.thread_files import ThreadTree

__all__ = ["uncontrolled"]

_REAL_TIMERS = ("an alarm (setitimer)", "a timer (timer_create)", "a socket's timeout (SO_RCVTIMEO or SO_SNDTIMEO)")
_LISTENS = "0A"
_SOCK_DIAG = 4
"""The netlink family that knows the other end of a Unix socket, and its one request."""
_DIAG_BY_FAMILY = 20
_DONE, _ERROR = 3, 2
_ROOT_AND_MATCH = 0x300
_SHOW_NAME, _SHOW_PEER = 1, 4
_NAME, _PEER = 0, 2


def uncontrolled(pid: int, clock: ProcessClock, addresses: Collection[str] = ()) -> tuple[str, ...]:
    """What cannot be controlled in a process tree, in sentences; nothing if all can.

    `addresses` are those to which it may talk: paths of Unix sockets, or `127.0.0.1:5432`.
    """
    tree = ThreadTree(pid)
    try:
        tree.update()
        found = [*_programs(tree, clock), *_threads(tree, clock), *_talk(tree, addresses)]
    finally:
        tree.close()
    return tuple(found)


def _programs(tree: ThreadTree, clock: ProcessClock) -> Iterator[str]:
    known, inside = {*clock.process_ids().values()}, dict.fromkeys(files.process for files in tree)
    if not clock.opened:
        yield f"{clock.name} never loaded the clock's shim: it is a static program (Go), or has more rights than we"
        return
    for process in inside:
        if process not in known and _name(process):
            yield f"process {process} ({_name(process)}) never loaded the clock's shim: its time and chance are real"
    for process in sorted(known - {*inside}):
        if _has_page(process, clock):
            yield f"process {process} ({_name(process)}) left the process tree: nobody can tell when it is still"
    for bit, what in enumerate(_REAL_TIMERS):
        if clock.real_timers >> bit & 1:
            yield f"{clock.name} has set {what}, which ends by the real clock"
    if clock.lost:
        yield f"{clock.lost} threads or processes found no room in the page of {clock.name}: their time is real"


def _threads(tree: ThreadTree, clock: ProcessClock) -> Iterator[str]:
    slots = clock.slots()
    for files in tree:
        with contextlib.suppress(PermissionError):
            text = files.read("syscall")
            waits = slots[files.thread].sequence % 2 if files.thread in slots else 0
            if text and not waits and text[0] != ord("r") and waits_for_real_time(text):
                name = files.read("comm").decode(errors="replace").strip()
                who = f"thread {files.thread} ({name}) of process {files.process}"
                yield f"{who} waits by the real clock, in {call_name(text)}"


def _name(process: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _has_page(process: int, clock: ProcessClock) -> bool:
    """Whether a process has the page open: its id may be another's by now."""
    with contextlib.suppress(OSError):
        return str(clock.file.resolve()) in Path(f"/proc/{process}/maps").read_text(encoding="utf-8", errors="replace")
    return False


def _talk(tree: ThreadTree, addresses: Collection[str]) -> Iterator[str]:
    """Connections to other addresses than the given ones, and to Unix sockets outside the tree."""
    own = {process: _sockets(process) for process in dict.fromkeys(files.process for files in tree)}
    everything = set[int]().union(*own.values())
    unix = _unix_sockets() if everything else {}
    for process, inodes in own.items():
        others = {peer for inode, peer in _internet(process) if inode in inodes}
        for inode in inodes & unix.keys():
            _, peer = unix[inode]
            if peer and peer not in everything:
                others.add(unix[peer][0] if peer in unix else "")
        for other in sorted(others - {*addresses}):
            if other:  # a pair without a name was given to the program by those who started it
                yield f"process {process} ({_name(process)}) talks to {other}, which the gate does not see"


def _sockets(process: int) -> set[int]:
    found = set()
    with contextlib.suppress(OSError):
        for file in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):
                kind, _, inode = str(file.readlink()).partition(":[")
                if kind == "socket":
                    found.add(int(inode[:-1]))
    return found


def _internet(process: int) -> Iterator[tuple[int, str]]:
    """The inode and the peer of every connection in the process' network."""
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/net/{kind}").read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] != _LISTENS and int(words[2].rpartition(":")[2], 16):
                    yield int(words[9]), _address(words[2])


def _address(text: str) -> str:
    """An address as people write it, of hexadecimal words in this machine's order."""
    host, _, port = text.partition(":")
    packed = b"".join(struct.pack("=I", int(host[at : at + 8], 16)) for at in range(0, len(host), 8))
    address = ipaddress.ip_address(packed)
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return f"{address}:{int(port, 16)}" if address.version == 4 else f"[{address}]:{int(port, 16)}"


def _unix_sockets() -> dict[int, tuple[str, int]]:
    """The name and the peer of every Unix socket, by inode; nothing if the kernel does not tell."""
    request = struct.pack("=BBHIII8s", socket.AF_UNIX, 0, 0, 0xFFFF_FFFF, 0, _SHOW_NAME | _SHOW_PEER, b"\xff" * 8)
    header = struct.pack("=IHHII", 16 + len(request), _DIAG_BY_FAMILY, 1 | _ROOT_AND_MATCH, 1, 0)
    found: dict[int, tuple[str, int]] = {}
    with contextlib.suppress(OSError), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as link:
        link.send(header + request)
        while True:
            answer, at = link.recv(1 << 16), 0
            while at + 16 <= len(answer):
                length, kind = struct.unpack_from("=IH", answer, at)
                if kind in {_DONE, _ERROR}:
                    return found
                inode = struct.unpack_from("=I", answer, at + 20)[0]
                found[inode] = _attributes(answer[at + 32 : at + length])
                at += -(-length // 4) * 4
    return found


def _attributes(rest: bytes) -> tuple[str, int]:
    name, peer, at = "", 0, 0
    while at + 4 <= len(rest):
        length, kind = struct.unpack_from("=HH", rest, at)
        value = rest[at + 4 : at + length]
        if kind == _NAME:
            name = os.fsdecode(value.rstrip(b"\0")).replace("\0", "@")
        elif kind == _PEER:
            peer = struct.unpack("=I", value)[0]
        at += max(4, -(-length // 4) * 4)
    return name, peer
