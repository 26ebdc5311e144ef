"""The clock of a worker's processes: unmodified programs live in virtual time, and by the seed's chance."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from clock.driven import FIRST_ID, driven, python, run
from pgqmodel.clock.process_clock import ProcessClock, after
from pgqmodel.clock.shim import put_shim
from pgqmodel.clock.stillness import is_still
from pgqmodel.errors import UsageError

START = "import time; begin = time.monotonic()\n"
TELL = "\nprint(round(time.monotonic() - begin, 3))"
START_SECONDS = 1_893_456_000
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="there is no Node here")


def test_a_sleep_ends_when_its_deadline_comes() -> None:
    """30 seconds are one wake-up; all clocks agree, and stand a millisecond's end behind the deadline."""
    script = "time.sleep(30); print(time.time(), time.monotonic() - begin, time.clock_gettime(time.CLOCK_BOOTTIME))"
    ended = run(python(START + script))
    assert ended.lines == [f"{START_SECONDS + 30.001} 30.001000000000204 10030.001"]
    assert ended.wakes == [(30.0, ended.wakes[0][1])]


@pytest.mark.parametrize(
    ("waiting", "seconds"),
    [
        ("import select; select.select([], [], [], 2.5)", 2.501),
        ("import select, os; r, w = os.pipe(); p = select.poll(); p.register(r, 1); p.poll(700)", 0.701),
        ("import select; select.epoll().poll(4)", 4.001),
        ("import asyncio; asyncio.run(asyncio.sleep(3))", 3.001),
        ("import threading\nc = threading.Condition()\nwith c: assert not c.wait(50)", 50.001),
        ("import threading; l = threading.Lock(); l.acquire(); assert not l.acquire(timeout=9)", 9.001),
        ("import queue\ntry: queue.Queue().get(timeout=6)\nexcept queue.Empty: pass", 6.001),
        ("import threading; t = threading.Timer(8, int); t.start(); t.join()", 8.001),
        ("import subprocess; subprocess.run(['sleep', '20'], check=True)", 20.001),
        ("import subprocess; subprocess.run(['sleep', '20'], check=True, env={'PATH': '/bin:/usr/bin'})", 20.001),
        ("import os, time\nif not os.fork(): time.sleep(11); os._exit(0)\nos.wait()", 11.001),
        ("import signal; signal.sigtimedwait([], 0)", 0.0),
        ("import ctypes; ctypes.CDLL(None).usleep(500)", 0.0),
        ("import ctypes; ctypes.CDLL(None).usleep(1500)", 0.002),
        ("time.sleep(1e-6)", 0.001),
    ],
)  # fmt: skip
def test_python_waits_in_virtual_time(waiting: str, seconds: float) -> None:
    """Every way to wait with a timeout takes that time on the program's clock, and none on ours."""
    ended = run(python(f"{START}{waiting}{TELL}"))
    assert ended.lines == [str(seconds)]


TIMERFD = """
import ctypes, os, select, struct
libc = ctypes.CDLL(None)
timer = libc.timerfd_create(1, 0)
def set(first, every): assert not libc.timerfd_settime(timer, 0, struct.pack("=4q", every, 0, first, 0), None)
def read(): return struct.unpack("=Q", os.read(timer, 8))[0], round(time.monotonic() - begin, 3)
poller = select.epoll(); poller.register(timer, select.EPOLLIN)
set(5, 0); assert not poller.poll(4); assert poller.poll(9); print(*read())
set(2, 3); print(*read()); print(*read()); time.sleep(10); print(*read())
set(0, 0); assert not poller.poll(100); os.close(timer)
"""


def test_a_timer_descriptor_is_virtual() -> None:
    """timerfd: once, repeatedly, with expirations that are counted, and disarmed; read and polled."""
    lines = run(python(START + TIMERFD + TELL)).lines
    assert lines == ["1 5.001", "1 7.002", "1 10.002", "3 20.003", "120.004"]


def test_waits_come_in_the_order_of_their_deadlines_and_then_of_their_threads() -> None:
    """The earliest deadline is first; of two at one moment the older thread's."""
    script = """
import threading
def wait(name, seconds):
    time.sleep(seconds); print(name, flush=True)
threads = [threading.Thread(target=wait, args=pair) for pair in [("a", 3), ("b", 2), ("c", 3), ("d", 1), ("e", 2)]]
for thread in threads: thread.start()
for thread in threads: thread.join()"""
    ended = run(python(START + script))
    assert ended.lines == ["d", "b", "e", "a", "c"]
    assert [seconds for seconds, _ in ended.wakes] == [1.0, 2.0, 2.0, 3.0, 3.0]
    assert [thread for _, thread in ended.wakes] == [thread + ended.wakes[3][1] for thread in (3, 1, 4, 0, 2)]


