"""The group of commands, and the one place where an exception becomes an exit code and a sentence."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from pgqmodel import __version__
from pgqmodel.errors import PgqmodelError

__all__ = ["cli", "main"]

INTERRUPTED = 130
MODULES = {
    "check": "check",
    "init": "targets",
    "replay": "replay",
    "report": "report",
    "serve": "serve",
    "sim": "sim",
    "targets": "targets",
    "verify": "verify",
    "worker": "worker",
}
"""Each command's name, and the module of this package that it stands in."""


class Commands(click.Group):
    """A group that imports a command when it is called: a worker does not wait for what only `check` needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands' names, in the order of the alphabet."""
        return sorted(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, or None."""
        if cmd_name not in MODULES:
            return None
        command: click.Command = getattr(import_module(f"pgqmodel.cli.{MODULES[cmd_name]}"), cmd_name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pgqmodel")
def cli() -> None:
    """Find, shrink and replay concurrency bugs in job queues that live in Postgres."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
        signal.signal(signal.SIGHUP, _terminate)
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = cli.main(args=arguments, prog_name="pgqmodel", standalone_mode=False)
    except PgqmodelError as error:
        click.echo(f"pgqmodel: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("pgqmodel: interrupted; nothing was left behind", err=True)
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _terminate(signum: int, frame: object) -> None:
    """SIGTERM and SIGHUP unwind like Ctrl-C, so that servers and directories go too; a second one breaks nothing off."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise SystemExit(128 + signum)
