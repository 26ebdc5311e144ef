"""Completion in the shell: names of targets, simulations and styles, and the traces in the usual directory.

No target or simulation is imported for that: a list that takes a second to appear is of no use.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from pgqmodel.registry import SIMULATIONS, TARGETS, names
from pgqmodel.styles import described

__all__ = ["simulations", "styles", "targets", "traces"]

_TRACES = "pgqmodel-findings/*/trace.json"


def targets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The registered targets, and files."""
    return [*_starting(names(TARGETS), incomplete), CompletionItem(incomplete, type="file")]


def simulations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The installed simulations, and `all` of them."""
    return _starting(["all", *names(SIMULATIONS)], incomplete)


def styles(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The styles of which `init` can write a file."""
    return _starting(described(), incomplete)


def traces(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The traces in the directory where `check` writes findings, and files."""
    found = sorted(map(str, Path().glob(_TRACES)))
    return [*_starting(found, incomplete), CompletionItem(incomplete, type="file")]


def _starting(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]
