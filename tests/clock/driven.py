"""A program under a clock of its own, driven to its end: whenever it is still, its next deadline comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import trio

from pgqmodel.clock.process_clock import ProcessClock, after
from pgqmodel.clock.stillness import wait_still

GUARD_SECONDS = 60.0
WAKES_MAX = 500
FIRST_ID = 5_000_000


class Ended(NamedTuple):
    """What a program wrote, and the deadlines that came meanwhile, as (seconds since the start, thread)."""

    lines: list[str]
    wakes: list[tuple[float, int]]


class Driven:
    """A started program with its clock."""

    def __init__(self, directory: Path, command: Sequence[str], *, seed: int = 7, **options: object) -> None:
        self.clock = ProcessClock.make(directory, directory / "clock.so", name="worker", seed=seed, process_id=FIRST_ID)
        self.start_us = self.clock.now_us
        environment = os.environ | self.clock.environment
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            command, env=environment, start_new_session=True, **options
        )  # type: ignore[call-overload]

    @property
    def pid(self) -> int:
        """The real process id."""
        return self.process.pid

    def settle(self) -> None:
        """Wait until it is still."""
        trio.run(lambda: wait_still({self.pid: self.clock}, guard_seconds=GUARD_SECONDS))

    def next_deadline(self) -> tuple[float, int] | None:
        """Let the next deadline come, and settle; None if the program waits for none."""
        due = self.clock.deadlines()
        if not due:
            return None
        self.clock.set_now(max(self.clock.now_us, after(due[0].us)))
        assert self.clock.wake(due[0].thread, due[0].sequence)
        self.settle()
        return (due[0].us - self.start_us) / 1_000_000, due[0].thread

    def to_end(self) -> list[tuple[float, int]]:
        """Let all deadlines come until the program has ended well."""
        self.settle()
        wakes = []
        while self.process.poll() is None:
            wake = self.next_deadline()
            assert wake or self.process.poll() is not None, f"it hangs: {self.clock.slots()}"
            wakes += [wake] if wake else []
            assert len(wakes) < WAKES_MAX
        assert self.process.returncode == 0
        return wakes


@contextmanager
def driven(command: Sequence[str], *, seed: int = 7, **options: object) -> Iterator[Driven]:
    """A program that is killed at the end with all that it started, if they are still there."""
    with tempfile.TemporaryDirectory() as directory:
        program = Driven(Path(directory), command, seed=seed, **options)
        try:
            yield program
        finally:
            if program.process.returncode is None:
                os.killpg(program.pid, signal.SIGKILL)
            program.process.wait()
            for stream in (program.process.stdin, program.process.stdout):
                if stream:
                    stream.close()
            program.clock.close()


def run(command: Sequence[str], *, seed: int = 7) -> Ended:
    """A program from its start to its end."""
    with tempfile.TemporaryFile() as output, driven(command, seed=seed, stdout=output) as program:
        wakes = program.to_end()
        output.seek(0)
        return Ended(output.read().decode().splitlines(), wakes)


def python(script: str) -> list[str]:
    """The command that runs a script in a bare Python, which starts faster."""
    return [sys.executable, "-S", "-c", script]
