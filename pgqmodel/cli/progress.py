"""The progress display of an exploration on standard error; silent if that is no terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from pgqmodel.explore.batches import BatchResult, Caught
from pgqmodel.phrases import counted

__all__ = ["exploring"]


@contextlib.contextmanager
def exploring(
    name: str, seconds: float | None, examples: int | None
) -> Iterator[Callable[[BatchResult | Caught], None]]:
    """Show the progress of an exploration; yield the function to call with every batch and every finding.

    The first finding is told even without a terminal: a user who interrupts the run now will get it.
    """
    display = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[explored]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),  # rich does not tell: with FORCE_COLOR it takes a pipe for a terminal
    )
    totals = {"schedules": 0, "steps": 0}
    causes = set()
    with display:
        task = display.add_task(name, total=seconds or examples, explored="")

        def show(result: BatchResult | Caught) -> None:
            if isinstance(result, Caught):
                broken = result.finding.broken
                if broken.cause not in causes:
                    display.console.print(f"found {broken.told_by}", soft_wrap=True, markup=False, highlight=False)
                causes.add(broken.cause)
                return
            totals["schedules"] += result.schedules
            totals["steps"] += result.steps
            done = display.tasks[0].elapsed if seconds is not None else totals["schedules"]
            explored = ", ".join(counted(number, noun.removesuffix("s")) for noun, number in totals.items())
            display.update(task, completed=done or 0, explored=explored)

        yield show
