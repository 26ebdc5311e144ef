"""The group of commands, and the one place where an exception becomes an exit code and a sentence."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from pgqmodel import __version__
from pgqmodel.cli.terminal import color_wanted
from pgqmodel.errors import PgqmodelError
from pgqmodel.phrases import meant

__all__ = ["cli", "main"]

INTERRUPTED = 130
BEGUN = time.monotonic()
"""The start of the process, as near as can be: this is imported before a command is, which may take seconds."""
COMMANDS = {
    "check": ("check", "Explore the interleavings of a queue; shrink what breaks."),
    "init": ("targets", "Write a target file and its schema, to start from."),
    "replay": ("replay", "Take the steps of a finding again."),
    "report": ("report", "Say a finding as text, Markdown or an isolation spec."),
    "serve": ("serve", "Serve webhooks, status and log streams over HTTP."),
    "sim": ("sim", "Run a simulation at full speed, or all of them."),
    "targets": ("targets", "List the queues that can be checked by name."),
    "verify": ("verify", "Judge a recorded history; needs no Postgres."),
    "worker": ("worker", "Claim and run jobs, until SIGTERM."),
}
"""Each command: its module in this package, and its description in one line of 80 columns.

The descriptions are here and not in the modules, because the list of commands and completion must import none of them.
"""


class Commands(click.Group):
    """A group that imports a command when it is called, so that a worker does not wait for imports of `check`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands' names, in the order of the alphabet."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"pgqmodel.cli.{COMMANDS[cmd_name][0]}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command at the begin of the words; the error for a misspelt one names the probable one."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"No such command {name!r}. {meant(name, COMMANDS)}".rstrip())
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, a line each."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, says) for name, (_, says) in sorted(COMMANDS.items())])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and the options that begin with what is typed."""
        commands = [
            CompletionItem(name, help=says) for name, (_, says) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pgqmodel")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Find, shrink and replay concurrency bugs in job queues that live in Postgres."""
    ctx.color = color_wanted()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
        signal.signal(signal.SIGHUP, _terminate)
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = cli.main(args=arguments, prog_name="pgqmodel", standalone_mode=False, obj=BEGUN)
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
    """SIGTERM and SIGHUP unwind like Ctrl-C, so that servers and directories are removed; a second one is ignored."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise SystemExit(128 + signum)
