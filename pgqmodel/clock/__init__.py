"""A server's virtual time: the shim that Postgres is started with, and the file that the shim answers from."""

from __future__ import annotations

from pgqmodel.clock.server_clock import START_US, ServerClock

__all__ = ["START_US", "ServerClock"]
