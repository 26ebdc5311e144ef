"""`pgqmodel targets` lists what can be checked by name; `pgqmodel init` writes a target file to start from."""

from __future__ import annotations

from pathlib import Path

import click

from pgqmodel.target import names, write_template

__all__ = ["init", "targets"]


@click.command()
def targets() -> None:
    """List the targets that can be checked by name."""
    for name, says in names().items():
        click.echo(f"{name:<16} {says}")


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def init(directory: Path) -> None:
    """Write a commented target file and its schema into DIRECTORY; it passes check as it is."""
    written = write_template(directory)
    for path in written:
        click.echo(f"wrote {path}")
    target = next(path for path in written if path.suffix == ".toml")
    click.echo(f"\nCheck it:  pgqmodel check {target}")
