"""Histories in which much is simultaneous: equal stamps, lines reordered as far as nobody can tell. No judgement."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from attrs import evolve

from pgqmodel.history import Committed, Ended, Event, Observed

__all__ = ["collapsed", "shuffled"]


def collapsed(events: Iterable[Event], width_seconds: float) -> Iterator[Event]:
    """The history with every stamp put back to a multiple of a width: what lies between is one instant.

    A width that divides the timeout leaves every lease that had lapsed a lapsed one.
    """
    for event in events:
        yield event if event.at is None else evolve(event, at=event.at // width_seconds * width_seconds)


def shuffled(events: Iterable[Event], chance: random.Random) -> list[Event]:
    """The history with the lines of each instant in another order that is as true, numbered anew.

    Three orders stay: each client's own, that of commits, and every commit between its call's invocation and answer.
    """
    found: list[Event] = []
    for _, simultaneous in groupby(events, key=lambda event: event.at):
        found.extend(event for unit in _reordered(list(_units(simultaneous)), chance) for event in unit)
    return [evolve(event, step=step) for step, event in enumerate(found, 1)]


def _units(events: Iterable[Event]) -> Iterator[tuple[Event, ...]]:
    """The events, with what a commit or a death showed behind it."""
    unit: list[Event] = []
    for event in events:
        if unit and not isinstance(event, Observed):
            yield tuple(unit)
            unit = []
        unit.append(event)
    if unit:
        yield tuple(unit)


def _reordered(units: Sequence[tuple[Event, ...]], chance: random.Random) -> Iterator[tuple[Event, ...]]:
    """Any order of the units in which those of a client, and those that commit, stand as before."""
    chains = [_chains(unit) for unit in units]
    everybody = frozenset().union(*chains)
    last: dict[str, int] = {}
    needed: list[set[int]] = []
    for number, mine in enumerate(chains):
        needed.append({last[chain] for chain in mine or everybody if chain in last})
        last.update(dict.fromkeys(mine or everybody, number))
    followers: dict[int, list[int]] = defaultdict(list)
    for number, before in enumerate(needed):
        for one in before:
            followers[one].append(number)
    ready = [number for number, before in enumerate(needed) if not before]
    while ready:
        number = ready.pop(chance.randrange(len(ready)))
        unit = units[number]
        # What nobody's commit showed may have been seen before its client's death was.
        yield unit[::-1] if isinstance(unit[0], Ended) and chance.random() < _HALF else unit
        for one in followers[number]:
            needed[one].remove(number)
            if not needed[one]:
                ready.append(one)


_COMMITS, _HALF = "commits", 0.5


def _chains(unit: Sequence[Event]) -> frozenset[str]:
    """The orders that a unit belongs to; none for what is about everybody."""
    first = unit[0]
    commits = isinstance(first, Committed | Observed) or len(unit) > 1
    client = getattr(first, "client", None)
    return frozenset(({client} if client is not None else set()) | ({_COMMITS} if commits else set()))
