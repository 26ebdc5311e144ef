"""Loaders for times: a value that Python's `datetime` cannot hold stays the text that Postgres wrote.

psycopg raises DataError for infinity, for years after 9999 and before 1, for 24:00 and for long intervals. A queue may
use all of them. A client sends the text back as it got it; an observation turns it into a number.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap, Buffer, Loader
from psycopg.types.datetime import (
    DateLoader,
    IntervalLoader,
    TimeLoader,
    TimestampLoader,
    TimestamptzLoader,
    TimetzLoader,
)

from pgqmodel.horizon import Far

__all__ = ["adapters"]


class _Tolerant(Loader):
    """Loads values with psycopg's own loader, and keeps those that it cannot load as text."""

    exact: type[Loader]

    def __init__(self, oid: int, context: Any = None) -> None:
        super().__init__(oid, context)
        self._exact = self.exact(oid, context)

    def load(self, data: Buffer) -> Any:
        """The value; the text, if Python cannot hold the value or psycopg cannot read the session's DateStyle."""
        try:
            return self._exact.load(data)
        except (psycopg.DataError, NotImplementedError):
            return Far(bytes(data).decode("utf8"))


def _with_tolerance() -> AdaptersMap:
    found = AdaptersMap(psycopg.adapters)
    for name, exact in {
        "date": DateLoader,
        "time": TimeLoader,
        "timetz": TimetzLoader,
        "timestamp": TimestampLoader,
        "timestamptz": TimestamptzLoader,
        "interval": IntervalLoader,
    }.items():
        found.register_loader(name, type(f"_Tolerant{exact.__name__}", (_Tolerant,), {"exact": exact}))
    return found


_ADAPTERS = _with_tolerance()


def adapters() -> AdaptersMap:
    """The adapters for one connection: a copy, which it may change."""
    return AdaptersMap(_ADAPTERS)
