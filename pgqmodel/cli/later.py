"""The commands of the contract that this version does not have yet: they say so, and exit with 2."""

from __future__ import annotations

from typing import NoReturn

import click

from pgqmodel.errors import UsageError

__all__ = ["sim", "verify"]

_ANY = {"ignore_unknown_options": True, "allow_extra_args": True}


@click.command(context_settings=_ANY)
@click.argument("name", required=False)
def sim(name: str | None) -> None:
    """Run a stress simulation (not in this version)."""
    _refuse("sim")


@click.command(context_settings=_ANY)
@click.argument("history", required=False)
def verify(history: str | None) -> None:
    """Judge a recorded history (not in this version)."""
    _refuse("verify")


def _refuse(command: str) -> NoReturn:
    message = (
        f"`pgqmodel {command}` is part of the contract, but this version does not have it yet; "
        "expected check, replay, report, targets or init. Use `pgqmodel check` meanwhile"
    )
    raise UsageError(message)
