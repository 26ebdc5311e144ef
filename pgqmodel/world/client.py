"""A client of the world: its connection, the call it is in, and what it believes.

After a stall, a cut or a lost answer, belief and truth differ; the tool looks for the bugs in that difference. The
operations say how an answer changes a belief. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from pgqmodel.catalogue import Catalogue
from pgqmodel.operations import FAIL, LOCK, OPERATIONS, UNLOCK, Learned, Needs, Operation, Role, State, Status
from pgqmodel.target import AfterLost, Habits, Unlocks

if TYPE_CHECKING:
    from pgqmodel.server import TrioConnection
    from pgqmodel.target import Reply

__all__ = ["Belief", "CallInFlight", "Client", "believe", "lose_answer"]


@frozen(kw_only=True)
class Belief:
    """A claim that a worker thinks it holds: the row that the claim returned, and the number of its call."""

    job: str
    row: Mapping[str, Any]
    call: int
    environment: str | None = None
    locked: bool = False
    goes_on_with: frozenset[str] | None = None
    """The settlements that the worker may try after the answer of one was lost; None while no answer was lost."""
    settled: bool = False
    """The job is settled; the worker has only to give the deploy lock back."""


@define(kw_only=True)
class CallInFlight:
    """One operation in flight. `outcome` is set when its client has the answer, `lost` when no answer can come."""

    number: int
    operation: str
    job: str | None = None
    claim: int | None = None
    jobs: tuple[str, ...] = ()
    """The jobs of a call that settles a whole batch."""
    changed: dict[str, State | None] = field(factory=dict)
    """The jobs that its commits changed, with their new states."""
    outcome: Reply | None = None
    lost: bool = False

    @property
    def over(self) -> bool:
        """Whether the client's program has returned."""
        return self.lost or self.outcome is not None


@define(kw_only=True)
class Client:
    """One client: its name in the story, its name in the queue (`worker`), one connection, one call at a time."""

    name: str
    worker: str
    role: Role
    habits: Habits = field(factory=Habits)
    kinds: Catalogue[Operation] = OPERATIONS
    """The operations of its target."""
    connection: TrioConnection | None = None
    ahead: float = 0.0
    """By how many seconds its clock is ahead of the server's; less than 0 is behind."""
    starts: int = 0
    """The number of times it was started again in this story."""
    call: CallInFlight | None = None
    held: list[Belief] = field(factory=list)
    """The claims that it thinks it holds, in the order in which it works on the jobs."""

    @property
    def belief(self) -> Belief | None:
        """The claim that it works on now."""
        return self.held[0] if self.held else None

    def holding(self, job: str | None) -> Belief | None:
        """The claim of `job`, if it thinks it holds that; without `job`, the claim that it works on now."""
        return next((belief for belief in self.held if belief.job == job), self.belief)

    def start_again(self) -> None:
        """Start anew after a crash: it forgets everything, and takes a new name if the target's workers do."""
        self.held = []
        self.starts += 1
        if not self.habits.keeps_name:
            self.worker = f"{self.name}-{self.starts + 1}"

    @property
    def idle(self) -> bool:
        """Whether it could begin an operation now."""
        return self.connection is not None and self.call is None

    def lacks(self, operation: str) -> str | None:
        """What is missing for the client to begin `operation`, or None if nothing is."""
        wanted = self.kinds[operation]
        if wanted.role is not self.role:
            return f"{operation} is for a {wanted.role}, and {self.name} is a {self.role}"
        belief = self.belief
        if not _HOLDS[wanted.needs](belief):
            return f"{self.name} does not have what it needs: {wanted.needs}"
        return self._declines(operation, belief) if belief is not None else None

    def _declines(self, operation: str, belief: Belief) -> str | None:
        """Why a worker does not begin an operation that it could begin, by the target's `[worker]`; None if it does."""
        if self.kinds[operation].settles and operation not in (belief.goes_on_with or {operation}):
            return f"{self.name} has lost the answer of another settlement, and does not go on with {operation}"
        if operation == LOCK.name and belief.locked:
            return f"{self.name} has the lock already"
        if operation == UNLOCK.name and self.habits.unlocks is not Unlocks.BEFORE and not belief.settled:
            return f"workers of this queue unlock {self.habits.unlocks} they settle"
        if belief.settled and operation != UNLOCK.name:
            return f"{self.name} has settled {belief.job}, and has only its lock to give back"
        return None


_HOLDS: dict[Needs, Callable[[Belief | None], bool]] = {
    Needs.NOTHING: lambda belief: True,
    Needs.NO_CLAIM: lambda belief: belief is None,
    Needs.CLAIM: lambda belief: belief is not None,
    Needs.CLAIM_WITH_ENVIRONMENT: lambda belief: belief is not None and belief.environment is not None,
    Needs.LOCK: lambda belief: belief is not None and belief.locked,
}


def believe(
    belief: Belief, call: CallInFlight, status: Status, row: Mapping[str, Any], habits: Habits
) -> Belief | None:
    """A worker's belief after its call ended with `status` and returned `row`; `belief` is the one before.

    A later answer may return columns of the claim again, such as a fence that each heartbeat renews. The new values
    replace the old ones.
    """
    learned = OPERATIONS[call.operation].learns.get(status)  # only workers hold beliefs
    if learned is Learned.OVER:
        return evolve(belief, settled=True) if belief.locked and habits.unlocks is Unlocks.AFTER else None
    if learned is Learned.UNLOCKED and belief.settled:
        return None
    renewed = {name: value for name, value in row.items() if name in belief.row and name != "job"}
    if renewed:
        belief = evolve(belief, row={**belief.row, **renewed})
    return belief if learned is None else evolve(belief, locked=learned is Learned.LOCKED)


def lose_answer(belief: Belief, operation: str, habits: Habits) -> Belief | None:
    """A worker's belief after the answer of its settlement was lost, with the settlements that it may try next."""
    if habits.after_lost is AfterLost.NOTHING:
        return None
    follows = FAIL.name if habits.after_lost is AfterLost.FAIL else operation
    return evolve(belief, goes_on_with=frozenset({follows}))
