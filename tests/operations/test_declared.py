"""What a target says of its operations beyond the common ones."""

from __future__ import annotations

import pytest

from pgqmodel.model.transitions import lawful
from pgqmodel.operations import ABSENT, COMPLETE, OPERATIONS, Meaning, Role, State, adding, maintenance

MOVES = {
    "a promotion": (State.WAITING, State.PENDING, Meaning.MOVED),
    "a tick": (ABSENT, State.PENDING, Meaning.ADDED),
    "a job taken from its holder": (State.RUNNING, State.PENDING, Meaning.RECLAIMED),
    "a job taken from its holder for good": (State.RUNNING, State.CANCELLED, Meaning.RECLAIMED),
    "a pruning": (State.COMPLETED, ABSENT, Meaning.REMOVED),
    "an expiry": (State.PENDING, State.FAILED, Meaning.MOVED),
    "another chance": (State.FAILED, State.PENDING, Meaning.MOVED),
}


@pytest.mark.parametrize(("before", "after", "meaning"), MOVES.values(), ids=MOVES)
def test_a_move_of_maintenance_means_what_it_does(before: State | None, after: State | None, meaning: Meaning) -> None:
    """Maintenance may do what the target says, and a job that it takes from a holder is judged as reclaimed."""
    operation = maintenance("upkeep", [(before, after)])

    assert [move.meaning for move in operation.moves] == [meaning]
    assert operation.role is Role.MAINTENANCE


def test_an_operation_that_adds_jobs_keeps_its_moves() -> None:
    """A settlement may add jobs beside what it does, in any state but running."""
    moves = {(move.before, move.after) for move in adding(COMPLETE).moves}

    assert moves == {(move.before, move.after) for move in COMPLETE.moves} | {
        (ABSENT, state) for state in State if state is not State.RUNNING
    }


def test_anybody_may_promote() -> None:
    """A settlement that unblocks other jobs, or a claim that promotes what is due, does no harm."""
    table = lawful(OPERATIONS)

    assert {table[name, State.WAITING, State.PENDING] for name in OPERATIONS} == {Meaning.MOVED}
