"""Loaders for times: what Python's `datetime` cannot hold stays the text that Postgres wrote.

psycopg raises DataError for infinity, for years after 9999 and before 1, for 24:00 and for long intervals. A queue may
use every one of them. A client hands the text back as it got it; an observation turns it into a number.
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
    """Loads what psycopg's own loader can load, and keeps the rest as text."""

    exact: type[Loader]

    def __init__(self, oid: int, context: Any = None) -> None:
        super().__init__(oid, context)
        self._exact = self.exact(oid, context)

    def load(self, data: Buffer) -> Any:
        """The value, or the text if Python cannot hold it or psycopg cannot read the session's DateStyle."""
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
    """What a connection converts by, for it to change as it likes."""
    return AdaptersMap(_ADAPTERS)
