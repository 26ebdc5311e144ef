"""A private Postgres: it starts in a fraction of a second, can be crashed and restarted, and is never left behind.

All its files lie in one temporary directory. A watchdog, which is a shell that reads a pipe from us, removes server and
directory when the pipe closes. So even SIGKILL of this process leaves nothing. If the watchdog was killed as well, the
next start removes the directory.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Self

from pgqmodel.clock import ServerClock
from pgqmodel.errors import ServerGoneError, UsageError
from pgqmodel.server.binaries import Installation, installation, owner
from pgqmodel.server.cache import copy_data

__all__ = ["Cluster", "own_directory"]

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 5.0
SLEEP_SECONDS_MAX = 0.2
PORT = 5432
_PREFIX = "pgqmodel-"
_IPC_RMID = 0
"""The command of `shmctl` to remove a segment; the memory is freed when the last process has left it."""
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "wal_level": "logical",
    "autovacuum": "off",
    "jit": "off",
    "shared_buffers": "16MB",
    "max_connections": "64",
    "max_parallel_workers_per_gather": "0",
    "dynamic_shared_memory_type": "mmap",  # files in its directory: they are removed with it
    "max_prepared_transactions": "8",
    "deadlock_timeout": "100ms",
    "checkpoint_timeout": "1d",
    "max_wal_size": "1GB",
    "bgwriter_lru_maxpages": "0",
    "wal_writer_delay": "10s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "cluster_name": "pgqmodel",
}
_WATCHDOG = """
pid=
while read -r word; do
  [ "$word" = done ] && exit
  pid=$word
done
if [ -n "$pid" ]; then
  kill -QUIT "$pid" 2>/dev/null
  tries=0
  while kill -0 "$pid" 2>/dev/null && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
  kill -KILL "$pid" 2>/dev/null
  set -- "$1" $(sed -n 7p "$1/data/postmaster.pid" 2>/dev/null)
  [ -n "$3" ] && ipcrm -m "$3" 2>/dev/null
