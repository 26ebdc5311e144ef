"""The leash: all processes of a simulation die with it, even if it is killed while its workers are stopped.

A shell reads a pipe from us: `+ PID` for a process that was started, `- PID` for one that has ended. When the pipe
closes, the shell kills the processes that are left and removes their common directory; after `=` it does not remove it,
because we do so ourselves. A process that is stopped by SIGSTOP could not watch over itself.
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
    """The shell that kills the processes when we are gone; a context manager."""

    def __init__(self, home: Path | None = None) -> None:
        """`home` is a directory that is removed if we are killed."""
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
        """The process has ended: another process may soon get its number."""
        self._say(f"- {pid}")

    def _say(self, words: str) -> None:
        assert self._shell.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._shell.stdin.write(f"{words}\n".encode())
            self._shell.stdin.flush()

    def close(self) -> None:
        """Kill the processes that are left; closing twice is fine."""
        assert self._shell.stdin is not None
        if not self._shell.stdin.closed:
            self._say("=")
        self._shell.stdin.close()
        self._shell.wait()
