"""Virtual time: the shim that Postgres is started with, the file that it answers from, and the clocks of clients."""

from __future__ import annotations

from pgqmodel.clock.client_clock import moment, offset_seconds
from pgqmodel.clock.server_clock import START_US, ServerClock

__all__ = ["START_US", "ServerClock", "moment", "offset_seconds"]
