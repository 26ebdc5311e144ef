"""Rebuilds `shim_binary.py` from the C sources: `python pgqmodel/clock/build.py`. Run it after every change of them.

It needs a gcc for every machine type, so that none of them keeps the bytes of an older source.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import zlib
from base64 import b85encode
from pathlib import Path

from pgqmodel.clock.shim import FLAGS, source

COMPILERS = {"x86_64": "x86_64-linux-gnu-gcc", "aarch64": "aarch64-linux-gnu-gcc"}


def compile_shim(compiler: str) -> bytes:
    """The bytes of the shared library that a compiler makes of the source."""
    with tempfile.TemporaryDirectory() as directory:
        library = Path(directory) / "clock.so"
        command: list[str | Path] = [compiler, *FLAGS, "-Wall", "-Werror", "-x", "c", "-o", library, "-"]
        subprocess.run(command, input=source().encode(), check=True)
        return library.read_bytes()


def main() -> None:
    """Compile for every machine, and write the module."""
    if missing := [compiler for compiler in COMPILERS.values() if not shutil.which(compiler)]:
        message = f"no {' and no '.join(missing)}; expected a compiler for each machine. Install the packages gcc-*"
        raise SystemExit(message)
    shims = {
        machine: b85encode(zlib.compress(compile_shim(compiler), 9)).decode() for machine, compiler in COMPILERS.items()
    }
    digest = hashlib.sha256(source().encode()).hexdigest()
    lines = [
        '"""The compiled shim, compressed, one text a machine. Made by `build.py` from its sources; do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        f'SOURCE_SHA256 = "{digest}"',
        "SHIMS = {",
        *(f'    "{machine}": (\n{_wrapped(text)}\n    ),' for machine, text in shims.items()),
        "}",
        "",
    ]
    Path(__file__).with_name("shim_binary.py").write_text("\n".join(lines))


def _wrapped(text: str) -> str:
    """A long text as lines of a Python literal."""
    return "\n".join(f'        "{text[start : start + 110]}"' for start in range(0, len(text), 110))


if __name__ == "__main__":
    main()
