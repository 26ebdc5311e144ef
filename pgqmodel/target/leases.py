"""What ends a holder's right to its job, where the file does not say: read from the statements. Pure.

A moment that the job's row shows as `lease_until` does: the row says itself how long it is held. Where it shows none,
the age of the last heartbeat does. Where nobody beats and a claim takes an advisory lock of its session, the end of the
session does so as well: whoever sees that nobody holds the lock may take the job, and to call that an early reclaim
would be a false alarm. A queue that has heartbeats goes by them: a connection that is cut is no death.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from pgqmodel.operations import Lease
from pgqmodel.wire.sql import bare

__all__ = ["definitions_in", "leases_of", "reads_locks"]

_SESSION_LOCK = re.compile(r"\bpg_(try_)?advisory_lock(_shared)?\b", re.IGNORECASE)
_DEFINITION = re.compile(
    r"create\s+(or\s+replace\s+)?(function|procedure|(materialized\s+)?view)\s+(\w+\.)?(?P<name>\w+)", re.IGNORECASE
)
_UNTIL = re.compile(r"\blease_until\b", re.IGNORECASE)
_LOCKS = re.compile(r"\bpg_locks\b", re.IGNORECASE)


def leases_of(claim: Iterable[str], setup: Iterable[str], observed: str, *, beats: bool) -> tuple[Lease, ...]:
    """What may end a claim, by its statements, the set-up, whose functions they may call, and the jobs' observation."""
    general = Lease.UNTIL if _UNTIL.search(bare(observed)) else Lease.HEARTBEAT
    if beats:
        return (general,)
    statements = [bare(sql) for sql in claim]
    made = [definition for script in setup for definition in definitions_in(script)]
    called = [body for name, body in made if any(name in sql for sql in statements)]
    locks = any(map(_SESSION_LOCK.search, [*statements, *called]))
    return (general, Lease.SESSION) if locks else (general,)


def definitions_in(script: str) -> Iterator[tuple[str, str]]:
    """The functions and views that a script makes: each one's name without its schema, and the text up to the next."""
    heads = list(_DEFINITION.finditer(script))
    for head, after in zip_longest(heads, heads[1:]):
        yield head.group("name"), script[head.end() : after.start() if after is not None else None]


def reads_locks(sql: str) -> bool:
    """Whether a query shows what is locked, so that its answer changes without a commit."""
    return _LOCKS.search(bare(sql)) is not None
