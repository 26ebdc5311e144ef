"""The target files that `pgqmodel init --style` writes: one a style, each of them sound and whole, to be copied.

The first line of a file is its style and what that is. A file that is added here is offered, packed and explored like
the others. How target files are read is not known here.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from pgqmodel.errors import UsageError
from pgqmodel.phrases import meant

__all__ = ["described", "write_style"]

_SUFFIX = ".toml"


def described() -> dict[str, str]:
    """The styles in the order of the alphabet, each with what it is, in a line."""
    texts = {file.name: file.read_text(encoding="utf-8") for file in files(__name__).iterdir()}
    first = [texts[name].partition("\n")[0] for name in sorted(texts) if name.endswith(_SUFFIX)]
    lines = [line.removeprefix("# ").partition(": ") for line in first]
    return {style: says for style, _, says in lines}


def write_style(style: str, place: Path) -> Path:
    """Write the file of a style to `place`, or into it where that is a directory; UsageError, and nothing is written.

    `check` knows a target file by its suffix, so a place without it is a directory.
    """
    known = described()
    if style not in known:
        message = (
            f"there is no style {style!r}; expected one of {', '.join(known)}. {meant(style, known)}"
            "`pgqmodel init --help` says what each of them is"
        )
        raise UsageError(message)
    path = place if place.suffix == _SUFFIX else place / f"{style}{_SUFFIX}"
    text = (files(__name__) / f"{style}{_SUFFIX}").read_text(encoding="utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        message = f"{error.filename} is there already; expected a place without it. Name another file"
        raise UsageError(message) from error
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}; expected a place for a file. Name another"
        raise UsageError(message) from error
    return path
