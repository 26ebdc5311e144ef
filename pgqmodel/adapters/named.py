"""Finds an adapter by the name of a library and a version, and makes a plain target file of it.

The files of an adapter are copied beside an environment that has the library, together with the schema that the library
prints at that version. What comes out is a target file like any other: it can be looked at, copied and changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from pgqmodel.adapters.environments import Environment, installed, newest
from pgqmodel.errors import TargetError
from pgqmodel.phrases import meant
from pgqmodel.server.binaries import cache_directory

__all__ = ["Adapted", "Library", "adapt", "libraries", "named"]

_HERE = Path(__file__).parent
_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)")
_METADATA = re.compile(r"^# /// script\n((?:#.*\n)+?)# ///$", re.MULTILINE)
_NEEDED = re.compile(r'"([^"]+)"')
_PRINT_SECONDS_MAX = 60
_OUTPUT_CHARACTERS_MAX = 600


@frozen(kw_only=True)
class Library:
    """A library that has an adapter, and its version; no version means the newest."""

    name: str
    version: str | None = None

    @property
    def target(self) -> Path:
        """The target file of the adapter."""
        return _HERE / f"{self.name}.toml"

    @property
    def worker(self) -> Path:
        """The worker script of the adapter."""
        return _HERE / f"{self.name}_worker.py"

    @property
    def needed(self) -> tuple[str, ...]:
        """What the worker script needs, by its inline metadata: the oldest version, and the packages beside it."""
        found = _METADATA.search(self.worker.read_text(encoding="utf-8"))
        assert found is not None, f"{self.worker.name} says what it needs, as PEP 723 has it"
        return tuple(_NEEDED.findall(found.group(1)))


@frozen(kw_only=True)
class Adapted:
    """The target file that was made for a library at a version."""

    name: str
    version: str
    file: Path

    @property
    def source(self) -> str:
        """The name by which the same version is found again."""
        return f"{self.name}=={self.version}"


def libraries() -> dict[str, str]:
    """The libraries that have an adapter, each with the first line of its target file, which says what it is."""
    files = sorted(_HERE.glob("*.toml"))
    return {file.stem: file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for file in files}


def named(name: str) -> Library | None:
    """The library that a name means; None if it does not look like one. TargetError if there is no such adapter."""
    if name in libraries():
        return Library(name=name)
    pinned = _NAME.fullmatch(name)
    if pinned is not None and pinned.group(1) in libraries():
        return Library(name=pinned.group(1), version=pinned.group(2))
    library = re.split(r"[=<>~!]=|[<>@]", name)[0].strip()
    if library == name or "/" in name:
        return None
    if library in libraries():
        message = f"the target {name!r} names no version; expected {library}==VERSION, or {library} for the newest"
        raise TargetError(message)
    message = (
        f"there is no adapter for {library!r}; expected one of {', '.join(libraries())}. {meant(library, libraries())}"
        "docs/adapters.md says how to write one"
    )
    raise TargetError(message)


def adapt(name: str) -> Adapted | None:
    """The target file for a library, made if it is not there yet; None if the name is not a library's.

    TargetError if pip cannot install the version, or if the library does not print its schema.
    """
    library = named(name)
    if library is None:
        return None
    shelf = cache_directory() / "adapters"
    shelf.mkdir(exist_ok=True)
    version = library.version or newest(library.name, library.needed)
    with _alone(shelf, library.name):
        environment = installed(shelf, library.name, version, library.needed)
        file = _written(library, environment)
    return Adapted(name=library.name, version=version, file=file)


@contextmanager
def _alone(shelf: Path, name: str) -> Iterator[None]:
    """Let one process at a time make something of this library."""
    with (shelf / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _written(library: Library, environment: Environment) -> Path:
    """The target file, with its worker and its schema, in a folder of the environment; written if it is not there."""
    target, worker = library.target.read_bytes(), library.worker.read_bytes()
    folder = environment.place / f"target-{hashlib.sha256(target + worker).hexdigest()[:12]}"
    if not folder.exists():
        with environment.making(folder) as unfinished:
            (unfinished / library.target.name).write_bytes(target)
            (unfinished / library.worker.name).write_bytes(worker)
            (unfinished / "schema.sql").write_text(_schema(library, environment), encoding="utf-8")
    return folder / library.target.name


def _schema(library: Library, environment: Environment) -> str:
    """The schema that the library prints, under a comment that names all versions: they are part of the fingerprint."""
    done = subprocess.run(
        [environment.python, "-I", library.worker, "schema"],
        capture_output=True,
        text=True,
        timeout=_PRINT_SECONDS_MAX,
        check=False,
    )
    if done.returncode or not done.stdout.strip():
        message = (
            f"{library.name}=={environment.version}: it does not print its schema; expected a version that this "
            f"adapter knows: {', '.join(library.needed)}. Name another one. It said: "
            f"{done.stderr.strip()[-_OUTPUT_CHARACTERS_MAX:] or 'nothing'}"
        )
        raise TargetError(message)
    return f"-- {' '.join(environment.packages)}\n{done.stdout}"
