"""A real stage with the reference queue on it, for the tests of who acts there; judges nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from pgqmodel.history import Connected, Event
from pgqmodel.reference import reference
from pgqmodel.simulation import Life, Simulation, Stage
from pgqmodel.simulation.stage_opening import open_stage

__all__ = ["connections", "events_of", "holder", "on_stage", "process_state", "until"]

PATIENCE_SECONDS = 60.0


async def _nothing(stage: Stage) -> None:
    """A load that brings nothing: the story is told by the test."""


_SIMULATION = Simulation(name="a test", says="nothing", load=_nothing)


def on_stage(major: int, story: Callable[[Stage], Awaitable[None]]) -> None:
    """Run a story on a stage of its own, for no longer than the tests' patience; nobody is left afterwards."""
    lives: list[Life] = []

    async def main() -> None:
        with trio.fail_after(PATIENCE_SECONDS):
            async with open_stage(_SIMULATION, reference(), sizes={}, postgres=str(major), seed=1) as opened:
                lives.extend(opened.stage.crew.lives)
                opened.stage.crew.lives = lives
                await story(opened.stage)

    trio.run(main)
    assert not any(life.alive for life in lives)


async def holder(stage: Stage) -> Life:
    """The worker that holds the one job that runs."""
    await stage.reach_running(1)
    (row,) = await stage.ask("SELECT worker FROM job_queue WHERE status = 'running'")
    return next(life for life in stage.crew.living if life.worker == row["worker"])


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so that nothing tells of."""
    while not condition():  # noqa: ASYNC110 - files and processes set no events
        await trio.sleep(0.01)


def connections(life: Life) -> int:
    """How often a life's first client has connected; its process listens to signals once it has."""
    return sum(isinstance(event, Connected) and event.client == life.client for event in life.events())


def process_state(life: Life) -> str:
    """The state of a worker's process, as the kernel has it: R, S, T for stopped."""
    return Path(f"/proc/{life.pid}/stat").read_text().rpartition(")")[2].split()[0]


def events_of(life: Life) -> list[Event]:
    """Everything that is recorded of one life so far."""
    return list(life.events())
