"""The clock and the chance of a worker's processes: the page that they share, and the waits that are written in it.

`shim.h` has the same layout, and says how a wait begins and ends. Time stands still until `set_now`. Whoever moves it
does three things, each when the processes are still (`stillness.py`): choose the earliest deadline, move the clock, and
wake one wait after another in the order of `deadlines`; between two of them the processes must be still again, or the
order of what they do is up to the kernel.

**Move the clock to the next whole millisecond after a deadline** (`after`), never to the deadline itself. A program
that asks `now > end` would find that no time is left to wait and that it is not over yet, and would ask again for ever.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import attrs

from pgqmodel.clock.shim import put_shim
from pgqmodel.errors import UsageError
from pgqmodel.horizon import START_SECONDS

__all__ = ["Deadline", "ProcessClock", "Slot", "after"]

LAYOUT = 1
WAKE = 63
"""The signal that ends a wait."""
REAL_IDS_END = 4_194_304
"""The highest process id that Linux can give (PID_MAX_LIMIT)."""
PROCESSES = 128
SLOTS = 1024
_PROCESSES_AT = 4096 // 8
_SLOTS_AT = _PROCESSES_AT + PROCESSES * 8
_PAGE_BYTES = (_SLOTS_AT + SLOTS * 8) * 8
_LOW = 0xFFFF_FFFF
_BORN = _LOW
_SEEDS = 2**64
_TGKILL = {"x86_64": 234, "aarch64": 131}


@attrs.frozen(kw_only=True, order=True)
class Deadline:
    """A wait that ends by the clock: when, in which thread, and the number of the wait in that thread.

    `thread` tells the order in which threads were made, and is the same in every run: the number of its process among
    the processes of the page, times 2 ** 32, plus the number of the thread in its process, from 1.
    """

    us: int
    thread: int
    sequence: int


class Slot(NamedTuple):
    """What a thread says of itself. `sequence` is odd while it waits; `call` is the system call by which it waits."""

    process: int
    thread: int
    birth: int
    sequence: int
    deadline: int
    call: int


def after(us: int) -> int:
    """The moment to which time is moved for a deadline: the next whole millisecond after it."""
    return us // 1000 * 1000 + 1000


class ProcessClock:
    """The page of one worker: of a process that is started with `environment`, and of all that it starts."""

    def __init__(self, library: Path, file: Path, *, name: str) -> None:
        self.name = name
        self.file = file
        self.environment = {
            "LD_PRELOAD": str(library),
            "PGQMODEL_PROCESS": str(file),
            "OPENSSL_ia32cap": "~0x10",  # OpenSSL would mix the processor's count of ticks into its random values
        }
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), _PAGE_BYTES)
        self._page = memoryview(self._map).cast("Q")
        self._header = memoryview(self._map).cast("I")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._closing: list[Callable[[], object]] = []

    @classmethod
    def make(cls, directory: Path, library: Path, *, name: str, seed: int, process_id: int) -> ProcessClock:
        """A frozen clock with a fresh page in `directory`, at the start of every story.

        `library` is the shim, as `put_shim` wrote it; several clocks may share it. `process_id` is what the first
        process takes for its own id; those that it starts count on from there, so that two clocks need some distance.
        """
        if process_id <= REAL_IDS_END:
            message = f"process id {process_id} of {name} may be real; expected one above {REAL_IDS_END}. Raise it"
            raise UsageError(message)
        if not library.exists() and not put_shim(library):
            here = f"{platform.system()} on {platform.machine()}"
            message = f"no clock's shim for {here}; expected Linux on x86_64 or aarch64, or a C compiler. Install gcc"
            raise UsageError(message)
        start = START_SECONDS * 1_000_000
        words = (LAYOUT, start, start, seed % _SEEDS, process_id)
        file = directory / f"{name}.page"
        file.unlink(missing_ok=True)  # a process that still has an old page keeps it
        file.write_bytes(b"".join(word.to_bytes(8, "little") for word in words).ljust(_PAGE_BYTES, b"\0"))
        return cls(library, file, name=name)

    @property
    def now_us(self) -> int:
        """The processes' time, in microseconds since the epoch."""
        return self._page[1]

    def set_now(self, us: int) -> None:
        """Move the clock; it never goes back. Nobody is woken by that: see `wake`."""
        if us < self._page[1]:
            message = f"the clock of {self.name} stands at {self._page[1]} us and was to go back to {us} us"
            raise ValueError(message)
        self._page[1] = us

    @property
    def opened(self) -> int:
        """How many programs have read the page. None: the program never loaded the shim."""
        return self._header[11]

    @property
    def lost(self) -> int:
        """How many threads and processes found no room in the page, and live in real time."""
        return self._header[12]

    @property
    def real_timers(self) -> int:
        """Which timers of the kernel a program has set, as bits: an alarm, a timer of its own, a socket's timeout."""
        return self._header[13]

    def process_ids(self) -> dict[int, int]:
        """The real id of every process that ever had the page, by its place in the page."""
        starts = range(_PROCESSES_AT * 2, _SLOTS_AT * 2, 16)
        return {place: self._header[at + 1] for place, at in enumerate(starts) if self._header[at]}

    def slots(self) -> dict[int, Slot]:
        """What all threads say of themselves, by their real thread ids."""
        return {slot.thread: slot for _, slot in self._slots()}

    def sequences(self) -> dict[int, int]:
        """The number of each thread's present wait, by its real thread id; even if the thread does not wait."""
        page, sequences = self._page, {}
        for at in range(_SLOTS_AT, _SLOTS_AT + SLOTS * 8, 8):
            thread = page[at] & _LOW
            if thread:
                sequences[thread] = page[at + 2]
            elif not page[at + 1] and not page[at + 2]:
                break  # never used, and neither are those behind it
        return sequences

    def _slots(self) -> Iterator[tuple[int, Slot]]:
        for at in range(_SLOTS_AT, _SLOTS_AT + SLOTS * 8, 8):
            words = self._page[at : at + 8].tolist()
            thread, place = words[0] & _LOW, words[0] >> 32
            if thread and thread != _BORN:
                process = self._header[_PROCESSES_AT * 2 + place * 16 + 1]
                yield at, Slot(process, thread, words[1], words[2], words[3], words[5])
            elif not any(words[:3]):
                return

    def deadlines(self) -> tuple[Deadline, ...]:
        """The waits of living threads that end by the clock, the earliest first, then the oldest thread's."""
        return tuple(
            sorted(
                Deadline(us=slot.deadline, thread=slot.birth, sequence=slot.sequence)
                for _, slot in self._slots()
                if slot.deadline and slot.sequence % 2 and _lives(slot.process, slot.thread)
            )
        )

    def wake(self, thread: int, sequence: int) -> bool:
        """End a wait as if its time had come; False if it is not that thread's present wait."""
        for at, slot in self._slots():
            if slot.birth == thread and slot.sequence == sequence and sequence % 2:
                self._page[at + 4] = sequence
                number = _TGKILL.get(platform.machine(), 131)
                return int(self._libc.syscall(number, slot.process, slot.thread, WAKE)) == 0
        return False

    def closing(self, close: Callable[[], object]) -> None:
        """Have something else closed with the page."""
        self._closing.append(close)

    def close(self) -> None:
        """Close the page; the processes keep it."""
        for close in self._closing:
            close()
        self._header.release()
        self._page.release()
        self._map.close()


def _lives(process: int, thread: int) -> bool:
    """Whether a thread exists and has not ended: the slot of a killed process stays as it was."""
    try:
        file = os.open(f"/proc/{process}/task/{thread}/stat", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return os.read(file, 512).rpartition(b") ")[2][:1] not in {b"Z", b"X"}
    except ProcessLookupError:
        return False
    finally:
        os.close(file)
