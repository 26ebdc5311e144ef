"""Finds the leases of a queue in its statements, if its file does not declare them. Pure.

A row that shows `lease_until` says itself how long its holder has the job. If the rows show none, the age of the last
heartbeat ends a holder's right to its job. If the queue has no heartbeat and a claim takes an advisory lock of its
session, the end of the session ends the right as well: another client that finds the lock free may take the job, and
to call that an early reclaim would be a false alarm. A queue with heartbeats goes by them: a holder whose connection
is cut still lives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pgqmodel.operations import Lease
from pgqmodel.target.called import with_called
from pgqmodel.wire.sql import bare

__all__ = ["leases_of", "reads_locks"]

_SESSION_LOCK = re.compile(r"\bpg_(try_)?advisory_lock(_shared)?\b", re.IGNORECASE)
_UNTIL = re.compile(r"\blease_until\b", re.IGNORECASE)
_LOCKS = re.compile(r"\bpg_lock(s|_status)\b", re.IGNORECASE)


def leases_of(claim: Iterable[str], setup: Iterable[str], observed: str, *, beats: bool) -> tuple[Lease, ...]:
    """The leases of a claim, from its statements, the functions that they call, and the query that shows the jobs."""
    general = Lease.UNTIL if _UNTIL.search(bare(observed)) else Lease.HEARTBEAT
    if beats:
        return (general,)
    locks = any(map(_SESSION_LOCK.search, with_called(claim, setup)))
    return (general, Lease.SESSION) if locks else (general,)


def reads_locks(sql: str, setup: Iterable[str] = ()) -> bool:
    """Whether a query reads locks, itself or through a view, so that its result can change without a commit."""
    return any(map(_LOCKS.search, with_called([sql], setup)))
