"""What ends a holder's right to its job, where the file does not say: read from the statements. Pure.

The age of the last heartbeat always does. Where nobody beats and a claim takes an advisory lock of its session, the end
of the session does so as well: whoever sees that nobody holds the lock may take the job, and to call that an early
reclaim would be a false alarm. A queue that has heartbeats goes by them: a connection that is cut is no death.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from pgqmodel.operations import Lease
from pgqmodel.wire.sql import bare

__all__ = ["leases_of", "reads_locks"]

_SESSION_LOCK = re.compile(r"\bpg_(try_)?advisory_lock(_shared)?\b", re.IGNORECASE)
_MADE = re.compile(
    r"create\s+(or\s+replace\s+)?((temp|temporary|recursive)\s+)*(function|procedure|view)\s+"
    r'("?\w+"?\.)?"?(?P<name>\w+)',
    re.IGNORECASE,
)
_LOCKS = re.compile(r"\bpg_lock(s|_status)\b", re.IGNORECASE)


def leases_of(claim: Iterable[str], setup: Iterable[str], *, beats: bool) -> tuple[Lease, ...]:
    """What may end a claim, by its statements and by the set-up, whose functions they may call."""
    if beats:
        return (Lease.HEARTBEAT,)
    locks = any(map(_SESSION_LOCK.search, _with_called(claim, setup)))
    return (Lease.HEARTBEAT, Lease.SESSION) if locks else (Lease.HEARTBEAT,)


def reads_locks(sql: str, setup: Iterable[str] = ()) -> bool:
    """Whether a query shows what is locked, by itself or by a view, so that its answer changes without a commit."""
    return any(map(_LOCKS.search, _with_called([sql], setup)))


def _with_called(statements: Iterable[str], setup: Iterable[str]) -> list[str]:
    """Statements, and the functions and views of the set-up that they name, and those that these name in turn."""
    left = [made for script in setup for made in _made(script)]
    reached = [bare(sql) for sql in statements]
    for text in reached:
        named = [(name, body) for name, body in left if re.search(rf"\b{name}\b", text, re.IGNORECASE)]
        reached += [body for _, body in named]
        left = [each for each in left if each not in named]
    return reached


def _made(script: str) -> Iterator[tuple[str, str]]:
    """The functions and views that a script makes: their names without a schema, and the text up to the next one."""
    heads = list(_MADE.finditer(script))
    for head, after in zip_longest(heads, heads[1:]):
        yield head.group("name"), script[head.end() : after.start() if after is not None else None]
