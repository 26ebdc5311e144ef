"""A place to run the program in and to end it there: what runs, what is left, and nothing of anybody else's."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from attrs import frozen

from cli.commands import PROGRAM

__all__ = ["Place"]

PATIENCE_SECONDS = 60.0


@frozen
class Place:
    """A directory for the temporary files of the programs that are started here."""

    root: Path

    @classmethod
    @contextlib.contextmanager
    def made(cls) -> Iterator[Self]:
        """A new one, that the server's user can get into too."""
        with tempfile.TemporaryDirectory(prefix="place-") as directory:
            Path(directory).chmod(0o755)
            yield cls(Path(directory))

    def start(self, *words: object) -> subprocess.Popen[str]:
        """Start the program in a session of its own, as a terminal would."""
        return subprocess.Popen(
            [PROGRAM, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            env={**os.environ, "TMPDIR": str(self.root)},
            start_new_session=True,
        )

    def end(self, program: subprocess.Popen[str], how: signal.Signals, *, group: bool = False) -> tuple[int, str]:
        """Send a program (or all of its group, as Ctrl-C does) a signal: its code and its standard output.

        No traceback is shown, and nothing is left.
        """
        if group:
            os.killpg(program.pid, how)
        else:
            program.send_signal(how)
        out, err = program.communicate(timeout=PATIENCE_SECONDS)
        assert "Traceback" not in err, err
        self.wait_until_clean()
        return program.returncode, out

    def servers(self) -> list[int]:
        """The pids of the servers that run here and let clients in."""
        found = []
        for file in self.root.glob("pgqmodel-*/data/postmaster.pid"):
            lines = file.read_text().splitlines()
            if len(lines) > 7 and lines[7].strip() == "ready":
                found.append(int(lines[0]))
        return found

    def processes(self) -> list[int]:
        """The processes that bear this place in their command or in their environment."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(self.root).encode() in told:
                found.append(int(entry.name))
        return found

    def left(self) -> list[str]:
        """The directories of servers and of processes that lie here."""
        return sorted(path.name for each in ("pgqmodel-*", "pymp-*") for path in self.root.glob(each))

    def wait_for_worlds(self, program: subprocess.Popen[str], number: int) -> None:
        """Wait until a program has opened so many worlds: their clients' doors are there."""
        doors = "pgqmodel-*/socket/gate-*/A/.s.PGSQL.5432"
        self.wait_until(lambda: len(list(self.root.glob(doors))) >= number, f"{number} worlds open", program)

    def wait_until_clean(self) -> None:
        """Wait until no process and no directory is left."""
        self.wait_until(lambda: not self.processes() and not self.left(), "nothing is left")

    def wait_until(
        self, condition: Callable[[], bool], what: str, program: subprocess.Popen[str] | None = None
    ) -> None:
        """Wait for a condition, as long as the program runs and patience lasts."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert program is None or program.poll() is None, program.communicate()
            assert time.monotonic() < deadline, f"expected that {what}; there are {self.processes()} and {self.left()}"
            time.sleep(0.02)
