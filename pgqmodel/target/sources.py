"""What a statement reads beside the rows: the clock, or chance. Found in words. Pure.

The words alone do not show what a default or a trigger does; the columns that a dry run compares do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pgqmodel.target.leases import definitions_in
from pgqmodel.wire.sql import bare

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
_STATEMENT = re.compile(r"(?:(\$\w*\$).*?\1|'[^']*'|[^;])*", re.DOTALL)


def clock_in(sql: str, setup: Iterable[str]) -> tuple[str, ...]:
    """The words for the time in a statement, and in the functions and views of the set-up that it names."""
    return _found(_CLOCK, sql, setup)


def chance_in(sql: str, setup: Iterable[str]) -> tuple[str, ...]:
    """The words for random values in a statement, and in the functions and views of the set-up that it names."""
    return _found(_CHANCE, sql, setup)


def _found(pattern: re.Pattern[str], sql: str, setup: Iterable[str]) -> tuple[str, ...]:
    known = {name: _one(text) for script in setup for name, text in definitions_in(script)}
    texts, reached = [bare(sql)], set[str]()
    for text in texts:  # grows by what it names, and by what that names in turn
        named = {name for name in known.keys() - reached if re.search(rf"\b{name}\b", text)}
        reached |= named
        texts += [known[name] for name in sorted(named)]
    return tuple(dict.fromkeys(_word(match) for text in texts for match in pattern.finditer(text)))


def _one(text: str) -> str:
    """The statement with which a text begins; all of it where a body in its own words may have semicolons."""
    found = _STATEMENT.match(text)
    return text if found is None or "atomic" in text.lower() else found.group()


def _word(match: re.Match[str]) -> str:
    """A name as it is written: a function with its parentheses."""
    text = match.group().lower()
    return f"{text.rstrip('( ')}()" if text.endswith("(") else text
