"""The common part of the settlements: the holder of a job ends its claim and says how the job goes on."""

from __future__ import annotations

from collections.abc import Iterable

from pgqmodel.operations.operation import Learned, Move, Needs, Operation, Role
from pgqmodel.operations.words import Meaning, State, Status

__all__ = ["settlement"]


def settlement(
    name: str, *, ends: Iterable[State | None], parameters: tuple[str, ...], removal: State | None = None
) -> Operation:
    """A settlement that leaves its job in one of the states `ends`; it may cancel jobs that need this one."""
    return Operation(
        name=name,
        role=Role.WORKER,
        needs=Needs.CLAIM,
        parameters=parameters,
        moves=(
            *(Move(State.RUNNING, end, Meaning.SETTLED) for end in ends),
            *(Move(before, State.CANCELLED, Meaning.CASCADED) for before in (State.PENDING, State.WAITING)),
        ),
        learns=dict.fromkeys((Status.OK, Status.REFUSED), Learned.OVER),
        settles=True,
        published=True,
        removal=removal,
    )
