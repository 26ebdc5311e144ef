"""The progress display of an exploration, on standard error; silent where nobody watches."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from pgqmodel.explore.batches import BatchResult
from pgqmodel.phrases import counted

__all__ = ["exploring"]


@contextlib.contextmanager
def exploring(name: str, seconds: float | None, examples: int | None) -> Iterator[Callable[[BatchResult], None]]:
    """Show how far an exploration is; yields what is to be called with every batch."""
    display = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[explored]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),  # not what rich says: FORCE_COLOR makes it take a pipe for a terminal
    )
    totals = {"schedules": 0, "steps": 0}
    with display:
        task = display.add_task(name, total=seconds or examples, explored="")

        def show(result: BatchResult) -> None:
            totals["schedules"] += result.schedules
            totals["steps"] += result.steps
            done = display.tasks[0].elapsed if seconds is not None else totals["schedules"]
            explored = ", ".join(counted(number, noun.removesuffix("s")) for noun, number in totals.items())
            display.update(task, completed=done or 0, explored=explored)

        yield show
