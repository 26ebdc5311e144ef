"""The group of commands, and the one place where an exception becomes an exit code and a sentence."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

import click

from pgqmodel import __version__
from pgqmodel.cli.check import check
from pgqmodel.cli.later import sim, verify
from pgqmodel.cli.replay import replay
from pgqmodel.cli.report import report
from pgqmodel.cli.serve import serve
from pgqmodel.cli.targets import init, targets
from pgqmodel.errors import PgqmodelError

__all__ = ["cli", "main"]

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pgqmodel")
def cli() -> None:
    """Find, shrink and replay concurrency bugs in job queues that live in Postgres."""


for command in (check, replay, report, verify, sim, serve, targets, init):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _terminate)
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
    """SIGTERM unwinds like Ctrl-C, so that servers and directories go too."""
    raise SystemExit(128 + signum)
