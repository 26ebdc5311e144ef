"""The operations of a queue's clients. Each has a module; they are listed here once, and other tables are derived.

A program may add an operation with `OPERATIONS.add`; an operation from a target file belongs to that target alone.
"""

from __future__ import annotations

from pgqmodel.catalogue import Catalogue
from pgqmodel.operations.cancel import CANCEL
from pgqmodel.operations.claim import CLAIM
from pgqmodel.operations.complete import COMPLETE
from pgqmodel.operations.declared import adding, ending_at_once, maintenance
from pgqmodel.operations.deploy import DEPLOY
from pgqmodel.operations.enqueue import ENQUEUE
from pgqmodel.operations.fail import FAIL
from pgqmodel.operations.heartbeat import HEARTBEAT
from pgqmodel.operations.lock import LOCK
from pgqmodel.operations.log import LOG
from pgqmodel.operations.operation import Learned, Move, Needs, Operation, Role, ServerAnswer
from pgqmodel.operations.reclaim import RECLAIM
from pgqmodel.operations.retry import RETRY
from pgqmodel.operations.unlock import UNLOCK
from pgqmodel.operations.words import (
    ABSENT,
    ANSWERED,
    CLAIMS,
    FINAL,
    LIVE,
    UNHELD,
    Delivery,
    Lease,
    Meaning,
    State,
    Status,
)

__all__ = [
    "ABSENT",
    "ANSWERED",
    "CANCEL",
    "CLAIM",
    "CLAIMS",
    "COMPLETE",
    "DEPLOY",
    "ENQUEUE",
    "FAIL",
    "FINAL",
    "HEARTBEAT",
    "LIVE",
    "LOCK",
    "LOG",
    "OPERATIONS",
    "RECLAIM",
    "REQUIRED",
    "RETRY",
    "SETTLEMENTS",
    "UNHELD",
    "UNLOCK",
    "Delivery",
    "Learned",
    "Lease",
    "Meaning",
    "Move",
    "Needs",
    "Operation",
    "Role",
    "ServerAnswer",
    "State",
    "Status",
    "adding",
    "ending_at_once",
    "maintenance",
    "operations_of",
]

OPERATIONS = Catalogue((ENQUEUE, CLAIM, HEARTBEAT, COMPLETE, FAIL, RETRY, CANCEL, RECLAIM, LOCK, UNLOCK, DEPLOY, LOG))
"""All common operations, in the order of target files and of the documentation."""

SETTLEMENTS = OPERATIONS.those(lambda operation: operation.settles)
REQUIRED: tuple[frozenset[str], ...] = (
    frozenset({ENQUEUE.name}),
    frozenset({CLAIM.name}),
    frozenset({COMPLETE.name, FAIL.name}),
)
"""A queue needs one operation of each of these sets."""


def operations_of(delivery: str | None) -> Catalogue[Operation]:
    """What the common operations are where jobs are delivered so."""
    return OPERATIONS.table(_at_most_once) if delivery == Delivery.AT_MOST_ONCE else OPERATIONS


def _at_most_once(operations: Catalogue[Operation]) -> Catalogue[Operation]:
    return Catalogue({**operations, CLAIM.name: ending_at_once(operations[CLAIM.name])}.values())
