"""What a statement reads beside the rows: the clock, or chance. Found in words. Pure.

The words alone do not show what a default or a trigger does; the columns that a dry run compares do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pgqmodel.target.called import with_called

__all__ = ["chance_in", "clock_in"]

_CLOCK = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|uuidv7)\s*\("
    r"|\b(current_timestamp|current_date|current_time|localtimestamp|localtime)\b",
    re.IGNORECASE,
)
_CHANCE = re.compile(
    r"\b(random(?:_normal)?|gen_random_(?:uuid|bytes)|uuid_generate_v[14]|uuidv[47]|array_(?:sample|shuffle))\s*\(",
    re.IGNORECASE,
)


def clock_in(sql: str, setup: Iterable[str]) -> tuple[str, ...]:
    """The words for the time in a statement, and in the functions and views of the set-up that it names."""
    return _found(_CLOCK, sql, setup)


def chance_in(sql: str, setup: Iterable[str]) -> tuple[str, ...]:
    """The words for random values in a statement, and in the functions and views of the set-up that it names."""
    return _found(_CHANCE, sql, setup)


def _found(pattern: re.Pattern[str], sql: str, setup: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_word(match) for text in with_called([sql], setup) for match in pattern.finditer(text)))


def _word(match: re.Match[str]) -> str:
    """A name as it is written: a function with its parentheses."""
    text = match.group().lower()
    return f"{text.rstrip('( ')}()" if text.endswith("(") else text
