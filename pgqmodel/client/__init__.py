"""A client of any target's queue, a worker process, and the history that each writes of what it asked and was told."""

from __future__ import annotations

from pgqmodel.client.queue import ClaimedJob, NewJob, Queue

__all__ = ["ClaimedJob", "NewJob", "Queue"]
