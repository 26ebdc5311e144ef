"""A server's clock and its chance: the page that the shim answers from, and the shim's bytes on disk.

What the shim does stands in `shim.c`, its bytes in `shim_binary.py`.
"""

from __future__ import annotations

import mmap
import platform
import shutil
import subprocess
from pathlib import Path

from pgqmodel.clock.shim import SHIMS, source, unpack
from pgqmodel.horizon import START_SECONDS

__all__ = ["START_US", "ServerClock"]

START_US = START_SECONDS * 1_000_000
"""Where every story starts, in microseconds since the epoch."""
TICKS_MAX = 900
"""In microseconds; deadlines are tried a thousand before them. In a story with more statements the last are at once."""
_PAGE_BYTES = 4096
"""The moment, the seed of chance, and how often each of the streams was drawn from: words of eight bytes."""
_SEEDS = 2**64 - 1
_UNDRAWN = memoryview(bytes(_PAGE_BYTES - 16)).cast("Q")


class ServerClock:
    """A server's clock, frozen until it is advanced, and its chance, which is real until a story gives it a seed."""

    limits = ""
    ticks = 0
    """By how many microseconds the server's time is ahead of the story's."""

    def __init__(self, library: Path, file: Path) -> None:
        self.file = file
        self.environment = {"LD_PRELOAD": str(library), "PGQMODEL_CLOCK": str(file)}
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), _PAGE_BYTES)
        self._page = memoryview(self._map).cast("Q")

    @classmethod
    def make(cls, directory: Path) -> ServerClock | None:
        """A frozen clock whose files lie in `directory`; None where there is no shim for this machine."""
        library = directory / "clock.so"
        if not _put_shim(library):
            return None
        file = directory / "clock"
        file.write_bytes(START_US.to_bytes(8, "little").ljust(_PAGE_BYTES, b"\0"))
        for path in (library, file):
            path.chmod(0o644)
        return cls(library, file)

    @property
    def now_us(self) -> int:
        """The story's time, in microseconds since the epoch; the server's is ahead of it by its ticks."""
        return self._page[0] - self.ticks

    def advance(self, us: int) -> None:
        """Move the clock by `us` microseconds."""
        self._page[0] += us

    def tick(self) -> None:
        """A statement takes a microsecond of the server's time, so that no two stamps are the same.

        The story's time does not count it: all ticks of a story are less than the margin by which it tries deadlines.
        """
        if self.ticks < TICKS_MAX:
            self.ticks += 1
            self._page[0] += 1

    def stamp(self) -> int:
        """A moment that a client takes down, in microseconds since the epoch: as singular as the server's own are."""
        self.tick()
        return self._page[0]

    def reset(self, seed: int) -> None:
        """Back to where every story starts: its moment, and the first random values of `seed`."""
        self._page[0], self.ticks = START_US, 0
        self._page[1] = seed % _SEEDS + 1  # 0 would be real chance
        self._page[2:] = _UNDRAWN

    def close(self) -> None:
        """Let go of the file."""
        self._page.release()
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
