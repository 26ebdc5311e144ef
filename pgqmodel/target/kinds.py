"""The kinds of a target's statements: those that a program cannot have, and those that leave a mark on their session.

Also the types that psycopg sends for values, so that Postgres parses a statement with the same types as in a run.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pgqmodel.wire.sql import leading_words

__all__ = [
    "MOMENT",
    "MOMENTS",
    "SORTABLE",
    "TEXTS",
    "TEXT_ARRAY",
    "UNSENT",
    "changes_data",
    "draws_random",
    "goes_on",
    "is_void",
    "leaves_mark",
    "opens",
    "sent_as",
    "steers",
    "type_of",
    "unfit",
]

_STEERS = frozenset({"begin", "start", "commit", "end", "rollback", "abort"})
_CHANGES = frozenset({"insert", "update", "delete", "merge"})
_COPIES = ("COPY, which moves its data beside the statement", "INSERT or SELECT", "write it as one of these")
_PREPARES = (
    "a transaction that is prepared and left to somebody else",
    "BEGIN and COMMIT, or `transaction = true`",
    "take it out",
)
_RANDOM = re.compile(r"\brandom(_normal)?\s*\(", re.IGNORECASE)
_GOES_ON = re.compile(r"\b(uuidv7|array_(sample|shuffle))\s*\(|\btablesample\b", re.IGNORECASE)
"""Calls that draw from a sequence in their session that cannot be set."""
_MARKS = frozenset({"set", "reset", "prepare", "deallocate", "discard", "listen", "unlisten", "load", "declare"})

TEXTS = frozenset({18, 19, 25, 1042, 1043})
TEXT_ARRAY = 1009
"""The type that psycopg sends for a list of texts."""
MOMENT = 1184
"""The type of a timestamp with time zone, and of the time by a client's clock."""
MOMENTS = frozenset({1082, 1114, MOMENT})
"""The types of points in time."""
SORTABLE = TEXTS | {16, 17, 20, 21, 23, 26, 700, 701, 1082, 1083, 1114, 1184, 1186, 1700, 2950}
"""The types whose values sort here as in Postgres: texts (under C), numbers, times, booleans, bytes, uuid."""
_VOID = 2278
_SMALL, _INT, _BIG, _DOUBLE, _UNKNOWN = 21, 23, 20, 701, 0
UNSENT = -1
"""Stands for JSON: it comes back as a dictionary or a list, which psycopg does not send."""
_SENT = {
    **dict.fromkeys((114, 3802), UNSENT),
    **dict.fromkeys((_BIG, _SMALL, _INT, 26), _SMALL),
    **dict.fromkeys((700, _DOUBLE), _DOUBLE),
    **{oid: oid for oid in (16, 17, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 2950)},
}
"""For the type of a returned column, the type that psycopg sends for its value; whole numbers get the smallest."""


def unfit(sql: str) -> tuple[str, str, str] | None:
    """Why a program cannot have a statement: what it is, what was expected, what to do. None if it can."""
    words = leading_words(sql)
    if words[:2] == ("prepare", "transaction") or (len(words) > 1 and steers(sql) and words[1] == "prepared"):
        return _PREPARES
    return _COPIES if words[:1] == ("copy",) else None


def steers(sql: str) -> bool:
    """Whether a statement begins or ends a transaction; a rollback to a savepoint does not."""
    words = leading_words(sql)
    return bool(words) and words[0] in _STEERS and not (words[0] == "rollback" and "to" in words)


def opens(sql: str) -> bool:
    """Whether a statement that steers transactions begins one."""
    return leading_words(sql)[:1] in {("begin",), ("start",)}


def changes_data(sql: str) -> bool:
    """Whether a statement is an INSERT, UPDATE, DELETE or MERGE, so that the touched rows are changed rows."""
    words = leading_words(sql)
    return bool(words) and words[0] in _CHANGES


@functools.lru_cache(maxsize=4096)
def leaves_mark(sql: str) -> bool:
    """Whether a statement leaves something in its session that the next story must not find there."""
    words = leading_words(sql)
    temporary = words[:1] == ("create",) and bool({"temp", "temporary"} & set(words))
    sets = bool(words) and words[0] in _MARKS and words[:2] != ("set", "local")  # that is over with its transaction
    return temporary or sets or goes_on(sql)


@functools.lru_cache(maxsize=4096)
def draws_random(sql: str) -> bool:
    """Whether a statement calls `random()` or a relative; their sequence lives in the session and can be set."""
    return _RANDOM.search(sql) is not None


@functools.lru_cache(maxsize=4096)
def goes_on(sql: str) -> bool:
    """Whether a statement draws from a sequence in its session that only a new session resets."""
    return _GOES_ON.search(sql) is not None


def is_void(types: Iterable[int]) -> bool:
    """Whether columns of these types have no values: a function like `pg_notify` returns void."""
    return set(types) == {_VOID}


def type_of(value: Any) -> int:
    """The type that psycopg sends for a known value."""
    if isinstance(value, float):
        return _DOUBLE
    if isinstance(value, int):
        return next((oid for oid, bits in ((_SMALL, 15), (_INT, 31)) if -(1 << bits) <= value < 1 << bits), _BIG)
    return _UNKNOWN


def sent_as(columns: Mapping[str, int]) -> dict[str, int]:
    """The types that psycopg sends for the values of columns; 0 lets Postgres choose, as for every text."""
    return {name: _SENT.get(oid, _UNKNOWN) for name, oid in columns.items()}
