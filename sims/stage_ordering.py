"""Pipelines with stages or dependencies, and some failing jobs: no job starts before the jobs it needs are done."""

from __future__ import annotations

import random

from pgqmodel.simulation import NewJob, Simulation, Stage, Threshold

__all__ = ["SIMULATION"]

JOBS_A_RUN = 10
FAILS_OF_TEN = 1


async def load(stage: Stage) -> None:
    """Runs of ten jobs: half in three stages, half as a graph of needs, if the queue supports that."""
    graphs = "create_run" in stage.target.extras
    stage.begin("enqueue")
    async with stage.producer("p1") as producer:
        stage.start_workers(stage.size("workers"))
        for number in range(max(stage.size("jobs") // JOBS_A_RUN, 1)):
            jobs = _graph(stage.chance) if graphs and number % 2 else _stages(stage.chance)
            await producer.create_run(f"r{number}", jobs)
    stage.begin("working off")
    await stage.drain()


def _payload(chance: random.Random) -> dict[str, object]:
    return {"seconds": 0, "fail_times": int(chance.randrange(10) < FAILS_OF_TEN)}


def _stages(chance: random.Random) -> list[NewJob]:
    """Four builds, four tests, two deploys, each with a random priority."""
    return [
        NewJob(stage=stage, priority=chance.randrange(3), payload=_payload(chance))
        for stage, jobs in ((1, 4), (2, 4), (3, 2))
        for _ in range(jobs)
    ]


def _graph(chance: random.Random) -> list[NewJob]:
    """Ten jobs; each needs up to two of the jobs before it."""
    return [
        NewJob(
            needs=tuple(sorted(chance.sample(range(place), min(place, chance.randrange(3))))),
            priority=chance.randrange(3),
            payload=_payload(chance),
        )
        for place in range(JOBS_A_RUN)
    ]


SIMULATION = Simulation(
    name="stage-ordering",
    says="no job starts before every job that it needs has completed, failures and retries among them",
    load=load,
    sizes={"jobs": 10_000, "workers": 12},
    least={"jobs": 10 * JOBS_A_RUN, "workers": 2},
    thresholds=(Threshold(name="jobs started", measured="claimed", comparison=">", limit=0),),
)
