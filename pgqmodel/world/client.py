"""A client of the world: its connection, the call it is in, and what it believes.

Belief and truth differ after a stall, a cut or a lost answer; that difference is what the tool is about. The rules by
which an answer changes a belief stand in one table. Nothing here does I/O.
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
    """The claim that a worker thinks it holds: the row its claim returned, and the call that it was."""

    job: str
    row: Mapping[str, Any]
    call: int
    environment: str | None = None
    locked: bool = False
    goes_on_with: frozenset[str] | None = None
    """The settlements that may follow one whose answer was lost; None as long as none was."""
    settled: bool = False
    """The job is settled, and only the deploy lock is left to be given back."""


@define(kw_only=True)
class CallInFlight:
    """One operation in flight. `outcome` is there once its client has its answer; `lost` once it never will."""

    number: int
    operation: str
    job: str | None = None
    claim: int | None = None
    jobs: tuple[str, ...] = ()
    """The jobs that it is about, where it settles a batch at once."""
    changed: dict[str, State | None] = field(factory=dict)
    """The jobs that its commits changed, and what they are since."""
    outcome: Reply | None = None
    lost: bool = False

    @property
    def over(self) -> bool:
        """Whether the client's program has come back."""
        return self.lost or self.outcome is not None


@define(kw_only=True)
class Client:
    """One client: a name in the story, a name towards the queue (`worker`), one connection, one call at a time."""

    name: str
    worker: str
    role: Role
    habits: Habits = field(factory=Habits)
    kinds: Catalogue[Operation] = OPERATIONS
    """What there is to begin: the operations of its target."""
    connection: TrioConnection | None = None
    ahead: float = 0.0
    """By how many seconds its clock is ahead of the server's; less than 0 is behind."""
    starts: int = 0
    """How often it was started again in this story."""
    call: CallInFlight | None = None
    held: list[Belief] = field(factory=list)
    """The claims that it thinks it holds, in the order in which it works on their jobs."""

    @property
    def belief(self) -> Belief | None:
        """The claim that it works on."""
        return self.held[0] if self.held else None

    def holding(self, job: str | None) -> Belief | None:
        """The claim of `job` that it thinks it holds, or the one that it works on."""
        return next((belief for belief in self.held if belief.job == job), self.belief)

    def start_again(self) -> None:
        """It has died and forgets everything; a new one takes its place, under the old name or under one of its own."""
        self.held = []
        self.starts += 1
        if not self.habits.keeps_name:
            self.worker = f"{self.name}-{self.starts + 1}"

    @property
    def idle(self) -> bool:
        """Whether it could begin an operation now."""
        return self.connection is not None and self.call is None

    def lacks(self, operation: str) -> str | None:
        """What it would need to begin `operation` and has not, or None."""
        wanted = self.kinds[operation]
        if wanted.role is not self.role:
            return f"{operation} is for a {wanted.role}, and {self.name} is a {self.role}"
        belief = self.belief
        if not _HOLDS[wanted.needs](belief):
            return f"{self.name} does not have what it needs: {wanted.needs}"
        return self._declines(operation, belief) if belief is not None else None

    def _declines(self, operation: str, belief: Belief) -> str | None:
        """Why a worker that could begin an operation does not, by what is said of workers; or None."""
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
    """What a worker that believed `belief` believes after its call ended with `status` and returned `row`.

    Columns of the claim that came back with a later answer, as a fence does that each heartbeat renews, replace it.
    """
    learned = OPERATIONS[call.operation].learns.get(status)  # whoever believes anything is a worker
    if learned is Learned.OVER:
        return evolve(belief, settled=True) if belief.locked and habits.unlocks is Unlocks.AFTER else None
    if learned is Learned.UNLOCKED and belief.settled:
        return None
    renewed = {name: value for name, value in row.items() if name in belief.row and name != "job"}
    if renewed:
        belief = evolve(belief, row={**belief.row, **renewed})
    return belief if learned is None else evolve(belief, locked=learned is Learned.LOCKED)


def lose_answer(belief: Belief, operation: str, habits: Habits) -> Belief | None:
    """What a worker believes, and does next, after the answer of its settlement was lost."""
    if habits.after_lost is AfterLost.NOTHING:
        return None
    follows = FAIL.name if habits.after_lost is AfterLost.FAIL else operation
    return evolve(belief, goes_on_with=frozenset({follows}))
