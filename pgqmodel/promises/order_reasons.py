"""The facts about orders: the edges of a cycle, each of which a promise demands or a history shows.

A promise demands that one point comes before another. A history that breaks it shows the contrary, and both together
are a cycle (`checks.paths`). Each edge names its two points, and the fact that is the reason for it.
"""

from __future__ import annotations

from attrs import frozen

from pgqmodel.model.facts import Fact

__all__ = [
    "AcceptedLate",
    "AttemptsGrow",
    "ClaimedAt",
    "ClaimsInOrder",
    "CompletedAt",
    "CompletesFirst",
    "GrantedAt",
    "HeldAsShown",
    "MustWait",
    "NeverCompleted",
    "OrderEdge",
    "OrderPoint",
    "ReleasedFirst",
    "RestsOnClaim",
    "StepBefore",
    "TakenBack",
]


@frozen
class OrderPoint:
    """A point in an order: what happens there, to which job or client, or at which step."""

    happening: str
    name: str | None = None
    step: int | None = None


@frozen(kw_only=True)
class OrderEdge(Fact):
    """One point comes before another: a promise demands it, or else the history shows it. `why` is the reason."""

    before: OrderPoint
    after: OrderPoint
    why: Fact
    demanded: bool


# -- stages and dependencies -------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class CompletesFirst(Fact):
    """A job must complete before another is claimed, by stage or by name; for a job's name the stages are None."""

    needed: str
    job: str
    run: str | None = None
    stage: int | None = None
    needed_stage: int | None = None


@frozen(kw_only=True)
class ClaimedAt(Fact):
    """A client claimed a job at a step."""

    client: str
    job: str
    step: int


@frozen(kw_only=True)
class NeverCompleted(Fact):
    """A job was claimed, and the job that must complete first never completed."""

    claimed: ClaimedAt
    needed: str


@frozen(kw_only=True)
class CompletedAt(Fact):
    """A job completed at a step, and not before."""

    job: str
    step: int


@frozen
class StepBefore(Fact):
    """A step came before another one."""

    step: int
    later: int


# -- lease generations -------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class AttemptsGrow(Fact):
    """A claim must have a higher attempt number than the claim before it."""

    job: str
    client: str
    attempt: int
    former_client: str
    former_attempt: int


@frozen
class ClaimsInOrder(Fact):
    """The step of a claim came before the step of the next one."""

    step: int
    later: int


@frozen(kw_only=True)
class RestsOnClaim(Fact):
    """An operation rests on a claim, so it must be accepted before that claim is over."""

    client: str
    operation: str
    job: str
    claimed: int


@frozen(kw_only=True)
class TakenBack(Fact):
    """A job was taken back at a step."""

    job: str
    step: int


@frozen(kw_only=True)
class AcceptedLate(Fact):
    """An operation was accepted after the claim that it rests on was over; `over` is how that claim ended."""

    over: ClaimedAt | TakenBack
    operation: str
    step: int


# -- locks -------------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class ReleasedFirst(Fact):
    """A client must let go of a deploy lock before the lock is granted to another client."""

    client: str
    environment: str
    granted: int
    other: str


@frozen(kw_only=True)
class GrantedAt(Fact):
    """A client was granted the deploy lock at a step."""

    client: str
    step: int


@frozen(kw_only=True)
class HeldAsShown(Fact):
    """A client held the deploy lock until a step, because an operation of that step needs it."""

    client: str
    step: int
    operation: str


@frozen
class MustWait(Fact):
    """A client must wait for a lock that another client holds."""

    client: str
    holder: str
