"""Nothing stays behind, however the process that started a server ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from pgqmodel.server import Cluster
from pgqmodel.server.cluster import _sweep

PATIENCE_SECONDS = 30
CHILD = """
import sys, time
from pgqmodel.server import Cluster
with Cluster(int(sys.argv[1])) as cluster:
    print(cluster.directory, flush=True)
    time.sleep(600)
"""


def start_child(major: int, place: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process with a server of its own under `place`, and the server's directory."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(major)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(place)},
        start_new_session=True,
    )
    assert child.stdout is not None
    return child, Path(child.stdout.readline().strip())


def servers_of(directory: Path) -> list[int]:
    """The processes whose command names a directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(directory / "data").encode() in command:
            found.append(int(entry.name))
    return found


def gone(directory: Path) -> bool:
    """Whether directory and server are gone, now or within the bound."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if not directory.exists() and not servers_of(directory):
            return True
        os.sched_yield()
    return False


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path that the server's user can enter, where a child keeps its temporary files."""
    base = Path(f"/var/tmp/pgqmodel-test-{os.getpid()}")
    base.mkdir(mode=0o755)
    base.chmod(0o755)
    yield base
    shutil.rmtree(base)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_process_leaves_no_server_and_no_directory(how: signal.Signals, major: int, place: Path) -> None:
    """The signal goes to the whole process group, as a terminal sends it; the watchdog has a session of its own."""
    child, directory = start_child(major, place)
    assert servers_of(directory)
    os.killpg(child.pid, how)
    child.wait()
    child.communicate()
    assert gone(directory)
    assert not list(place.iterdir())


def test_the_next_start_sweeps_what_a_killed_watchdog_left(
    major: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the watchdog was killed too, the next run removes server and directory."""
    child, directory = start_child(major, place)
    for watchdog in watchdogs_of(directory):
        os.kill(watchdog, signal.SIGKILL)
    child.kill()
    child.communicate()
    assert servers_of(directory)
    monkeypatch.setattr("tempfile.tempdir", str(place))
    with Cluster(major) as cluster:
        assert gone(directory)
        assert cluster.running, "a sweep spares the living"
        with Cluster(major):
            assert cluster.directory.exists(), "another start does not take it for left behind"


def test_a_sweep_spares_what_is_being_made(major: int, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another start sweeps just when the directory of this one is there and its lock is not yet held."""
    monkeypatch.setattr("tempfile.tempdir", str(place))
    flock = fcntl.flock

    def sweep_first(file: IO[str], how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        _sweep()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    with Cluster(major) as cluster:
        assert cluster.running
        assert fcntl.flock is flock, "the sweep was in between"


def watchdogs_of(directory: Path) -> list[int]:
    """The watchdogs of a directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"pgqmodel-watchdog" in words and str(directory).encode() in words:
            found.append(int(entry.name))
    assert found
    return found
