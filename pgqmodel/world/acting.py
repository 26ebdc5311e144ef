"""Taking a step in a world: it is refused with a reason, or performed. `pgqmodel.steps` says how each kind does it."""

from __future__ import annotations

from pgqmodel.errors import ReplayMismatchError
from pgqmodel.steps import Step
from pgqmodel.world.world import World

__all__ = ["perform", "refusal"]


def refusal(world: World, step: Step) -> str | None:
    """Why a step cannot be taken now, or None if it can."""
    if step.client and step.client not in world.clients:
        return f"there is no client {step.client}"
    return step.refuse(world)


async def perform(world: World, step: Step) -> None:
    """Take one step and settle; ReplayMismatchError if it cannot be taken now."""
    reason = refusal(world, step)
    if reason is not None:
        message = (
            f"step {world.step + 1} cannot be taken: {reason}; the schedule says {step.to_json()}. "
            "The target, or what it answers, has changed since the schedule was recorded"
        )
        raise ReplayMismatchError(message)
    world.step += 1
    await step.perform(world)
