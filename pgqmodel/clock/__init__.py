"""Virtual time: the shim that Postgres loads, the file from which it reads the time, and the clocks of clients."""

from __future__ import annotations

from pgqmodel.clock.client_clock import moment, offset_seconds
from pgqmodel.clock.server_clock import START_US, ServerClock

__all__ = ["START_US", "ServerClock", "moment", "offset_seconds"]
