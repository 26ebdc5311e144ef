"""The world: clients, gate, clock and server together. It takes steps and records events."""

from __future__ import annotations

from pgqmodel.world.acting import perform, refusal
from pgqmodel.world.opening import blocked, open_world
from pgqmodel.world.world import World

__all__ = ["World", "blocked", "open_world", "perform", "refusal"]
