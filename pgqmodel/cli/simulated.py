"""The files of simulations on disk, and the handling of a run that fails.

Every file is written beside its place and moved there when it is whole, so a run without a result leaves the files of
an earlier run. The result is more important than the page: it is written first, and a failing page does not remove it.
"""

from __future__ import annotations

import contextlib
import json
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import click

from pgqmodel.errors import NoVerdictError, PgqmodelError, UsageError
from pgqmodel.simulation.result import Result
from pgqmodel.simulation.running import HISTORY, RunOptions
from pgqmodel.simulation.simulation import Simulation
from pgqmodel.target import Target

__all__ = ["INDEX", "NEW", "PAGE", "RESULT", "TRACEBACK", "failed", "opened", "publish", "said_plainly", "write_index"]

INDEX, PAGE, RESULT, TRACEBACK = "index.html", "page.html", "result.json", "traceback.txt"
NEW = f"{HISTORY}.new"
"""The name of a history until there is a result."""


@contextlib.contextmanager
def opened(folder: Path, simulation: Simulation, target: Target) -> Iterator[Path]:
    """The folder for the files of one run. It is tried for writing; a new folder is removed if it stays empty."""
    place = folder / f"{target.name}-{simulation.name}"
    new = [path for path in (place, *place.parents) if not path.exists()]
    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / NEW).touch()
    except OSError as error:
        message = f"{place} cannot be written to: {error.strerror}; expected a folder of our own. Name another by --out"
        raise UsageError(message) from error
    try:
        yield place
    finally:
        with contextlib.suppress(OSError):
            (place / NEW).unlink(missing_ok=True)
            for path in new:
                path.rmdir()


def publish(place: Path, result: Result) -> None:
    """Move the files of a finished run to their places; a file that cannot be written or drawn is only noted."""
    _put(place / HISTORY, lambda: None)
    _put(place / RESULT, lambda: json.dumps(result.to_json(), indent=1) + "\n")
    _put(place / PAGE, lambda: _page(result))
    with contextlib.suppress(OSError):
        (place / TRACEBACK).unlink(missing_ok=True)


def write_index(folder: Path, target: Target, results: list[Result]) -> None:
    """Write the index of the pages of all simulations so far."""
    from pgqmodel.simulation.page import render_index  # noqa: PLC0415 - see `_page`

    places = {result.name: f"{target.name}-{result.name}" for result in results if not result.failed}
    pages = {name: quote(f"{place}/{PAGE}") for name, place in places.items() if (folder / place / PAGE).exists()}
    _put(folder / INDEX, lambda: render_index(results, pages))


def failed(simulation: Simulation, options: RunOptions, target: Target, began: float, error: Exception) -> Result:
    """The result for a run that failed: no verdict, and the reason in one sentence."""
    return Result(
        name=simulation.name,
        title=simulation.says,
        target=target.name,
        postgres=options.postgres if options.postgres.isdecimal() else "URL",
        started_at=began,
        seconds=time.time() - began,
        command=options.command,
        scale=options.scale,
        sizes=simulation.sized(options.sizes, options.scale),
        unknown=str(error),
        failed=True,
    )


@contextlib.contextmanager
def said_plainly(simulation: Simulation, place: Path) -> Iterator[None]:
    """Turn an unexpected error into a sentence, with the traceback in a file."""
    try:
        yield
    except PgqmodelError:
        raise
    except Exception as error:
        path = place / TRACEBACK
        with contextlib.suppress(OSError):
            path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        message = (
            f"{simulation.name} ended in {type(error).__name__}: {' '.join(str(error).split())}; expected a verdict. "
            f"That is a defect of pgqmodel: report it with {path}"
        )
        raise NoVerdictError(message) from error


def _page(result: Result) -> str:
    from pgqmodel.simulation.page import render_page  # noqa: PLC0415 - plots take seconds to load: not for a refusal

    return render_page(result)


def _put(path: Path, text: Callable[[], str | None]) -> None:
    """Write a file beside its place (unless that is done) and move it there; without a new file remove the old one.

    An old page beside a new result would belong to another run.
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        written = text()
        if written is not None:
            beside.write_text(written, encoding="utf-8")
        beside.replace(path)
    except Exception as error:  # noqa: BLE001 - whatever it is, the result is worth more than this file
        reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        click.echo(f"note: {path} could not be made: {reason}; the result stands without it", err=True)
        for old in (beside, path):
            with contextlib.suppress(OSError):
                old.unlink(missing_ok=True)