CHANCE = """
import os, random, uuid, subprocess, sys, threading
def tell(): print(os.urandom(8).hex(), open("/dev/urandom", "rb").read(4).hex(), flush=True)
assert open(f"/proc/{os.getpid()}/stat").read(1)
print(hash("text"), random.random(), uuid.uuid4(), uuid.uuid1(), os.getpid(), id(tell)); tell()
for _ in range(3): t = threading.Thread(target=tell); t.start(); t.join()
child = "import os; print(os.getpid(), os.getppid(), os.urandom(4).hex())"
subprocess.run([sys.executable, "-S", "-c", child], check=True)
"""


def test_python_draws_the_same_values_in_every_run() -> None:
    """Chance, hashes, addresses and process ids are the seed's; another seed has another chance, and no value twice."""
    command = python(START + CHANCE)
    first = run(command).lines
    assert run(command).lines == first
    other = run(command, seed=8).lines
    assert all(one != another for one, another in zip(first, other, strict=True))
    assert first[0].split()[4] == str(FIRST_ID)
    assert first[-1].split()[:2] == [str(FIRST_ID + 1), str(FIRST_ID)]
    assert len({*first[1:-1]}) == len(first[1:-1]) == 4


NODE = """
const crypto = require("crypto"), begin = performance.now();
const tell = (...words) => console.log(...words, performance.now() - begin);
tell(Date.now(), process.pid, Math.random(), crypto.randomUUID(), crypto.randomBytes(4).toString("hex"));
let ticks = 0;
const interval = setInterval(() => { tell("tick"); if (++ticks == 3) clearInterval(interval); }, 1000);
setTimeout(() => {
  tell("timeout", Math.random());
  require("fs").promises.readFile("/etc/passwd").then(() => crypto.randomBytes(8, (_, bytes) => {
    tell(bytes.toString("hex"));
    require("child_process").spawn("sleep", ["20"]).on("exit", (code) => tell("exit", code));
  }));
}, 30000);
"""


def test_who_asks_without_waiting_until_it_is_late_comes_to_an_end() -> None:
    """A loop that ends at `now > end` ends although the clock stands still, by a nanosecond or by a wait of its own."""
    script = """
import select
moments, walls = time.monotonic_ns(), time.time_ns()
end = time.monotonic()
while not select.select([], [], [], 0)[0] and time.monotonic() <= end: pass
assert time.monotonic_ns() == moments + 1 and time.time_ns() == walls
while not select.select([], [], [], 0)[0] and time.time_ns() <= walls: pass
"""
    ended = run(python(START + script + TELL))
    assert ended.lines == ["0.001"]


POOLS = """
import concurrent.futures, multiprocessing
def work(seconds): time.sleep(seconds); return seconds
def tell(*words): print(*words, round(time.monotonic() - begin, 3), flush=True)
with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
    tell(*pool.map(work, [3, 1, 2]))
with concurrent.futures.ThreadPoolExecutor(2) as pool: tell(*pool.map(work, [3, 1, 4]))
tell(multiprocessing.Event().wait(6))
"""


def test_pools_of_processes_and_threads_are_in_virtual_time() -> None:
    """Their work takes its time on the clock. Which of two idle processes takes a piece is the kernel's choice."""
    ended = run(python(START + POOLS))
    assert ended.lines == ["3 1 2 3.002", "3 1 4 8.004", "False 14.005"]


@needs_node
def test_node_lives_in_virtual_time_by_the_seed() -> None:
    """Timers, the thread pool and children take their time on its clock; two runs are the same to the byte."""
    ended = run(["node", "-e", NODE])
    assert [line.split()[0] for line in ended.lines][1:5] == ["tick", "tick", "tick", "timeout"]
    assert ended.lines[0].split()[:2] == [str(START_SECONDS * 1000), str(FIRST_ID)]
    assert ended.lines[-1].split()[:2] == ["exit", "0"]
    assert 50_000 < float(ended.lines[-1].split()[2]) < 50_010
    assert run(["node", "-e", NODE]) == ended
    assert run(["node", "-e", NODE], seed=8).lines[0] != ended.lines[0]


