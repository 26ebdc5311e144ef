"""What a promise may know of a target before anything is run: enough to say whether the target could make it.

Two questions, because a false accusation is worse than a missing one. `could_declare`: do the operations and columns
allow the promise? `may_judge`: can it also be judged unasked, because everything that its rules rest on is said?
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping
from typing import TYPE_CHECKING

from attrs import field, frozen

from pgqmodel.operations import Lease, Operation

if TYPE_CHECKING:
    from pgqmodel.promises.promise import Promise

__all__ = ["Outline", "could_declare", "may_judge", "shows_order"]

_WORDS = frozenset(
    {"job", "state", "holder", "attempt", "unique_key", "run", "environment", "needs", "eligible_at", "lease_until"}
)
"""The columns of jobs whose meaning is fixed, and by none of which a queue is asked to order its claims."""


@frozen(kw_only=True)
class Outline:
    """The shape of a target.

    `operations` are those that it has, `columns` those of each query, `channels` the fields that name a channel. `said`
    are the settings that it gives or uses: the others are what is assumed where nothing is said.
    """

    operations: Mapping[str, Operation]
    columns: Mapping[str, Collection[str]] = field(factory=dict)
    channels: frozenset[str] = frozenset()
    leases: tuple[Lease, ...] = (Lease.HEARTBEAT,)
    said: frozenset[str] = frozenset()
    maps_runs: bool = False
    """Whether it says what the status of a run follows from."""
    inferred: bool = False
    """Whether its workers are programs, whose operations are inferred from what they commit."""

    def shows(self, column: str) -> bool:
        """Whether a column is observed; it is named with its query, as in "jobs.attempt"."""
        query, _, name = column.partition(".")
        return name in self.columns.get(query, ())

    @property
    def says_lease(self) -> bool:
        """Whether it is known when the lease of a silent holder is over."""
        return "heartbeat_timeout_seconds" in self.said or Lease.HEARTBEAT not in self.leases


def shows_order(outline: Outline) -> bool:
    """Whether the observation of jobs has a column by which claims could be ordered."""
    return not _WORDS.issuperset(outline.columns.get("jobs", ()))


def could_declare(promises: Mapping[str, Promise], outline: Outline, declared: Container[str]) -> Iterator[str]:
    """The names of the promises that a target of this shape allows and does not declare, in their order."""
    for name, promise in promises.items():
        has = set(promise.operations) <= outline.operations.keys() and all(map(outline.shows, promise.columns))
        heard = not promise.channel or promise.channel in outline.channels
        known = promise.inferred or not outline.inferred
        if name not in declared and has and heard and known and promise.allowed(outline):
            yield name


def may_judge(promises: Mapping[str, Promise], outline: Outline, declared: Container[str]) -> Iterator[str]:
    """Those of them that can be judged unasked.

    One that needs a value cannot, nor one that changes how the model judges the others, nor one of which only the owner
    knows what it rests on.
    """
    for name in could_declare(promises, outline, declared):
        promise = promises[name]
        if promise.checked and promise.value.plain and not promise.options(True) and promise.unasked(outline):
            yield name
