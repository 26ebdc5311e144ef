"""A server's virtual time: the shim that is loaded into Postgres, and the file from which it reads the time."""

from __future__ import annotations

from pgqmodel.clock.server_clock import START_US, ServerClock

__all__ = ["START_US", "ServerClock"]
