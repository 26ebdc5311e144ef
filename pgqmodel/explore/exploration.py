"""The result of an exploration: the results of its batches, joined in the order of the batches. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from attrs import frozen

from pgqmodel.explore.batches import BatchResult, Caught
from pgqmodel.explore.judged import WouldBreak
from pgqmodel.explore.simplifying import cost

__all__ = ["Exploration", "is_decided", "merge"]


@frozen(kw_only=True)
class Exploration:
    """The result of an exploration: sums over its batches, and the simplest finding of each cause, simplest first."""

    schedules: int
    steps: int
    witnessed: Mapping[str, int]
    broken: Mapping[str, int]
    found: Sequence[Caught]
    would_break: Sequence[WouldBreak] = ()
    """The promises that the target does not declare and that some story broke, the simplest of each, simplest first."""
    ended: int = 0
    """The number of worlds that were terminated because a step did not end in time."""


def is_decided(results: Mapping[int, BatchResult]) -> bool:
    """Whether the first batch with a finding is known: all batches before it have answered."""
    found = [number for number, result in results.items() if result.findings]
    return bool(found) and all(number in results for number in range(min(found)))


def merge(
    results: Mapping[int, BatchResult], early: Mapping[int, Sequence[Caught]] = MappingProxyType({}), *, first: bool
) -> Exploration:
    """The sums and the findings of all batches; with `first`, of the batches up to the first with a finding."""
    last = min((number for number in results if results[number].findings), default=None) if first else None
    merged = [results[number] for number in sorted(results) if last is None or number <= last]
    witnessed, broken = Counter[str](), Counter[str]()
    for result in merged:
        witnessed.update(result.witnessed)
        broken.update(result.broken)
    unfinished = [found for number in sorted(early.keys() - results.keys()) for found in early[number]]
    found = sorted([*(each for result in merged for each in result.findings), *unfinished], key=lambda each: each.batch)
    return Exploration(
        schedules=sum(result.schedules for result in merged),
        steps=sum(result.steps for result in merged),
        witnessed=dict(witnessed),
        broken=dict(broken),
        found=_simplest(found[:1] if first else found),
        would_break=_overheard(merged),
    )


def _simplest(found: Iterable[Caught]) -> tuple[Caught, ...]:
    """The simplest finding of each cause, simplest first; among equal ones the earlier."""
    best: dict[tuple[str, tuple[str, ...]], Caught] = {}
    for each in sorted(found, key=lambda each: cost(each.finding.schedule)):
        best.setdefault(each.finding.broken.cause, each)
    return tuple(best.values())


def _overheard(results: Iterable[BatchResult]) -> tuple[WouldBreak, ...]:
    """The simplest story that broke each undeclared promise, simplest first; of equal ones the earlier."""
    best: dict[str, WouldBreak] = {}
    for each in sorted((each for result in results for each in result.would_break.values()), key=lambda it: it.steps):
        best.setdefault(each.promise, each)
    return tuple(best.values())
