"""Virtual time: of Postgres, of foreign programs, and the clocks of clients.

Whether a program is still is asked of `pgqmodel.clock.stillness`, which waits by Trio and is not imported here.
"""

from __future__ import annotations

from pgqmodel.clock.client_clock import moment, offset_seconds
from pgqmodel.clock.process_clock import Deadline, ProcessClock, after
from pgqmodel.clock.server_clock import START_US, ServerClock
from pgqmodel.clock.shim import put_shim

__all__ = ["START_US", "Deadline", "ProcessClock", "ServerClock", "after", "moment", "offset_seconds", "put_shim"]
