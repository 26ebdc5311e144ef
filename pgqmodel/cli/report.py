"""`pgqmodel report`: tell a stored trace in another form. Needs no Postgres."""

from __future__ import annotations

from pathlib import Path

import click

from pgqmodel.cli.completion import traces
from pgqmodel.cli.terminal import painted, terminal_width
from pgqmodel.errors import UsageError
from pgqmodel.report import FORMATS, Format, Page
from pgqmodel.trace import Trace, loads

__all__ = ["read_trace", "report"]


def _form(context: click.Context, parameter: click.Parameter, value: str) -> Format:
    """The form with this name. Looked up when the command runs, because a program may have added a form by then."""
    if value not in FORMATS:
        message = f"{value!r} is not one of {', '.join(map(repr, FORMATS))}."
        raise click.BadParameter(message, context, parameter)
    return FORMATS[value]


@click.command()
@click.argument("trace", type=click.Path(path_type=Path), shell_complete=traces)
@click.option(
    "--format",
    "form",
    metavar=f"[{'|'.join(FORMATS)}]",
    default=next(iter(FORMATS)),
    show_default=True,
    callback=_form,
    shell_complete=lambda context, parameter, start: [name for name in FORMATS if name.startswith(start)],
    help=f"{', '.join(f'{name} {form.says}' for name, form in FORMATS.items())}.",
)
@click.option(
    "-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of standard output."
)
def report(trace: Path, form: Format, output: Path | None) -> None:
    """Say TRACE (a trace.json) in another form. Needs no Postgres."""
    page = Page(path=str(trace), width=terminal_width(), spec=trace.with_name("repro.spec").exists())
    text = form.render(read_trace(trace), page)
    if output is None:
        click.echo(painted(text) if form.name == next(iter(FORMATS)) else text, nl=False)
    else:
        write(output, text)


def write(path: Path, text: str) -> None:
    """Write a file; UsageError if that fails."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}; expected a place for a file. Name another with -o"
        raise UsageError(message) from error


def read_trace(path: Path) -> Trace:
    """The trace in a file; UsageError if there is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        message = (
            f"{path} cannot be read: {reason}; expected a trace.json that `pgqmodel check` wrote. "
            "Give the path that its output named"
        )
        raise UsageError(message) from error
    return loads(text, str(path))
