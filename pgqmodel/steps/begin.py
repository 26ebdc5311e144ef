"""Begin: a client begins an operation, and runs it to its end or up to a gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import evolve, field, frozen

from pgqmodel.operations import ENQUEUE
from pgqmodel.steps.go import run_up
from pgqmodel.steps.kind import Step, Weight

if TYPE_CHECKING:
    from pgqmodel.world import World
    from pgqmodel.world.client import Client

__all__ = ["Begin", "can_begin"]

_OPTIONS = ("priority", "unique_key", "run", "stage", "environment", "payload")
"""The arguments that an enqueue may leave out."""


def can_begin(client: Client, operation: str) -> bool:
    """Whether a client could begin an operation of the target. The rules ask this very often, so it must be fast."""
    return client.idle and client.lacks(operation) is None


@frozen(kw_only=True)
class Begin(Step):
    """A client begins an operation and runs it up to its `stop`-th gate; 0, the simplest, means to the end."""

    operation: str
    arguments: Mapping[str, Any] = field(factory=dict)
    stop: int = 0

    action: ClassVar[str] = "begin"
    severity: ClassVar[int] = 0

    def refuse(self, world: World) -> str | None:
        """The client must be idle and believe to hold the job or lock that the operation needs; the job must exist."""
        client = world.clients[self.client]
        if self.operation not in world.target.operations:
            return f"{world.target.name} has no operation {self.operation}"
        if not client.idle:
            return f"{client.name} is busy or not connected"
        job = self.arguments.get("job")
        if job is not None and world.observer.names.identifier(job) is None:
            return f"there is no job {job}"
        if job is not None and client.kinds[self.operation].holders and all(job != each.job for each in client.held):
            return f"{client.name} does not hold {job}"
        return client.lacks(self.operation)

    async def perform(self, world: World) -> None:
        """Start the client's program, and let it through its gates."""
        client = world.clients[self.client]
        world.invoke(client, self.operation, self.arguments)
        await run_up(world, client, self.stop)

    @classmethod
    def options(cls, world: World) -> Iterator[Step]:
        """Every client with every operation; if that gets a job as argument, such as a cancel, with every job."""
        jobs: list[Mapping[str, Any]] = [{"job": job} for job in world.observer.jobs]
        for name in world.clients:
            for operation in world.target.operations:
                known = world.target.kinds[operation]
                for arguments in jobs if "job" in known.parameters and not known.holders else [{}]:
                    yield cls(client=name, operation=operation, arguments=arguments)

    @property
    def is_choice(self) -> bool:
        """An enqueue does not count, because every story needs its jobs."""
        return self.operation != ENQUEUE.name

    @property
    def weight(self) -> Weight:
        """The simplest one runs to its end, is about the first job, and has no arguments."""
        return Weight(
            severity=self.severity,
            stop=self.stop,
            options=sum(name in self.arguments for name in _OPTIONS),
            detour=self.arguments.get("job", "J1") != "J1",
        )

    def simpler(self) -> Iterator[Step]:
        """The same step to its end, or to an earlier gate; without one of its arguments; about the first job."""
        if self.stop:
            yield evolve(self, stop=0)
            yield evolve(self, stop=self.stop - 1)
        for name in _OPTIONS:
            if name in self.arguments:
                yield evolve(self, arguments={key: value for key, value in self.arguments.items() if key != name})
        if self.weight.detour:
            yield evolve(self, arguments={**self.arguments, "job": "J1"})
