"""`pgqmodel report`: a stored trace, said in another form. Needs no Postgres."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from pgqmodel.cli.completion import traces
from pgqmodel.cli.terminal import painted, terminal_width
from pgqmodel.errors import UsageError
from pgqmodel.report import render_markdown, render_spec, render_text
from pgqmodel.trace import Trace, loads

__all__ = ["read_trace", "report"]


def _render_markdown(trace: Trace, path: Path) -> str:
    """The report as `check` writes it beside the trace."""
    return render_markdown(trace, path=str(path), spec=path.with_name("repro.spec").exists())


_FORMATS: dict[str, Callable[[Trace, Path], str]] = {
    "text": lambda trace, _: render_text(trace, terminal_width()),
    "markdown": _render_markdown,
    "spec": lambda trace, _: render_spec(trace),
}
"""Every format that is offered, the default first; each is given the trace, and where it lies."""


@click.command()
@click.argument("trace", type=click.Path(path_type=Path), shell_complete=traces)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_FORMATS)),
    default=next(iter(_FORMATS)),
    show_default=True,
    help="text for the terminal, markdown as report.md, spec for the isolationtester that comes with Postgres.",
)
@click.option(
    "-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of standard output."
)
def report(trace: Path, form: str, output: Path | None) -> None:
    """Say TRACE (a trace.json) in another form. Needs no Postgres."""
    text = _FORMATS[form](read_trace(trace), trace)
    if output is None:
        click.echo(painted(text) if form == "text" else text, nl=False)
    else:
        write(output, text)


def write(path: Path, text: str) -> None:
    """Write a file; UsageError if that cannot be done."""
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
