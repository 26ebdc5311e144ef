"""What a target may say of a promise beside `false`: that it is made, an order, or a limit. Each kind reads itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import asdict, frozen

__all__ = ["FLAG", "LIMIT", "ORDER", "BadValueError", "Limit", "Order", "Value"]

Order = tuple[tuple[str, str], ...]
"""Columns of an observed job, each with `asc` or `desc`."""
_DIRECTIONS = frozenset({"asc", "desc"})
_AN_ORDER = 'a list such as ["priority desc", "id asc"]'
_A_LIMIT = 'a table such as { column = "environment", limit = 1 }'


class BadValueError(ValueError):
    """A value that a promise cannot have: what was found at which key below the promise, and what was expected."""

    def __init__(self, found: str, expected: str, key: str = "") -> None:
        super().__init__(f"found {found}; expected {expected}")
        self.found, self.expected, self.key = found, expected, key


@frozen(kw_only=True)
class Limit:
    """At most `limit` running jobs of each value of `column`."""

    column: str
    limit: int


@frozen(kw_only=True)
class Value:
    """One kind of value. `plain` says that the promise's name says everything, so that a history may leave it out.

    `parse` reads what a target file says, `read` what a history says; both raise BadValueError. `columns` are the
    columns of `observe.jobs` that a value names.
    """

    says: str
    plain: bool
    parse: Callable[[Any], Any]
    read: Callable[[Any], Any]
    to_json: Callable[[Any], Any]
    columns: Callable[[Any], tuple[str, ...]]


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadValueError(_shown(value), "true or false")
    return value


def _parse_order(value: Any) -> Order:
    if not isinstance(value, list):
        raise BadValueError(_shown(value), _AN_ORDER)
    pairs = []
    for item in value:
        words = item.split() if isinstance(item, str) else []
        if len(words) != 2 or words[1].lower() not in _DIRECTIONS:
            raise BadValueError(repr(item), 'a column of observe.jobs and asc or desc, such as "priority desc"')
        pairs.append((words[0], words[1].lower()))
    if not pairs:
        raise BadValueError("an empty list", _AN_ORDER)
    return tuple(pairs)


def _read_order(value: Any) -> Order:
    if not (isinstance(value, tuple | list) and all(_is_pair(each) for each in value)):
        raise BadValueError(f"{value!r:.60}", 'pairs such as ["priority", "desc"]')
    return tuple((column, direction) for column, direction in value)


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str) and pair[1] in _DIRECTIONS


def _parse_limit(value: Any) -> Limit:
    if not isinstance(value, Mapping):
        raise BadValueError(_shown(value), _A_LIMIT)
    unknown = [key for key in value if key not in {"column", "limit"}]
    if unknown:
        raise BadValueError("an unknown key", "one of column, limit", unknown[0])
    column, limit = value.get("column"), value.get("limit")
    if not isinstance(column, str):
        raise BadValueError(_shown(column), "a column of observe.jobs", "column")
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise BadValueError(_shown(limit), "a whole number", "limit")
    if limit < 1:
        raise BadValueError(repr(limit), "at least 1", "limit")
    return Limit(column=column, limit=limit)


def _read_limit(value: Any) -> Limit:
    try:
        return value if isinstance(value, Limit) else _parse_limit(value)
    except BadValueError as error:
        wanted = 'an object such as {"column": "environment", "limit": 1}'
        raise BadValueError(f"{value!r:.60}", wanted) from error


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:80]


FLAG = Value(says="true", plain=True, parse=_flag, read=bool, to_json=bool, columns=lambda value: ())
ORDER = Value(
    says=_AN_ORDER,
    plain=False,
    parse=_parse_order,
    read=_read_order,
    to_json=lambda value: [list(pair) for pair in value],
    columns=lambda value: tuple(column for column, _ in value),
)
LIMIT = Value(
    says=_A_LIMIT,
    plain=False,
    parse=_parse_limit,
    read=_read_limit,
    to_json=asdict,
    columns=lambda value: (value.column,),
)
