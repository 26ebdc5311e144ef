"""The functions, procedures and views of the set-up that a statement names, found by their names in its words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from pgqmodel.wire.sql import bare

__all__ = ["with_called"]

_DEFINITION = re.compile(
    r"create\s+(or\s+replace\s+)?((temp|temporary|recursive|materialized)\s+)*(function|procedure|view)\s+"
    r'("?\w+"?\.)?"?(?P<name>\w+)',
    re.IGNORECASE,
)
_STATEMENT = re.compile(r"(?:(\$\w*\$).*?\1|'[^']*'|[^;])*", re.DOTALL)


def with_called(statements: Iterable[str], setup: Iterable[str]) -> list[str]:
    """Statements, the definitions in the set-up that they name, and those that these name in turn."""
    left = [definition for script in setup for definition in _definitions(script)]
    texts = [bare(sql) for sql in statements]
    for text in texts:  # grows while it is read
        named = [(name, body) for name, body in left if re.search(rf"\b{name}\b", text, re.IGNORECASE)]
        texts += [body for _, body in named]
        left = [each for each in left if each not in named]
    return texts


def _definitions(script: str) -> Iterator[tuple[str, str]]:
    """The functions, procedures and views that a script makes: the name without schema, and the definition."""
    heads = list(_DEFINITION.finditer(script))
    for head, after in zip_longest(heads, heads[1:]):
        yield head.group("name"), _one(script[head.end() : after.start() if after is not None else None])


def _one(text: str) -> str:
    """The statement with which a text begins; all of it where a body in its own words may have semicolons."""
    found = _STATEMENT.match(text)
    return text if found is None or "atomic" in text.lower() else found.group()
