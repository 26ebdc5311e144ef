"""The leash: what is held dies when we go, what was let go lives, and letting go twice costs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pgqmodel.simulation.leash import Leash

_SLEEPER = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"]
_PARENT = """
import os, signal, subprocess, sys
from pgqmodel.simulation.leash import Leash
leash = Leash()
held = subprocess.Popen({sleeper!r}, stdout=subprocess.PIPE)
held.stdout.readline()
os.kill(held.pid, signal.SIGSTOP)
leash.hold(held.pid)
print(held.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def sleeper() -> subprocess.Popen[bytes]:
    """A process that waits for ever, and has begun to."""
    process = subprocess.Popen(_SLEEPER, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


def lives(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_the_held_die_and_the_others_live() -> None:
    """Closing kills what is held and nothing that was let go, however often it was said."""
    held, free = sleeper(), sleeper()
    with Leash() as leash:
        leash.hold(held.pid)
        leash.hold(free.pid)
        for _ in range(200):
            leash.let_go(free.pid)
    assert held.wait() == -9
    assert free.poll() is None
    free.kill()
    free.wait()


def test_a_killed_holder_leaves_nothing(tmp_path: Path) -> None:
    """SIGKILL of whoever holds the leash ends even a process that is stopped."""
    script = tmp_path / "parent.py"
    script.write_text(_PARENT.format(sleeper=_SLEEPER))
    parent = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert parent.returncode == -9
    pid = int(parent.stdout)
    while lives(pid):
        os.sched_yield()
