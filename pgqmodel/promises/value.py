"""The values of promises in a target, beside `false`: a flag, an order, or a limit. Each kind reads its values."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from attrs import asdict, frozen

from pgqmodel.model.state import Limit
from pgqmodel.phrases import shown

__all__ = ["FLAG", "LIMIT", "ORDER", "BadValueError", "Limit", "Order", "Value"]

Order = tuple[tuple[str, str], ...]
"""Columns of an observed job, each with `asc` or `desc`."""
_DIRECTIONS = frozenset({"asc", "desc"})
_OF_LIMIT = ("column", "limit")
_A_COLUMN = "a column of observe.jobs"
_AN_ORDER = 'a list such as ["priority desc", "id asc"]'
_A_LIMIT = 'a table such as { column = "environment", limit = 1 }'


class BadValueError(ValueError):
    """A value that a promise cannot have. `key` is the place below the promise, `remedy` what to do."""

    def __init__(self, *, found: str, expected: str, key: str = "", remedy: str = "correct it") -> None:
        super().__init__(f"{found}; expected {expected}")
        self.found, self.expected, self.key, self.remedy = found, expected, key, remedy


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
        raise BadValueError(found=_found(value), expected="true or false")
    return value


def _parse_order(value: Any) -> Order:
    if not isinstance(value, list):
        raise BadValueError(found=_found(value), expected=_AN_ORDER)
    pairs = []
    for item in value:
        words = item.split() if isinstance(item, str) else []
        if len(words) != 2 or words[1].lower() not in _DIRECTIONS:
            raise BadValueError(
                found=shown(item), expected='a column of observe.jobs and asc or desc, such as "priority desc"'
            )
        pairs.append((words[0], words[1].lower()))
    if not pairs:
        raise BadValueError(found="an empty list", expected=_AN_ORDER, remedy="name the columns")
    return tuple(pairs)


def _read_order(value: Any) -> Order:
    if not (isinstance(value, tuple | list) and all(_is_pair(each) for each in value)):
        raise BadValueError(found=f"{value!r:.60}", expected='pairs such as ["priority", "desc"]')
    return tuple((column, direction) for column, direction in value)


def _is_pair(pair: Any) -> bool:
    return (
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and all(isinstance(word, str) for word in pair)
        and pair[1] in _DIRECTIONS
    )


def _parse_limit(value: Any) -> Limit:
    if not isinstance(value, dict):
        raise BadValueError(found=_found(value), expected=_A_LIMIT)
    for key in value:
        if key not in _OF_LIMIT:
            close = difflib.get_close_matches(key, _OF_LIMIT, 1)
            remedy = f"did you mean {close[0]!r}?" if close else "take it out"
            raise BadValueError(
                found="an unknown key", expected=f"one of {', '.join(_OF_LIMIT)}", key=key, remedy=remedy
            )
    column, limit = value.get("column"), value.get("limit")
    if not isinstance(column, str):
        raise BadValueError(found=_found(column), expected=_A_COLUMN, key="column")
    if "\0" in column:
        found = f"a NUL character in {shown(column)}"
        raise BadValueError(found=found, expected=f"{_A_COLUMN}, without one", key="column", remedy="take it out")
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise BadValueError(found=_found(limit), expected="a whole number", key="limit")
    if limit < 1:
        raise BadValueError(found=shown(limit), expected="at least 1", key="limit")
    return Limit(column=column, limit=limit)


def _read_limit(value: Any) -> Limit:
    if isinstance(value, Limit):
        return value
    whole = isinstance(value, Mapping) and value.keys() == set(_OF_LIMIT)
    if not (whole and isinstance(value["column"], str) and type(value["limit"]) is int):
        raise BadValueError(found=f"{value!r:.60}", expected='an object such as {"column": "environment", "limit": 1}')
    return Limit(**value)


def _found(value: Any) -> str:
    return "nothing" if value is None else shown(value)


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
