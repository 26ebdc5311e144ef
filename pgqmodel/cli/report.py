"""`pgqmodel report`: a stored trace, said in another form. Needs no Postgres."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from pgqmodel.errors import UsageError
from pgqmodel.report import render_spec, render_text
from pgqmodel.trace import Trace, loads

__all__ = ["read_trace", "report"]

_FORMATS: dict[str, Callable[[Trace], str]] = {"text": render_text, "spec": render_spec}
_LATER = ("html", "sql")


@click.command()
@click.argument("trace", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice([*_FORMATS, *_LATER]), required=True, help="The form to write.")
@click.option(
    "-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of standard output."
)
def report(trace: Path, form: str, output: Path | None) -> None:
    """Say TRACE (a trace.json) as text or as a specification for the stock isolationtester."""
    if form in _LATER:
        message = (
            f"the format {form} is part of the contract, but this version does not have it yet; expected "
            f"{' or '.join(_FORMATS)}. Use one of these meanwhile"
        )
        raise UsageError(message)
    text = _FORMATS[form](read_trace(trace))
    if output is None:
        click.echo(text, nl=False)
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
