"""A client for any target's queue, a worker process, and the history of calls and answers that each of them writes."""

from __future__ import annotations

from pgqmodel.client.queue import ClaimedJob, NewJob, Queue

__all__ = ["ClaimedJob", "NewJob", "Queue"]
