"""What a story tells of programs: their statements by connection, and the bodies of the jobs that they run.

A program polls and beats all the time. A statement that touched no row, and a heartbeat, are counted at the end of
their step and not told one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pgqmodel.events import COMMIT, Event, Executed, Invoked, Working
from pgqmodel.operations import HEARTBEAT
from pgqmodel.phrases import counted
from pgqmodel.report.sql_text import counted_rows, gist, shortened

__all__ = ["is_quiet", "lines_of", "quiet_words", "unit_words", "working_words"]


def lines_of(history: Iterable[Event]) -> dict[str, set[str]]:
    """The connections of each program that run statements in a history."""
    lines: dict[str, set[str]] = {}
    for event in history:
        if isinstance(event, Executed | Working):
            lines.setdefault(event.client, set()).add(event.line)
    return lines


def unit_words(event: Executed, *, several: bool, brief: bool) -> str:
    """A unit of a program; its connection is named if the program has several."""
    where = f"{event.line}: " if several else ""
    if event.sql == COMMIT:
        return where + COMMIT
    result = f"error {event.error}" if event.error else counted_rows(event.tag)
    return f"{where}`{(gist if brief else shortened)(event.sql)}`: {result}"


def working_words(event: Working) -> str:
    """The begin or the end of a job's body."""
    if not event.over:
        return f"runs {event.job}"
    return f"the body of {event.job} is over: {event.answer}" if event.answer else f"the body of {event.job} breaks off"


def is_quiet(event: Executed, step: Sequence[Event]) -> bool:
    """Whether a unit says nothing to a reader: it touched no row, or was part of a heartbeat."""
    if event.error:
        return False
    return event.tag.endswith(" 0") or any(_beats(event, other) for other in step)


def _beats(event: Executed, other: Event) -> bool:
    return isinstance(other, Invoked) and other.operation == HEARTBEAT.name and other.line == event.line


def quiet_words(quiet: int) -> str:
    """How many units a step does not tell."""
    return f"({counted(quiet, 'poll')} or heartbeats)" if quiet > 1 else "(a poll or heartbeat)"
