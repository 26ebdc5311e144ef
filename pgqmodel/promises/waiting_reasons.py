"""The facts about waiting: for a deploy lock, for each other in a deadlock, for the end of a drain."""

from __future__ import annotations

from attrs import frozen

from pgqmodel.model.facts import Answered, Fact, JobSeen, JobsSeen

__all__ = [
    "AlwaysFails",
    "CycleOfWaits",
    "DeadlockFound",
    "Doing",
    "DrainWentQuiet",
    "GrantedBeside",
    "HeldUntil",
    "LeftRunning",
    "NeverPromoted",
    "NoTurn",
    "NotFinal",
    "QuietFor",
    "RefusedAlone",
    "RolledBack",
    "WaitsFor",
]


# -- deploy locks ---------------------------------------------------------------------------------------------------


@frozen
class GrantedBeside(Fact):
    """A lock was granted for an environment whose lock is held."""

    grant: Answered


@frozen
class RefusedAlone(Fact):
    """A lock was refused while no other call was in flight."""

    refusal: Answered


@frozen
class HeldUntil(Fact):
    """An accepted call shows that its client had held the lock until then."""

    shown: Answered


# -- deadlocks ---------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Doing(Fact):
    """The call that a client is in the middle of; without one it is idle."""

    client: str
    operation: str | None = None
    job: str | None = None
    begun: int | None = None


@frozen
class CycleOfWaits(Fact):
    """Clients that wait for each other, in a circle."""

    members: tuple[Doing, ...]


@frozen(kw_only=True)
class RolledBack(Fact):
    """A client's transaction was rolled back to end a deadlock."""

    client: str
    step: int


@frozen(kw_only=True)
class DeadlockFound(Fact):
    """A call failed because the server found a deadlock; `code` is the server's code for that."""

    call: Doing
    step: int
    code: str


# -- the end of a story ------------------------------------------------------------------------------------------------


@frozen
class DrainWentQuiet(Fact):
    """A drain gave every job its chance until nothing changed any more."""


@frozen
class NotFinal(Fact):
    """A job that is not final."""

    job: JobSeen


@frozen
class WaitsFor(Fact):
    """The jobs that a job waits for."""

    jobs: JobsSeen


@frozen(kw_only=True)
class QuietFor(Fact):
    """A holder's session had ended, and no client did anything for so many seconds; a lease lasts for `timeout`."""

    client: str
    seconds: float
    timeout: float


@frozen(kw_only=True)
class LeftRunning(Fact):
    """A reclaim left a job running."""

    client: str
    job: str
    step: int


@frozen(kw_only=True)
class AlwaysFails(Fact):
    """The job that always fails, and how often it was claimed since the drain began."""

    job: str
    claims: int
    step: int


@frozen
class NoTurn(Fact):
    """Jobs that could have run and were not claimed."""

    jobs: JobsSeen


@frozen
class NeverPromoted(Fact):
    """Every maintenance operation had its turns, and none promoted a job that waits."""
