"""A client of the world: its connection, the call it is in, and what it believes.

Belief and truth differ after a stall, a cut or a lost answer; that difference is what the tool is about. The rules by
which an answer changes a belief stand in one table. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from pgqmodel.catalogue import Catalogue
from pgqmodel.operations import OPERATIONS, Learned, Needs, Operation, Role, Status

if TYPE_CHECKING:
    from pgqmodel.server import TrioConnection
    from pgqmodel.target import Reply

__all__ = ["Belief", "CallInFlight", "Client", "believe"]


@frozen(kw_only=True)
class Belief:
    """The claim that a worker thinks it holds: the row its claim returned, and the call that it was."""

    job: str
    row: Mapping[str, Any]
    call: int
    environment: str | None = None
    locked: bool = False


@define(kw_only=True)
class CallInFlight:
    """One operation in flight. `outcome` is there once its client has its answer; `lost` once it never will."""

    number: int
    operation: str
    job: str | None = None
    claim: int | None = None
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
    kinds: Catalogue[Operation] = OPERATIONS
    """What there is to begin: the operations of its target."""
    connection: TrioConnection | None = None
    call: CallInFlight | None = None
    belief: Belief | None = field(default=None)

    @property
    def idle(self) -> bool:
        """Whether it could begin an operation now."""
        return self.connection is not None and self.call is None

    def lacks(self, operation: str) -> str | None:
        """What it would need to begin `operation` and has not, or None."""
        wanted = self.kinds[operation]
        if wanted.role is not self.role:
            return f"{operation} is for a {wanted.role}, and {self.name} is a {self.role}"
        return None if _HOLDS[wanted.needs](self.belief) else f"{self.name} does not have what it needs: {wanted.needs}"


_HOLDS: dict[Needs, Callable[[Belief | None], bool]] = {
    Needs.NOTHING: lambda belief: True,
    Needs.NO_CLAIM: lambda belief: belief is None,
    Needs.CLAIM: lambda belief: belief is not None,
    Needs.CLAIM_WITH_ENVIRONMENT: lambda belief: belief is not None and belief.environment is not None,
    Needs.LOCK: lambda belief: belief is not None and belief.locked,
}


def believe(belief: Belief | None, call: CallInFlight, status: Status) -> Belief | None:
    """What a worker that believed `belief` believes after its call ended with `status`."""
    if belief is None:
        return None
    learned = OPERATIONS[call.operation].learns.get(status)
    if learned is None:
        return belief
    return None if learned is Learned.OVER else evolve(belief, locked=learned is Learned.LOCKED)
