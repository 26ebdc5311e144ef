"""What a target's statements are: those that a program cannot hold, and those that leave a mark on their session.

And what psycopg sends for a value, so that Postgres parses a statement with the types that it will get.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
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
"""What draws from a sequence of its session that nobody can set."""
_MARKS = frozenset({"set", "reset", "prepare", "deallocate", "discard", "listen", "unlisten", "load", "declare"})

TEXTS = frozenset({18, 19, 25, 1042, 1043})
TEXT_ARRAY = 1009
"""How psycopg sends a list of texts."""
MOMENT = 1184
"""A timestamp with time zone: what the time by a client's clock is sent as."""
MOMENTS = frozenset({1082, 1114, MOMENT})
"""The types whose values are points in time."""
SORTABLE = TEXTS | {16, 17, 20, 21, 23, 26, 700, 701, 1082, 1083, 1114, 1184, 1186, 1700, 2950}
"""The types whose values sort here as they do in Postgres: texts (under C), numbers, times, booleans, bytes, uuid."""
_SMALL, _INT, _BIG, _DOUBLE, _UNKNOWN = 21, 23, 20, 701, 0
UNSENT = -1
"""The type of JSON, which comes back as a dictionary or a list: psycopg does not send these."""
_SENT = {
    **dict.fromkeys((114, 3802), UNSENT),
    **dict.fromkeys((_BIG, _SMALL, _INT, 26), _SMALL),
    **dict.fromkeys((700, _DOUBLE), _DOUBLE),
    **{oid: oid for oid in (16, 17, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 2950)},
}
"""By the type of a column that came back: what goes out for its value. Whole numbers go as the smallest type."""


def unfit(sql: str) -> tuple[str, str, str] | None:
    """Why a statement cannot be one of a program: what it is, what was expected, what to do. None if it can."""
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
    """Whether a statement is an INSERT, UPDATE, DELETE or MERGE, so that the rows it touches are those it changes."""
    words = leading_words(sql)
    return bool(words) and words[0] in _CHANGES


def leaves_mark(sql: str) -> bool:
    """Whether a statement leaves something in its session that the next story must not find there."""
    words = leading_words(sql)
    temporary = words[:1] == ("create",) and bool({"temp", "temporary"} & set(words))
    return temporary or bool(words and words[0] in _MARKS) or goes_on(sql)


@functools.lru_cache(maxsize=4096)
def draws_random(sql: str) -> bool:
    """Whether it calls `random()` or its kin, whose sequence goes on in its session, and can be set there."""
    return _RANDOM.search(sql) is not None


@functools.lru_cache(maxsize=4096)
def goes_on(sql: str) -> bool:
    """Whether it draws from a sequence that goes on in its session, and that only a new session begins again."""
    return _GOES_ON.search(sql) is not None


def type_of(value: Any) -> int:
    """The type that psycopg sends for a value that is known beforehand."""
    if isinstance(value, float):
        return _DOUBLE
    if isinstance(value, int):
        return next((oid for oid, bits in ((_SMALL, 15), (_INT, 31)) if -(1 << bits) <= value < 1 << bits), _BIG)
    return _UNKNOWN


def sent_as(columns: Mapping[str, int]) -> dict[str, int]:
    """The types that psycopg sends for the values of columns; 0 where Postgres may choose, as for every text."""
    return {name: _SENT.get(oid, _UNKNOWN) for name, oid in columns.items()}
