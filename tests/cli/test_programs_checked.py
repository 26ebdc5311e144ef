"""`pgqmodel check` on workers that are programs: it finds what is wrong, replays it, and leaves no process behind."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.commands import PROGRAM, run

WORKERS = Path(__file__).parent.parent / "programs" / "python_worker"
FAULTY = {
    "unfenced": {"stale-settlement"},
    "select-then-update": {"double-claim", "resurrection"},
    "unlocked": {"double-claim"},
}
"""What is wrong with a worker, and the names of what comes of it."""


@pytest.mark.parametrize("name", sorted(FAULTY))
def test_a_faulty_program_is_found_and_replayed(name: str, tmp_path: Path) -> None:
    """The finding has the right name, the trace replays, and the report shows the program's own statements."""
    out = tmp_path / "out"
    bounds = ("--seed", 1, "--examples", 40, "--first", "--shrink-seconds", 12, "--processes", 1)
    found = run("check", WORKERS / f"{name}.toml", *bounds, "--out", out, "--json", cwd=tmp_path)
    assert found.code == 1, found.err
    assert found.record["anomaly"] in FAULTY[name]
    report = (out / "report.md").read_text()
    assert "UPDATE jobs SET" in report or "SELECT id FROM jobs" in report
    assert "**starts**" in report
    assert "**programs**" in report
    replayed = run("replay", out / "trace.json", cwd=tmp_path)
    assert (replayed.code, "came back" in replayed.out) == (1, True), replayed.out + replayed.err


def test_a_sound_program_is_held(tmp_path: Path) -> None:
    """No alarm, and what was put to the test is counted."""
    held = run("check", WORKERS / "sound.toml", "--seed", 2, "--examples", 8, "--processes", 1, "--json", cwd=tmp_path)
    assert held.code == 0, held.out + held.err
    assert held.record["verdict"] == "held"
    assert held.record["witnessed"]["exclusive-claim"] > 0


def test_a_dry_run_needs_statements(tmp_path: Path) -> None:
    """A program cannot be run operation by operation."""
    refused = run("check", WORKERS / "sound.toml", "--dry-run", cwd=tmp_path)
    assert refused.code == 2
    assert "worker that is a program" in refused.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_program_is_left_behind(number: signal.Signals, tmp_path: Path) -> None:
    """However the check ends, its programs end with it."""
    place = shutil.copytree(WORKERS, tmp_path / "workers")
    line = [PROGRAM, "check", place / "sound.toml", "--seconds", "60", "--processes", "1", "--seed", "1"]
    with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as check:
        _until(lambda: _living(place) > 1)
        check.send_signal(number)
        check.wait(30)
    _until(lambda: _living(place) == 0)


def _living(place: Path) -> int:
    """How many processes live in a directory: the fork server and its programs."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found += (process / "cwd").readlink() == place
    return found


def _until(condition: Callable[[], bool]) -> None:
    """Wait for something that the kernel tells nobody."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