fi
rm -rf "$1"
"""


class Cluster:
    """One embedded server and its directory; a context manager."""

    can_crash = True
    superuser = True
    database_name = "pgqmodel"

    def __init__(
        self, major: int = 18, *, clock: bool = True, settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Start a server; ServerGoneError with the end of its log if it does not come up.

        `settings` replace some of our settings, which are made for many short stories in small tables.
        """
        self._installation: Installation = installation(major)
        self._settings = {**_SETTINGS, **settings}
        self.port = int(self._settings.get("port", PORT))
        _sweep()
        with _signals_held():
            self.directory, self._alive = own_directory()
            self._watchdog = _watch(self.directory)
        self._postmaster: subprocess.Popen[bytes] | None = None
        self.clock: ServerClock | None = None
        self._paused: set[int] = set()
        try:
            self._prepare(clock)
            self.restart()
        except BaseException:
            self.close()
            raise

    def _prepare(self, clock: bool) -> None:
        self.directory.chmod(0o755)
        self.socket_dir.mkdir()
        owner().give(self.socket_dir)
        copy_data(self._installation, self.directory / "data")
        if clock:
            self.clock = ServerClock.make(self.directory)
            if self.clock is not None:
                owner().give(self.clock.file)  # the server counts its random draws in the file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def version(self) -> str:
        """The server's version, such as 18.4."""
        return self._installation.version

    @property
    def installation(self) -> Installation:
        """The installation whose programs it runs."""
        return self._installation

    @property
    def socket_dir(self) -> Path:
        """The directory of its socket, which is the only way to connect."""
        return self.directory / "socket"

    @property
    def address(self) -> str:
        """The path of its socket."""
        return str(self.socket_dir / f".s.PGSQL.{self.port}")

    @property
    def running(self) -> bool:
        """Whether the postmaster is alive."""
        return self._postmaster is not None and self._postmaster.poll() is None

    def processes(self) -> list[int]:
        """The postmaster and its living children."""
        if self._postmaster is None or not self.running:
            return []
        return [self._postmaster.pid, *_children(self._postmaster.pid)]

    def conninfo(self, database: str = "postgres") -> str:
        """The connection string for one of its databases."""
        return f"host={self.socket_dir} port={self.port} user=postgres dbname={database}"

    def restart(self) -> None:
        """Start the server on its data; it recovers after a crash."""
        (self.directory / "data" / "postmaster.pid").unlink(missing_ok=True)
        arguments = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._postmaster = subprocess.Popen(
                [
                    self._installation.bin / "postgres",
                    *("-D", self.directory / "data", "-k", self.socket_dir, "-p", str(self.port)),
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": os.environ.get("PATH", ""), **(self.clock.environment if self.clock else {})},
                start_new_session=True,
                **owner().popen,
            )  # type: ignore[call-overload]
        self._tell_watchdog(self._postmaster.pid)
        self._wait_until_ready()

    def _tell_watchdog(self, word: object) -> None:
        """Tell the watchdog which server to stop when we are gone, or tell it `done`."""
        assert self._watchdog.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._watchdog.stdin.write(f"{word}\n".encode())
            self._watchdog.stdin.flush()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and self.running:
            with contextlib.suppress(OSError):
                lines = (self.directory / "data" / "postmaster.pid").read_text().splitlines()
                if len(lines) > 7 and lines[7].strip() == "ready":
                    return
            time.sleep(0.002)
        log = (self.directory / "log").read_text(errors="replace").strip().splitlines()
        message = f"Postgres did not start within {START_SECONDS_MAX:g} s; its log ends in: " + " | ".join(log[-3:])
        raise ServerGoneError(message)

    def crash(self) -> None:
        """Kill the server as a power cut would: the postmaster and all its children, by SIGKILL."""
        assert self._postmaster is not None
        if self.running:
            # Stop it first, so that it starts no child between the listing of its children and their end.
            self._postmaster.send_signal(signal.SIGSTOP)
        children = _children(self._postmaster.pid)
        for pid in (self._postmaster.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._postmaster.wait()
        self._paused.clear()
        self._tell_watchdog("")
        while any(_lives(pid) for pid in children):
            time.sleep(0.001)
        _forget_memory(self.directory)

    def poke(self, pid: int) -> None:
        """Make a backend look at the clock again: due timeouts fire."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGALRM)
        if pid not in self._paused:
            _wait_until_asleep(pid)

    def pause(self, pid: int, stop: bool) -> None:
        """Stop a backend that sleeps, or let it go on; it handles the signals that came meanwhile."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP if stop else signal.SIGCONT)
        if stop:
            self._paused.add(pid)
        else:
            self._paused.discard(pid)
            _wait_until_asleep(pid)

    def close(self) -> None:
        """Stop the server and delete its directory; closing twice is fine."""
        for pid in tuple(self._paused):
            self.pause(pid, False)
        if self.running:
            assert self._postmaster is not None
            self._postmaster.send_signal(signal.SIGQUIT)
            # With a limit: in a signal handler, the interrupted code may hold the lock that an unlimited wait needs.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._postmaster.wait(STOP_SECONDS_MAX)
        if self.clock is not None:
            self.clock.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        if self._watchdog.stdin is not None and not self._watchdog.stdin.closed:
            self._tell_watchdog("done")
            self._watchdog.stdin.close()
            self._watchdog.wait()
        self._alive.close()


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Delay signals that end the process: a directory without a watchdog would be left behind."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch(directory: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", _WATCHDOG, "pgqmodel-watchdog", directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )


def own_directory() -> tuple[Path, IO[str]]:
    """A new directory with a lock file. This process holds the lock while it lives, so a sweep leaves the directory.

    The directory has a name that sweeps ignore until the lock is held, or another start would remove it.
    """
    _check_way()
    fresh = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
    alive = (fresh / "alive").open("w")
    fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fresh.rename(fresh.with_name(fresh.name.removeprefix("."))), alive


def _check_way() -> None:
    """UsageError if the server's user cannot reach the directory for temporary files; the server could not start."""
    place = Path(tempfile.gettempdir()).resolve()
    user = owner()
    way = (*reversed(place.parents), place) if user.other else ()
    closed = next((each for each in way if not user.may_enter(each)), None)
    if closed is not None:
        message = (
            f"TMPDIR is {place}, and Postgres, which refuses root, runs as {user.name}, who may not enter {closed}; "
            "expected a place for temporary files that other users may pass through. Set TMPDIR to another one, such "
            f"as /tmp, or allow it with chmod o+x {closed}"
        )
        raise UsageError(message)


def _sweep() -> None:
    """Remove the directories of runs whose watchdog was killed as well."""
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if directory.stat().st_uid != os.geteuid():
                continue
            with (directory / "alive").open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(directory)


def _remove(directory: Path) -> None:
    """Kill the server of a directory whose run is gone, and delete the directory."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pid = int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if str(directory).encode() in command:
            os.kill(pid, signal.SIGQUIT)
    _forget_memory(directory)
    shutil.rmtree(directory, ignore_errors=True)


def _forget_memory(directory: Path) -> None:
    """Remove the shared memory segment of a killed server: no process removes it later.

    The seventh line of a server's pid file has the key and the number of its segment.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        words = (directory / "data" / "postmaster.pid").read_text().splitlines()[6].split()
        ctypes.CDLL(None).shmctl(int(words[1]), _IPC_RMID, None)


def _children(pid: int) -> list[int]:
    """The processes that a postmaster started; none if the system does not tell."""
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _wait_until_asleep(pid: int) -> None:
    """Wait until a process has handled its signals and sleeps again; with a limit, because it may have much to do."""
    deadline = time.monotonic() + SLEEP_SECONDS_MAX
    with contextlib.suppress(OSError):
        while time.monotonic() < deadline:
            status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            if status["State"].startswith(("S", "Z")) and not int(status["ShdPnd"], 16) | int(status["SigPnd"], 16):
                return


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
