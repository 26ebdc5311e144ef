"""Environments of Python for the libraries of adapters, in the cache: made whole or not at all.

An environment is made in a folder of its own and renamed when it is finished, so that nobody finds half of one. pip is
the only client of the package index, with the caller's own configuration.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from pgqmodel.errors import TargetError

__all__ = ["Environment", "installed", "newest"]

_PIP_SECONDS_MAX = 600
_NOTED = ("--disable-pip-version-check", "--no-input")
_REASON_CHARACTERS_MAX = 400
_ERROR = re.compile(r"^ERROR: (.*)$", re.MULTILINE)
_VERSIONS = re.compile(r"from versions: ([^)]{100,})")


@frozen(kw_only=True)
class Environment:
    """An environment in which a library is installed at a version."""

    place: Path
    version: str

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.place / "bin" / "python"

    @property
    def packages(self) -> list[str]:
        """All packages in it, with their versions."""
        return sorted(path.stem for path in self.place.glob("lib/python*/site-packages/*.dist-info"))

    @contextmanager
    def making(self, folder: Path) -> Iterator[Path]:
        """A folder to write into, which gets its name at the end."""
        with _unfinished(self.place) as unfinished:
            yield unfinished
            unfinished.rename(folder)


def installed(shelf: Path, name: str, version: str, needed: Sequence[str]) -> Environment:
    """The environment of a library at a version, with what else is needed; TargetError if pip cannot install it."""
    words = (f"{name}=={version}", *needed)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = hashlib.sha256(repr((words, sys.prefix, python)).encode()).hexdigest()[:12]
    place = shelf / f"{name}-{version}-{key}"
    if not (place / "bin" / "python").exists():
        shutil.rmtree(place, ignore_errors=True)  # its Python is gone
        with _unfinished(shelf) as unfinished:
            pip = _pip(unfinished)
            _run([*pip, "install", *_NOTED, "--quiet", *words], words[0], needed)
            unfinished.rename(place)
    return Environment(place=place, version=version)


def newest(name: str, needed: Sequence[str]) -> str:
    """The newest version of a library that pip would install beside what is needed."""
    with tempfile.TemporaryDirectory() as directory:
        pip = _pip(Path(directory))
        words = ("--dry-run", "--ignore-installed", "--quiet", "--report", "-", name, *needed)
        report = json.loads(_run([*pip, "install", *_NOTED, *words], name, needed))
    found = {item["metadata"]["name"].lower(): item["metadata"]["version"] for item in report["install"]}
    return str(found[name])


def _pip(place: Path) -> list[str]:
    """Make an empty environment, and return the words that run pip for it: our own pip, or else one of its own."""
    ours = importlib.util.find_spec("pip") is not None
    words = [sys.executable, "-m", "venv", "--symlinks", *(["--without-pip"] if ours else []), str(place)]
    subprocess.run(words, check=True, capture_output=True)
    python = str(place / "bin" / "python")
    return [sys.executable, "-m", "pip", "--python", python] if ours else [python, "-m", "pip"]


def _run(words: list[str], asked: str, needed: Sequence[str]) -> str:
    """Run pip; its output. TargetError with the reason that it gives, if it fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PIP_SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        reason = f"it took longer than {_PIP_SECONDS_MAX} seconds"
    else:
        if not done.returncode:
            return done.stdout
        reason = _reason(done.stderr)
    message = (
        f"{asked}: pip cannot install it: {reason}; expected a version that the package index has, together with "
        f"{', '.join(needed)}. Name another version, or run `pip download {asked}` to see more"
    )
    raise TargetError(message)


def _reason(said: str) -> str:
    """The first error that pip tells; of the versions that it lists, the last ones."""
    errors: list[str] = _ERROR.findall(said)
    error = errors[0] if errors else said.strip()[-_REASON_CHARACTERS_MAX:] or "it says nothing"
    return _VERSIONS.sub(lambda found: ", ".join(["from versions: ..", *found.group(1).split(", ")[-8:]]), error)


@contextmanager
def _unfinished(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`; removed at the end if it still has its name."""
    folder = Path(tempfile.mkdtemp(prefix="unfinished-", dir=parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
