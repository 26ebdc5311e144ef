"""The documented name of the client before it moved to `pgqmodel.client`."""

from __future__ import annotations

from pgqmodel.client import Claim, NewJob, Queue

__all__ = ["Claim", "NewJob", "Queue"]
