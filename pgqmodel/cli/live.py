"""The live display of simulations on standard error; silent if that is no terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping

from attrs import define, field
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

__all__ = ["Live", "simulating"]

COUNTERS = ("enqueued", "claimed", "completed", "faults")
"""The counters that are shown of a running simulation, in this order; the others are in the summary."""


@define
class Live:
    """The display of some simulations, one after the other."""

    _display: Progress
    _tasks: dict[str, TaskID] = field(factory=dict)

    def start(self, name: str, expected: int | None = None) -> Callable[[Mapping[str, int]], None]:
        """Show a further simulation; return the function for its counters. The bar is `completed` of `expected`."""
        task = self._tasks[name] = self._display.add_task(name, total=expected, figures="")

        def show(counters: Mapping[str, int]) -> None:
            elapsed = self._display.tasks[self._display.task_ids.index(task)].elapsed or 0.0
            self._display.update(task, completed=counters.get("completed", 0), figures=figures(counters, elapsed))

        return show

    def phase(self, name: str, phase: str) -> None:
        """Show the phase of a simulation: loading, draining, judging."""
        self._display.update(self._tasks[name], description=f"{name}: {phase}" if phase else name)

    def end(self, name: str, verdict: str) -> None:
        """Show the verdict of a simulation that is over; its bar stops where it is."""
        task = self._tasks[name]
        self._display.update(task, description=f"{name}: {verdict}")
        self._display.stop_task(task)


def figures(counters: Mapping[str, int], seconds: float) -> str:
    """The counters of one simulation in a line, with its completed jobs per second."""
    counted = [f"{counters[name]:,} {name}" for name in COUNTERS if name in counters]
    rate = [f"{counters['completed'] / seconds:,.0f}/s"] if seconds > 0 and counters.get("completed") else []
    return ", ".join([*counted, *rate])


@contextlib.contextmanager
def simulating(console: Console | None = None) -> Iterator[Live]:
    """The display while simulations run; nothing is written if standard error is no terminal."""
    watched = console.is_terminal if console is not None else sys.stderr.isatty()  # FORCE_COLOR makes no terminal
    console = console or Console(stderr=True)
    display = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not watched,
    )
    with display:
        yield Live(display)
