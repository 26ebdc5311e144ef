"""The shim that gives a server, and the processes of a worker, their virtual time: as source and as bytes."""

from __future__ import annotations

import platform
import shutil
import subprocess
from base64 import b85decode
from importlib.resources import files
from pathlib import Path
from zlib import decompress

from pgqmodel.clock.shim_binary import SHIMS

__all__ = ["FLAGS", "SHIMS", "SOURCES", "put_shim", "source", "unpack"]

SOURCES = (
    "shim.h",
    "shim_raw.c",
    "shim_server.c",
    "shim_page.c",
    "shim_clock.c",
    "shim_wait.c",
    "shim_words.c",
    "shim_chance.c",
    "shim_timers.c",
    "shim_process.c",
    "shim_syscall.c",
)
"""The files of the one translation unit, in the order in which they are joined."""
FLAGS = (
    "-Os",
    "-shared",
    "-fPIC",
    "-nostdlib",
    "-fvisibility=hidden",
    "-ftls-model=initial-exec",
    "-fno-stack-protector",
    "-s",
    "-Wl,--hash-style=gnu,--build-id=none,-z,noseparate-code",
)
"""What the compiler is told. The library is linked with nothing: see `shim.h`."""


def source() -> str:
    """The shim's C source, all files in one."""
    return "\n".join((files("pgqmodel.clock") / name).read_text(encoding="utf-8") for name in SOURCES)


def unpack(machine: str) -> bytes:
    """The shim for a machine type, as `platform.machine()` names it; KeyError if there is none."""
    return decompress(b85decode(SHIMS[machine]))


def put_shim(library: Path) -> bool:
    """Write the shim for this machine: from our bytes, or compiled here if there is a compiler. False if neither."""
    if platform.system() != "Linux":
        return False
    if platform.machine() in SHIMS:
        library.write_bytes(unpack(platform.machine()))
        return True
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return False
    command: list[str | Path] = [compiler, *FLAGS, "-x", "c", "-o", library, "-"]
    return subprocess.run(command, input=source().encode(), capture_output=True, check=False).returncode == 0
