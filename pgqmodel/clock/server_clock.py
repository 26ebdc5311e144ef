"""A server's clock and its random values: the memory page that the shim reads, and the shim's file on disk.

The shim is written in C, in the files that `shim.py` lists; its part for servers is `shim_server.c`.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from pgqmodel.clock.shim import put_shim
from pgqmodel.horizon import START_SECONDS

__all__ = ["START_US", "ServerClock"]

START_US = START_SECONDS * 1_000_000
"""The time at which every story starts, in microseconds since the epoch."""
TICKS_MAX = 900
"""The most ticks of a story, in microseconds. It must be less than the 1,000 us by which a deadline is tried early; in
a story with more statements the last ones have the same time."""
_PAGE_BYTES = 4096
"""The page has words of eight bytes: the time, the seed of random values, and the number of draws from each stream."""
_SEEDS = 2**64 - 1
_UNDRAWN = memoryview(bytes(_PAGE_BYTES - 16)).cast("Q")


class ServerClock:
    """A server's clock, frozen until it is advanced, and its random values, which are real until a seed is set."""

    limits = ""
    ticking = True
    """Whether statements take time. On a server without our clock they take none."""
    ticks = 0
    """The microseconds by which the server's time is ahead of the story's."""

    def __init__(self, library: Path, file: Path) -> None:
        self.file = file
        self.environment = {"LD_PRELOAD": str(library), "PGQMODEL_CLOCK": str(file)}
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), _PAGE_BYTES)
        self._page = memoryview(self._map).cast("Q")

    @classmethod
    def make(cls, directory: Path) -> ServerClock | None:
        """A frozen clock with its files in `directory`; None if there is no shim for this machine."""
        library = directory / "clock.so"
        if not put_shim(library):
            return None
        file = directory / "clock"
        file.write_bytes(START_US.to_bytes(8, "little").ljust(_PAGE_BYTES, b"\0"))
        for path in (library, file):
            path.chmod(0o644)
        return cls(library, file)

    @property
    def now_us(self) -> int:
        """The story's time, in microseconds since the epoch; the server's time is ahead of it by the ticks."""
        return self._page[0] - self.ticks

    def advance(self, us: int) -> None:
        """Move the clock by `us` microseconds."""
        self._page[0] += us

    def tick(self) -> None:
        """Let a microsecond of the server's time pass for a statement, so that no two stamps are the same.

        The story's time does not count it: all ticks of a story are less than the margin for trying deadlines.
        """
        if self.ticking and self.ticks < TICKS_MAX:
            self.ticks += 1
            self._page[0] += 1

    def stamp(self) -> int:
        """A moment that a client takes down, in microseconds since the epoch: as singular as the server's own are."""
        self.tick()
        return self._page[0]

    def reset(self, seed: int) -> None:
        """Go back to the start of every story: its time, and the first random values of `seed`."""
        self._page[0], self.ticks = START_US, 0
        self._page[1] = seed % _SEEDS + 1  # 0 means real random values
        self._page[2:] = _UNDRAWN

    def close(self) -> None:
        """Close the file."""
        self._page.release()
        self._map.close()
