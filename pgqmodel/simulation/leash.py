"""The leash: whatever a simulation starts dies with it, even if the simulation is killed and its workers are stopped.

A shell reads a pipe from us: `+ PID` for what was started, `- PID` for what has ended. When the pipe closes, it kills
what is left, and removes the directory that all of them share; `=` says that we see to that ourselves. A process that
is stopped by SIGSTOP cannot watch over itself.
"""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Self

__all__ = ["Leash"]

_SHELL = """
held=' '
home=$1
while read -r sign pid; do
  case $sign in
    +) held="$held$pid " ;;
    =) home= ;;
    -) case $held in *" $pid "*) held="${held%% $pid *} ${held#* $pid }" ;; esac ;;
  esac
done
for pid in $held; do kill -KILL "$pid" 2>/dev/null; done
[ -n "$home" ] && rm -rf "$home"
"""


class Leash:
    """A shell that holds processes; a context manager."""

    def __init__(self, home: Path | None = None) -> None:
        """`home` is a directory that goes if we are killed."""
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SHELL, "pgqmodel-leash", str(home or "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hold(self, pid: int) -> None:
        """Kill this process when we are gone."""
        self._say(f"+ {pid}")

    def let_go(self, pid: int) -> None:
        """It has ended: its number may soon be somebody else's."""
        self._say(f"- {pid}")

    def _say(self, words: str) -> None:
        assert self._shell.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._shell.stdin.write(f"{words}\n".encode())
            self._shell.stdin.flush()

    def close(self) -> None:
        """Kill what is still held; closing twice is fine."""
        assert self._shell.stdin is not None
        if not self._shell.stdin.closed:
            self._say("=")
        self._shell.stdin.close()
        self._shell.wait()
