"""`pgqmodel targets` lists what can be checked by name; `pgqmodel init` writes a target file to start from."""

from __future__ import annotations

from pathlib import Path

import click

from pgqmodel.cli import completion
from pgqmodel.styles import described, write_style
from pgqmodel.target import names, write_template

__all__ = ["init", "targets"]


@click.command()
def targets() -> None:
    """List the targets that can be checked by name."""
    for name, says in names().items():
        click.echo(f"{name:<16} {says}")


class _Init(click.Command):
    """A command whose help lists the styles."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The styles, a line each."""
        with formatter.section("Styles"):
            formatter.write_dl(list(described().items()))


@click.command(cls=_Init)
@click.argument("place", metavar="DIRECTORY | [FILE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--style", metavar="NAME", shell_complete=completion.styles, help="Write the file of this style, schema included."
)
@click.pass_context
def init(ctx: click.Context, place: Path | None, style: str | None) -> None:
    """Write a commented target file and its schema into DIRECTORY; it passes check as it is.

    With --style it is one FILE, by default NAME.toml; a FILE without .toml is the directory it is written into.
    """
    if style is not None:
        written = [write_style(style, place or Path())]
    elif place is not None:
        written = write_template(place)
    else:
        raise click.MissingParameter(ctx=ctx, param_type="argument", param_hint="'DIRECTORY'")
    for path in written:
        click.echo(f"wrote {path}")
    target = next(path for path in written if path.suffix == ".toml")
    click.echo(f"\nCheck it:  pgqmodel check {target}")
