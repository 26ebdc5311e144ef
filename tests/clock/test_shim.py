"""The clock's shim: the bytes we carry are those of the source beside them."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pgqmodel.clock import shim
from pgqmodel.clock.build import COMPILERS, compile_shim
from pgqmodel.clock.shim import SHIMS, SOURCES, source, unpack
from pgqmodel.clock.shim_binary import SOURCE_SHA256

MOMENT_US = 1_893_456_000_123_456
ASK = "import time; print(int(time.time()), time.time_ns() // 1000, time.monotonic_ns())"


def test_the_bytes_are_of_this_source() -> None:
    """Whoever changes the source and forgets to run build.py is told here."""
    assert hashlib.sha256(source().encode()).hexdigest() == SOURCE_SHA256


@pytest.mark.parametrize("machine", sorted(COMPILERS))
def test_each_machine_has_a_shared_library(machine: str) -> None:
    """What is unpacked is a 64-bit ELF shared object for that machine."""
    library = unpack(machine)
    assert library[:6] == b"\x7fELF\x02\x01"
    assert int.from_bytes(library[16:18], "little") == 3, "a shared object"
    assert int.from_bytes(library[18:20], "little") == {"x86_64": 62, "aarch64": 183}[machine]


def test_every_file_is_a_part_of_the_source() -> None:
    """A C file that is not listed would be left out of the library and of the digest."""
    there = {path.name for path in Path(shim.__file__).parent.iterdir() if path.suffix in {".c", ".h"}}
    assert there == {*SOURCES}


@pytest.mark.parametrize("machine", sorted(COMPILERS))
def test_no_version_of_glibc_is_wanted(machine: str) -> None:
    """The library is loaded into programs that came with whatever glibc there is; and it exports what it interposes."""
    library = unpack(machine)
    assert b"GLIBC_" not in library
    assert {b"clock_gettime", b"epoll_wait", b"getrandom", b"pgqmodel_enter"} <= {*library.split(b"\0")}


def answers(library: bytes, directory: Path, moment_us: int) -> list[int]:
    """What a process under a shim is told: seconds, microseconds, and nanoseconds of the monotonic clock."""
    (directory / "clock.so").write_bytes(library)
    (directory / "clock").write_bytes(moment_us.to_bytes(8, "little"))
    environment = os.environ | {"LD_PRELOAD": str(directory / "clock.so"), "PGQMODEL_CLOCK": str(directory / "clock")}
    told = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    return [int(word) for word in told.stdout.split()]


def libraries() -> list[bytes]:
    """The shim we carry for this machine, and where there is a compiler the one it makes of the source."""
    compiler = COMPILERS.get(platform.machine(), "")
    return [unpack(platform.machine()), *([compile_shim(compiler)] if shutil.which(compiler) else [])]


@pytest.mark.skipif(platform.system() != "Linux" or platform.machine() not in SHIMS, reason="no shim for this machine")
def test_the_shim_freezes_wall_time_and_nothing_else(tmp_path: Path) -> None:
    """Wall time is the file's to the microsecond, the monotonic clock is real, and 0 lets wall time run."""
    for library in libraries():
        seconds, microseconds, monotonic = answers(library, tmp_path, MOMENT_US)
        assert (seconds, microseconds) == (MOMENT_US // 1_000_000, MOMENT_US)
        assert monotonic != MOMENT_US * 1000
        assert answers(library, tmp_path, 0)[1] < MOMENT_US
