"""A server's clock: the file that the shim answers from, and the shim's bytes on disk.

What the shim does stands in `shim.c`, its bytes in `shim_binary.py`.
"""

from __future__ import annotations

import mmap
import platform
import shutil
import subprocess
from pathlib import Path

from pgqmodel.clock.shim import SHIMS, source, unpack

__all__ = ["START_US", "ServerClock"]

START_US = 1_893_456_000_000_000
"""Where every story starts: 2030-01-01 00:00:00 UTC, in microseconds since the epoch."""


class ServerClock:
    """A server's clock, frozen until it is advanced."""

    limits = ""

    def __init__(self, library: Path, file: Path) -> None:
        self.file = file
        self.environment = {"LD_PRELOAD": str(library), "PGQMODEL_CLOCK": str(file)}
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), 8)
        self._word = memoryview(self._map).cast("q")

    @classmethod
    def make(cls, directory: Path) -> ServerClock | None:
        """A frozen clock whose files lie in `directory`; None where there is no shim for this machine."""
        library = directory / "clock.so"
        if not _put_shim(library):
            return None
        file = directory / "clock"
        file.write_bytes(START_US.to_bytes(8, "little"))
        for path in (library, file):
            path.chmod(0o644)
        return cls(library, file)

    @property
    def now_us(self) -> int:
        """The server's time, in microseconds since the epoch."""
        return self._word[0]

    def advance(self, us: int) -> None:
        """Move the clock by `us` microseconds."""
        self._word[0] += us

    def reset(self) -> None:
        """Back to where every story starts."""
        self._word[0] = START_US

    def close(self) -> None:
        """Let go of the file."""
        self._word.release()
        self._map.close()


def _put_shim(library: Path) -> bool:
    """Write the shim for this machine: the bytes we carry, or compiled here if there is a compiler."""
    if platform.system() != "Linux":
        return False
    if platform.machine() in SHIMS:
        library.write_bytes(unpack(platform.machine()))
        return True
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return False
    command: list[str | Path] = [compiler, "-O2", "-shared", "-fPIC", "-nostdlib", "-x", "c", "-o", library, "-"]
    return subprocess.run(command, input=source().encode(), capture_output=True, check=False).returncode == 0
