"""Starting the process of a program: anew each time, or by a fork server that has imported the program's libraries.

A new Python process spends most of its start on imports; `python tests/bench programs` shows what a fork saves. Both
are children of ours in all that matters: they die with us, and their end is seen.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from attrs import define, field, frozen

from pgqmodel.errors import TargetError

if TYPE_CHECKING:
    from pgqmodel.target import Command

__all__ = ["ForkServer", "Launch", "Process", "has_ended", "launch", "said"]

_ADDR_NO_RANDOMIZE = 0x0040000
_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG."""
_LIBC = ctypes.CDLL(None)
_OUTPUT_CHARACTERS_MAX = 600


class Process(Protocol):
    """A process that was started: its id, and whether it has ended."""

    @property
    def pid(self) -> int:
        """The kernel's id of the process; it leads a session of its own."""

    def poll(self) -> int | None:
        """Its exit code once it has ended (-1 if that is not known), else None."""

    def wait(self) -> int:
        """Wait for its end."""


@frozen(kw_only=True)
class Launch:
    """One start: the environment of the process, and the files of its page and of its output."""

    environment: Mapping[str, str]
    page: Path
    output: Path


def launch(command: Command, given: Launch, *, keep: Sequence[int] = ()) -> Process:
    """Start a process anew; it keeps these descriptors of ours."""
    with given.output.open("wb") as output:
        return subprocess.Popen(
            command.words,
            cwd=command.directory,
            env=given.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=keep,
            start_new_session=True,
            preexec_fn=_prepare,  # noqa: PLW1509 - a world's process has one thread
        )


def has_ended(process: Process) -> bool:
    """Whether a process has ended: no thread of it will run again.

    The kernel tells the parent of the end only when the last thread is gone, somewhat after all of them are dead. Who
    asked in between would take a dead process for a still one, on a busy machine now and then.
    """
    if process.poll() is None:
        if any(_state(task) not in {"", "X", "Z"} for task in _tasks(process.pid)):
            return False
        process.wait()
    return True


def _tasks(pid: int) -> list[Path]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [*Path(f"/proc/{pid}/task").iterdir()]
    return []


def _state(task: Path) -> str:
    """The kernel's letter for the state of a thread; nothing if it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return (task / "stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2][:1]
    return ""


def said(output: Path) -> str:
    """The end of what a process has written."""
    text = output.read_bytes()[-_OUTPUT_CHARACTERS_MAX:].decode(errors="replace")
    return " | ".join(line.strip() for line in text.splitlines() if line.strip()) or "nothing"


def _prepare() -> None:
    """The child's first act: the kernel is to kill it when we die, and to lay it out in memory as it did before.

    V8 draws from addresses, and the order of some sets depends on them. Where a sandbox forbids that, it goes without.
    """
    _LIBC.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    flags = _LIBC.personality(0xFFFFFFFF)
    if flags >= 0:
        _LIBC.personality(flags | _ADDR_NO_RANDOMIZE)


@define(kw_only=True, eq=False)
class _Forked:
    """A child of the fork server, which buries it; we see its end through a descriptor of the process.

    One that had ended before we could open it has no descriptor.
    """

    pid: int
    descriptor: int | None

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self) -> int:
        ended = self._ended(None)
        assert ended is not None, "without a time limit it waits for the end"
        return ended

    def _ended(self, patience_ms: int | None) -> int | None:
        if self.descriptor is None:
            return -1
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return -1 if poll.poll(patience_ms) else None

    def __del__(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)


@define(kw_only=True)
class ForkServer:
    """The fork server of a Python program, with the modules of `worker.preload`; it starts at the first launch."""

    command: Command
    library: Path
    output: Path
    _server: subprocess.Popen[str] | None = field(init=False, default=None)

    def launch(self, given: Launch) -> Process:
        """Fork a process; TargetError if the modules cannot be imported."""
        if self._server is None:
            self._start()
        request = {
            "page": str(given.page),
            "output": str(given.output),
            "environment": dict(given.environment),
            "words": self.command.words[1:],
        }
        pid = self._asked(json.dumps(request))["pid"]
        descriptor = None
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
        return _Forked(pid=pid, descriptor=descriptor)

    def _start(self) -> None:
        program = Path(__file__).with_name("fork_server.py")
        with self.output.open("wb") as output:
            self._server = subprocess.Popen(
                [self.command.words[0], str(program), *self.command.preload],
                cwd=self.command.directory,
                env={**os.environ, **self.command.environment, "LD_PRELOAD": str(self.library), "PYTHONHASHSEED": "0"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        self._asked("")

    def _asked(self, line: str) -> dict[str, int]:
        """Send a line, if there is one, and return the answer."""
        assert self._server is not None, "it has been started"
        assert self._server.stdin is not None, "both ends are pipes"
        assert self._server.stdout is not None, "both ends are pipes"
        if line:
            self._server.stdin.write(line + "\n")
            self._server.stdin.flush()
        answer = self._server.stdout.readline()
        if not answer:
            message = (
                f"worker.preload: found {', '.join(self.command.preload)}, which {self.command.words[0]} cannot "
                f"import; expected modules that are installed there. Correct the list. It said: {said(self.output)}"
            )
            raise TargetError(message)
        told: dict[str, int] = json.loads(answer)
        return told

    def close(self) -> None:
        """End the server; its children are dead by then."""
        if self._server is not None:
            self._server.kill()
            self._server.communicate()
            self._server = None
