"""Whether a worker is still: never said too early, of no program that would go on by itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from clock.driven import driven, python
from pgqmodel.clock.stillness import busy, is_still, wait_still
from pgqmodel.clock.uncontrolled import uncontrolled
from pgqmodel.errors import StuckError


def test_who_waits_for_a_pipe_is_still_and_who_is_gone_too() -> None:
    """Waiting, stopped, ended and vanished: none of them goes on by itself."""
    with driven(python("input()"), stdin=subprocess.PIPE) as program:
        program.settle()
        assert is_still(program.pid, program.clock)
        os.kill(program.pid, signal.SIGSTOP)
        program.settle()
        program.process.kill()
        program.settle()
        program.process.wait()
        assert is_still(program.pid, program.clock)


def test_several_programs_are_waited_for_together() -> None:
    """One that has still to start is waited for beside one that waits already; both are still at one moment."""
    with (
        driven(python("input()"), stdin=subprocess.PIPE) as one,
        driven(python("print('ready', flush=True); input()"), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other,
    ):
        one.settle()
        trio.run(lambda: wait_still({one.pid: one.clock, other.pid: other.clock}, guard_seconds=60))
        assert other.process.stdout
        assert other.process.stdout.read1() == b"ready\n"


def test_who_spins_is_busy_and_named() -> None:
    """A busy loop is never still; stopped it is, and the guard's error says which thread runs."""
    with driven(python("print(flush=True)\nwhile True: pass"), stdout=subprocess.PIPE) as program:
        assert program.process.stdout
        program.process.stdout.readline()
        assert not any(is_still(program.pid, program.clock) for _ in range(50))
        with pytest.raises(StuckError, match=rf"thread {program.pid} .* of process {program.pid} runs"):
            trio.run(lambda: wait_still({program.pid: program.clock}, guard_seconds=0))
        os.kill(program.pid, signal.SIGSTOP)
        program.settle()


@pytest.mark.parametrize(
    "script",
    [
        "import ctypes; libc = ctypes.CDLL(None); print(flush=True)\nwhile True: libc.usleep(1000)",
        "import signal; print(flush=True); signal.sigtimedwait([], 1000)",
        "import os\nif os.fork(): os.wait()\nprint(flush=True)\nwhile True: pass",
    ],
)
def test_who_waits_for_real_time_is_busy(script: str) -> None:
    """A short sleep, a timeout that the shim does not know, and a child that runs while its parent waits."""
    with driven(python(script), stdout=subprocess.PIPE) as program:
        assert program.process.stdout
        program.process.stdout.readline()
        assert not any(is_still(program.pid, program.clock) for _ in range(50))
        assert busy(program.pid, program.clock)


CHECKED = """
import ctypes, os, sys, subprocess, threading, queue, mmap
libc = ctypes.CDLL(None)
done = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 8)
ask, answer = queue.Queue(), queue.Queue()
def serve():
    while True: answer.put(sum(range(ask.get())))
threading.Thread(target=serve, daemon=True).start()
cat = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
for turn in range(1, 1000):
    if not os.read(0, 1): break
    for _ in range(turn % 4): ask.put(turn * 50 % 7000); answer.get()
    if turn % 3 == 0: cat.stdin.write(b"x"); cat.stdin.flush(); os.read(cat.stdout.fileno(), 1)
    if turn % 5 == 0: libc.usleep(300)
    if turn % 40 == 0: subprocess.run(["true"])
    done[:8] = turn.to_bytes(8, "little")
"""


def test_still_is_never_said_too_early(tmp_path: Path) -> None:
    """200 times a program with threads and children is given work; whenever it is called still, all of it is done."""
    file = tmp_path / "done"
    file.write_bytes(bytes(8))
    with driven([*python(CHECKED), str(file)], stdin=subprocess.PIPE) as program:
        assert program.process.stdin
        program.settle()
        for turn in range(1, 201):
            program.process.stdin.write(b"x")
            program.process.stdin.flush()
            program.settle()
            assert int.from_bytes(file.read_bytes(), "little") == turn


def test_a_program_without_the_shim_is_not_controlled() -> None:
    """One that never opened the page is reported as such; one that did, and talks to nobody, has nothing to report."""
    with driven(python("input()"), stdin=subprocess.PIPE) as program:
        program.settle()
        assert uncontrolled(program.pid, program.clock) == ()
    with (
        driven(["/usr/bin/env", "-i", sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as program,
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger,
    ):
        program.settle()
        assert uncontrolled(program.pid, program.clock) == ()
        assert "never loaded" in uncontrolled(stranger.pid, program.clock)[0]
        stranger.communicate()


def test_timers_of_the_kernel_are_not_controlled() -> None:
    """An alarm, and a timeout of a socket, pass the clock by; that they were set is noted."""
    script = "import signal, socket, struct; signal.alarm(1000); s = socket.socketpair()\n"
    script += "s[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('@ll', 9, 0)); input()"
    with driven(python(script), stdin=subprocess.PIPE) as program:
        program.settle()
        told = uncontrolled(program.pid, program.clock)
        assert ["alarm" in told[0], "SO_RCVTIMEO" in told[1]] == [True, True]


TALK = """
import socket, sys
a, b = socket.socketpair()
tcp = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
unix = socket.socket(socket.AF_UNIX); unix.connect(sys.argv[2])
input()
"""


def test_connections_to_strangers_are_not_controlled(tmp_path: Path) -> None:
    """Every peer outside the process tree is named but those that are allowed."""
    path = str(tmp_path / "server")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        port = server.getsockname()[1]
        with driven([*python(TALK), str(port), path], stdin=subprocess.PIPE) as program:
            program.settle()
            kept = [server.accept()[0], unix.accept()[0]]
            told = uncontrolled(program.pid, program.clock, [])
            assert [path in line or f"127.0.0.1:{port}" in line for line in told] == [True, True]
            assert uncontrolled(program.pid, program.clock, [path, f"127.0.0.1:{port}"]) == ()
            for connection in kept:
                connection.close()
