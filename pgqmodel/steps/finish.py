"""Finish: the body of a job ends, well or not, and its program goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from attrs import evolve, frozen

from pgqmodel.body import FATES
from pgqmodel.history import Working
from pgqmodel.steps.kind import Step, Weight
from pgqmodel.steps.of_program import GoingOn, go_on, let_through

if TYPE_CHECKING:
    from pgqmodel.world import World
    from pgqmodel.world.actors import Actor

__all__ = ["Finish"]


@frozen(kw_only=True)
class Finish(GoingOn):
    """The body of a job is over: its statement answers `done`, or `fail` and its handler raises.

    `job` names it if the program runs several; else it is the first.
    """

    job: str = ""
    fails: bool = False

    action: ClassVar[str] = "finish"

    def refuse_actor(self, world: World, actor: Actor) -> str | None:
        """The program must run the job."""
        if self._line(actor) is None:
            return f"{self.client} does not run {self.job or 'a job'}"
        return f"{self.client} is stopped" if actor.stopped else None

    def _line(self, actor: Actor) -> str | None:
        """The connection that holds the body."""
        return next((line for line, job in actor.working.items() if self.job in {"", job}), None)

    async def perform(self, world: World) -> None:
        """Say how the body ends, let it through, and the next units."""
        actor = world.actors[self.client]
        name = self._line(actor)
        assert name is not None, "the step was not refused"
        answer = "fail" if self.fails else "done"
        world.database.set_sequence("pgqmodel.fate", FATES[answer])
        world.emit(Working, client=actor.name, line=name, job=actor.working.pop(name), over=True, answer=answer)
        await let_through(world, world.gate.lines[name])
        await go_on(world, actor, self.stop)

    @property
    def weight(self) -> Weight:
        """A body that fails is worse than one that is done."""
        return Weight(severity=self.severity + self.fails, stop=self.stop, options=bool(self.job))

    def simpler(self) -> Iterator[Step]:
        """The first body; one that is done."""
        if self.job:
            yield evolve(self, job="")
        if self.fails:
            yield evolve(self, fails=False)
        yield from super().simpler()

    @classmethod
    def options(cls, world: World) -> Iterator[Step]:
        """Each body of each program, done."""
        for name, actor in world.actors.items():
            for job in actor.working.values():
                yield cls(client=name, job=job)
