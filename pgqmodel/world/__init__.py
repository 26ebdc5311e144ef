"""The side that touches the world: clients, gate, clock and server as one thing that takes steps and records events."""

from __future__ import annotations

from pgqmodel.world.drain import drain
from pgqmodel.world.world import World, open_world

__all__ = ["World", "drain", "open_world"]