def test_a_process_can_be_signalled_by_its_virtual_id() -> None:
    """kill, waitpid and tgkill take the id that getpid gave; no real process can have it."""
    script = """
import os, signal, threading
signal.signal(signal.SIGUSR1, lambda *_: print("signal", flush=True))
os.kill(os.getpid(), signal.SIGUSR1)
signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
r, w = os.pipe()
if not os.fork(): os.write(w, str(os.getpid()).encode()); time.sleep(1000)
child = int(os.read(r, 20)); os.kill(child, 9); print(child, os.waitpid(child, 0)[1])"""
    assert run(python(START + script)).lines == ["signal", "signal", f"{FIRST_ID + 1} 9"]


def test_a_signal_of_the_program_ends_its_sleep_early() -> None:
    """What waits for a deadline still hears other signals, and goes on waiting for what is left."""
    script = """
import signal
signal.signal(signal.SIGUSR1, lambda *_: print("signal", flush=True))
print("ready", flush=True); time.sleep(30)"""
    with driven(python(START + script + TELL), stdout=subprocess.PIPE) as program:
        program.settle()
        program.clock.set_now(program.clock.now_us + 10_000_000)
        os.kill(program.pid, signal.SIGUSR1)
        program.to_end()
        assert program.process.stdout
        assert program.process.stdout.read().split() == [b"ready", b"signal", b"30.001"]


def test_a_wait_is_woken_once_and_only_while_it_lasts() -> None:
    """A deadline that is over, or of another wait, wakes nobody; the clock never goes back."""
    with driven(python("import time; time.sleep(5); time.sleep(5)")) as program:
        program.settle()
        (first,) = program.clock.deadlines()
        assert not program.clock.wake(first.thread, first.sequence + 2)
        assert not program.clock.wake(first.thread + 1, first.sequence)
        program.next_deadline()
        (second,) = program.clock.deadlines()
        assert not program.clock.wake(first.thread, first.sequence)
        assert (second.thread, second.us) == (first.thread, after(first.us) + 5_000_000)
        with pytest.raises(ValueError, match="go back"):
            program.clock.set_now(program.clock.now_us - 1)


def test_what_is_dead_has_no_deadlines() -> None:
    """A killed program's slots stay in the page; they are nobody's."""
    with driven(python("import time; time.sleep(5)")) as program:
        program.settle()
        assert program.clock.deadlines()
        program.process.kill()
        program.settle()
        assert program.clock.deadlines() == ()


def test_a_process_id_may_not_be_a_real_one(tmp_path: Path) -> None:
    """An id that Linux could give would make `kill` hit a stranger."""
    with pytest.raises(UsageError, match="4194304"):
        ProcessClock.make(tmp_path, tmp_path / "clock.so", name="a", seed=1, process_id=4_194_304)


FORK_SERVER = """
import ctypes, os, sys, time, threading
for page in sys.argv[1:]:
    if not os.fork():
        assert not ctypes.CDLL(None).pgqmodel_enter(page.encode())
        begin = time.monotonic(); time.sleep(40)
        print(time.time(), time.monotonic() - begin, os.getpid(), os.urandom(4).hex(), flush=True)
        assert not threading.Condition().acquire(False) or threading.Thread(target=int).start() is None
        os._exit(0)
    assert not os.wait()[1]
"""


@pytest.mark.parametrize("has_page", [False, True])
def test_a_child_of_a_fork_server_enters_a_page_of_its_own(tmp_path: Path, *, has_page: bool) -> None:
    """A server in real time, or in a page of its own; its children are as if they had been started with theirs."""
    library = tmp_path / "clock.so"
    assert put_shim(library)
    make = partial(ProcessClock.make, tmp_path, library, seed=3)
    clocks = [make(name=name, process_id=FIRST_ID) for name in ("a", "b")]
    own = make(name="server", process_id=FIRST_ID * 2)
    environment = own.environment if has_page else {"LD_PRELOAD": str(library)}
    command = [*python(FORK_SERVER), *(str(clock.file) for clock in clocks)]
    with subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE) as server:
        for clock in clocks:
            while not (due := clock.deadlines()) or not is_still(server.pid, clock):
                assert server.poll() is None
            clock.set_now(after(due[0].us))
            assert clock.wake(due[0].thread, due[0].sequence)
        told = server.communicate()[0].decode().splitlines()
    assert server.returncode == 0
    for clock in (*clocks, own):
        clock.close()
    assert len(told) == 2
    assert told[0] == told[1]
    assert told[0].split()[:3] == [str(START_SECONDS + 40.001), "40.001000000000204", str(FIRST_ID)]
