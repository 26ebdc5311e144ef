"""Finds the leases of a queue in its statements, if its file does not declare them. Pure.

The age of the last heartbeat always ends a holder's right to its job. If the queue has no heartbeat and a claim takes
an advisory lock of its session, the end of the session ends the right as well: another client that finds the lock free
may take the job, and to call that an early reclaim would be a false alarm. A queue with heartbeats goes by them: a
holder whose connection is cut still lives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from pgqmodel.operations import Lease
from pgqmodel.wire.sql import bare

__all__ = ["leases_of", "reads_locks"]

_SESSION_LOCK = re.compile(r"\bpg_(try_)?advisory_lock(_shared)?\b", re.IGNORECASE)
_FUNCTION = re.compile(r"create\s+(or\s+replace\s+)?function\s+(\w+\.)?(?P<name>\w+)", re.IGNORECASE)
_LOCKS = re.compile(r"\bpg_locks\b", re.IGNORECASE)


def leases_of(claim: Iterable[str], setup: Iterable[str], *, beats: bool) -> tuple[Lease, ...]:
    """The leases of a claim, from its statements and from the functions in the set-up that they call."""
    if beats:
        return (Lease.HEARTBEAT,)
    statements = [bare(sql) for sql in claim]
    called = [body for script in setup for name, body in _functions(script) if any(name in sql for sql in statements)]
    locks = any(map(_SESSION_LOCK.search, [*statements, *called]))
    return (Lease.HEARTBEAT, Lease.SESSION) if locks else (Lease.HEARTBEAT,)


def _functions(script: str) -> Iterator[tuple[str, str]]:
    """The functions that a script creates: the name without schema, and the text up to the next function."""
    heads = list(_FUNCTION.finditer(script))
    for head, after in zip_longest(heads, heads[1:]):
        yield head.group("name"), script[head.end() : after.start() if after is not None else None]


def reads_locks(sql: str) -> bool:
    """Whether a query reads locks, so that its result can change without a commit."""
    return _LOCKS.search(bare(sql)) is not None
