"""Replaying a recorded schedule step by step, and finding the first place where the history differs.

Strict: if a step cannot be taken, the replay ends. No other step is chosen in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from attrs import field, frozen

from pgqmodel.errors import ReplayMismatchError
from pgqmodel.explore.judged import AnomalyFound, Run
from pgqmodel.explore.recorded_schedule import Recorded
from pgqmodel.history import Event, render
from pgqmodel.naming import Naming, differences
from pgqmodel.promises import Broken
from pgqmodel.trace import Trace
from pgqmodel.world import World

__all__ = ["ReplayVerdict", "Replayed", "replay"]


class ReplayVerdict(StrEnum):
    """The outcome of a replay."""

    REPRODUCED = "reproduced"
    GONE = "gone"
    LEFT = "left"
    """A step could not be taken, or the replay ended in another anomaly or was broken by another operation."""


@frozen(kw_only=True)
class Replayed:
    """A replay's verdict, and the first place where its history differs from the record; None if there is none.

    `names` has the values for which the names of the story stood this time.
    """

    verdict: ReplayVerdict
    step: int | None = None
    recorded: str | None = None
    now: str | None = None
    reason: str | None = None
    names: Mapping[str, str] = field(factory=dict)


async def replay(world: World, trace: Trace) -> Replayed:
    """Take the steps of a trace in a clean world, and compare the history with the recorded one."""
    world.chance = trace.seed
    await world.reset(clean=True)
    run, verdict, reason = Run(world=world), ReplayVerdict.GONE, None
    try:
        await run.follow(Recorded(schedule=trace.steps))
    except AnomalyFound as found:
        same = _is_same(found.finding.broken, trace)
        verdict = ReplayVerdict.REPRODUCED if same else ReplayVerdict.LEFT
        reason = None if same else f"it ended in {_cause(found.finding.broken)}, not in {_cause(trace)}"
    except ReplayMismatchError as mismatch:
        verdict, reason = ReplayVerdict.LEFT, str(mismatch)
    named = Naming(world.observer.names.identifiers if trace.names else {})
    difference = next(_differences(_recorded(trace), named.history(world.history)), None)
    step, before, now = difference if difference is not None else (None, None, None)
    return Replayed(verdict=verdict, step=step, recorded=before, now=now, reason=reason, names=named.values)


def _recorded(trace: Trace) -> Sequence[Event]:
    """The history of a trace by names; one of an earlier version has values, and does not say which are jobs."""
    return trace.history if trace.names else Naming({}).history(trace.history)


def _is_same(broken: Broken, trace: Trace) -> bool:
    """Whether the same promise was broken by the same culprit; traces of earlier versions name no culprit."""
    if broken.anomaly != trace.anomaly or not trace.operations:
        return broken.anomaly == trace.anomaly
    return (broken.operations, broken.job, broken.claim) == (trace.operations, trace.job, trace.claim)


def _cause(told: Broken | Trace) -> str:
    """The anomaly, its operations and its job in words."""
    by = f" by {' and '.join(told.operations)}" if told.operations else ""
    return told.anomaly + by + (f" of {told.job}" if told.job is not None else "")


def _differences(recorded: Sequence[Event], seen: Sequence[Event]) -> Iterator[tuple[int, str | None, str | None]]:
    for before, now in differences(recorded, seen):
        step = (before or now).step  # type: ignore[union-attr]
        yield step, _line(before), _line(now)


def _line(event: Event | None) -> str | None:
    return None if event is None else render([event]).rstrip("\n")
