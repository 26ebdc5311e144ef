"""A fault of one's own, in one file and through public names: an administrator cancels a statement that waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from pgqmodel.steps import Step

if TYPE_CHECKING:
    from pgqmodel.world import World

__all__ = ["Interrupt"]

_CANCEL = "SELECT pg_catalog.pg_cancel_backend($1)"


@frozen(kw_only=True)
class Interrupt(Step):
    """The statement of a client that waits for a lock is cancelled; its client gets an error."""

    action: ClassVar[str] = "interrupt"
    fault: ClassVar[str] = "interrupt"
    severity: ClassVar[int] = 2
    words: ClassVar[str] = "**interrupted by an administrator**"
    is_told: ClassVar[bool] = True

    def refuse(self, world: World) -> str | None:
        """Its client must wait for a lock."""
        line = world.line(world.clients[self.client])
        return None if line is not None and line.blocked_by else f"{self.client} waits for no lock"

    async def perform(self, world: World) -> None:
        """Have the server cancel the statement, and wait until it has."""
        line = world.line(world.clients[self.client])
        assert line is not None
        world.side.query(_CANCEL, (line.backend_pid,))
        await world.gate.wait_unblocked(line)
        await world.settle()
