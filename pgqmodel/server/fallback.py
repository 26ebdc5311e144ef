"""Virtual time without the shim: our functions override `now()` and its relatives.

The target's schemas come first in the search path, then ours, then pg_catalog, so a call of `now()` finds our function.
Words that are grammar and no function call, such as CURRENT_TIMESTAMP, are not covered; `limits` says so.
"""

from __future__ import annotations

import time

from pgqmodel.server.connection import SideConnection

__all__ = ["FallbackClock"]

_NAMES = ("now", "transaction_timestamp", "statement_timestamp", "clock_timestamp")
_SETUP = """
CREATE SCHEMA "{schema}";
CREATE TABLE "{schema}".state (now timestamptz NOT NULL);
INSERT INTO "{schema}".state VALUES (to_timestamp({start}));
""" + "".join(
    f'CREATE FUNCTION "{{schema}}".{name}() RETURNS timestamptz STABLE LANGUAGE sql '
    "AS 'SELECT now FROM \"{schema}\".state';\n"
    for name in _NAMES
)


class FallbackClock:
    """A clock that stands at the time of its creation, and is moved in the database."""

    limits = (
        "time was moved by overriding now() in SQL: CURRENT_TIMESTAMP, LOCALTIMESTAMP, 'now' and the server's own "
        "timeouts kept real time"
    )
    ticking = False
    ticks = 0

    def __init__(self, side: SideConnection, database: str) -> None:
        self._side = side
        self._start_us = self._now_us = time.time_ns() // 1000
        self.schema = f"{database}_clock"  # as unique as the database's name: no target has such a schema
        side.execute(_SETUP.format(schema=self.schema, start=self._start_us / 1e6))
        path = self.after('"$user", public')
        side.execute(f'ALTER DATABASE "{database}" SET search_path = {path}')

    def after(self, path: str) -> str:
        """The search path on which the overriding functions come after these schemas of the target's."""
        return f'{path}, "{self.schema}", pg_catalog'

    @property
    def now_us(self) -> int:
        """The time that the overridden functions give, in microseconds since the epoch."""
        return self._now_us

    def advance(self, us: int) -> None:
        """Move the clock by `us` microseconds."""
        self._set(self._now_us + us)

    def tick(self) -> None:
        """Do nothing: each tick would cost a statement of ours for each statement of the clients."""

    def stamp(self) -> int:
        """A moment that a client takes down: the one that the overridden functions give."""
        return self._now_us

    def reset(self, seed: int) -> None:
        """Go back to the start. The seed has no effect: random values are the server's own."""
        self._set(self._start_us)

    def _set(self, us: int) -> None:
        self._now_us = us
        self._side.execute(f'UPDATE "{self.schema}".state SET now = to_timestamp({us / 1e6})')
