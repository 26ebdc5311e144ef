"""Finds a target by its registered name, in a file, as an object of a module, or as a library with an adapter.

It also writes the template of a new one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from attrs import evolve

from pgqmodel.adapters import adapt, libraries
from pgqmodel.errors import TargetError, UsageError
from pgqmodel.phrases import counted, meant
from pgqmodel.registry import TARGETS, entries
from pgqmodel.target.parse import read_file
from pgqmodel.target.target import Target

__all__ = ["load", "names", "write_template"]

_TEMPLATE = ("schema.sql", "jobs.toml")


def load(name: str) -> Target:
    """The target for a name, a `.toml` file, `package.module:object` or `library==version`; else TargetError.

    Its `source` finds the same target again: of a library without a version it names the version that was the newest.
    """
    registered = entries(TARGETS)
    if name in registered:
        return evolve(_resolve(registered[name].load(), name), source=name)
    if name.endswith(".toml"):
        return read_file(Path(name))
    module, colon, attribute = name.partition(":")
    if colon and module and attribute:
        return evolve(_resolve(_import(module, attribute, name), name), source=name)
    adapted = adapt(name)
    if adapted is not None:
        return evolve(read_file(adapted.file), source=adapted.source, name=f"{adapted.name}-{adapted.version}")
    known = [*registered, *libraries()]
    message = (
        f"there is no target {name!r}; expected one of {', '.join(known)}, a target file (.toml), or "
        f"package.module:object. {meant(name, known)}`pgqmodel targets` lists the names, `pgqmodel init DIR` "
        "writes a file"
    )
    raise TargetError(message)


def names() -> dict[str, str]:
    """The registered targets and the libraries with an adapter, each with a line that describes it."""
    found = {name: _resolve(entry.load(), name) for name, entry in entries(TARGETS).items()}
    targets = {
        name: f"{counted(len(target.operations), 'operation')}, {counted(len(target.promises), 'promise')}"
        for name, target in found.items()
    }
    return targets | {name: f"adapter for {says}" for name, says in libraries().items() if name not in targets}


def _import(module: str, attribute: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        message = f"the target {name!r} cannot be imported: {error}; expected package.module:object. Check the spelling"
        raise TargetError(message) from error
    except (Exception, SystemExit) as error:  # a module may do anything while it is imported
        message = (
            f"the target {name!r} cannot be imported: {module} raised {error!r:.200}; expected a module that can be "
            "imported. Import it in Python to see where"
        )
        raise TargetError(message) from error


def _resolve(found: Target | Path | Callable[[], Any], name: str) -> Target:
    """The target of a registered object: the object itself, the target in a file, or the result of a callable."""
    if isinstance(found, Target):
        return found
    if isinstance(found, Path):
        return read_file(found)
    if callable(found):
        return _resolve(found(), name)
    message = (
        f"the target {name!r} is a {type(found).__name__}; expected a Target, the path of a file, or a callable that "
        "gives one. Register one of these"
    )
    raise TargetError(message)


def write_template(directory: Path) -> list[Path]:
    """Write a target file and its schema; if one exists already, UsageError, and nothing is written."""
    paths = [directory / name for name in _TEMPLATE]
    for path in paths:
        if path.exists():
            message = f"{path} is there already; expected a directory without it. Name another directory"
            raise UsageError(message)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path in paths:
            path.write_text((files("pgqmodel.target") / "template" / path.name).read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{directory} cannot be written to: {error.strerror}; expected a place for two files. Name another"
        raise UsageError(message) from error
    return paths
