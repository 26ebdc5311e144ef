"""Virtual time without the shim: `now()` and its kin are overridden by functions found before the built-in ones.

Schemas of the target come first in the search path, then ours, then pg_catalog, so a call of `now()` finds ours. What
is grammar and not a call is not covered; `limits` says so.
"""

from __future__ import annotations

import time

from pgqmodel.server.connection import SideConnection

__all__ = ["FallbackClock"]

_SETUP = """
CREATE SCHEMA pgqmodel_clock;
CREATE TABLE pgqmodel_clock.state (moved interval NOT NULL);
INSERT INTO pgqmodel_clock.state VALUES ('0');
CREATE FUNCTION pgqmodel_clock.now() RETURNS timestamptz STABLE LANGUAGE sql
  AS 'SELECT pg_catalog.now() + moved FROM pgqmodel_clock.state';
CREATE FUNCTION pgqmodel_clock.transaction_timestamp() RETURNS timestamptz STABLE LANGUAGE sql
  AS 'SELECT pg_catalog.now() + moved FROM pgqmodel_clock.state';
CREATE FUNCTION pgqmodel_clock.statement_timestamp() RETURNS timestamptz STABLE LANGUAGE sql
  AS 'SELECT pg_catalog.statement_timestamp() + moved FROM pgqmodel_clock.state';
CREATE FUNCTION pgqmodel_clock.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
  AS 'SELECT pg_catalog.clock_timestamp() + moved FROM pgqmodel_clock.state';
"""


class FallbackClock:
    """A clock that runs, and is moved forward on top: the real one plus an offset kept in the database."""

    limits = (
        "time was moved by overriding now() in SQL: CURRENT_TIMESTAMP, LOCALTIMESTAMP, 'now' and the server's own "
        "timeouts kept real time"
    )

    def __init__(self, side: SideConnection, database: str) -> None:
        self._side = side
        self._moved_us = 0
        side.execute(_SETUP)
        side.execute(f'ALTER DATABASE "{database}" SET search_path = "$user", public, pgqmodel_clock, pg_catalog')

    @property
    def now_us(self) -> int:
        """The time that the overridden functions give, about; in microseconds since the epoch."""
        return time.time_ns() // 1000 + self._moved_us

    def advance(self, us: int) -> None:
        """Move the clock by `us` microseconds."""
        self._set(self._moved_us + us)

    def reset(self) -> None:
        """Back to real time."""
        self._set(0)

    def _set(self, us: int) -> None:
        self._moved_us = us
        self._side.execute(f"UPDATE pgqmodel_clock.state SET moved = make_interval(secs => {us / 1e6})")
