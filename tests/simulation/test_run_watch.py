"""`run-status` watched in snapshots: a status that follows is exercised, one that lies is told, each change once."""

from __future__ import annotations

import pytest
from attrs import evolve

from pgqmodel.report import told
from pgqmodel.simulation import NewJob, Stage
from pgqmodel.simulation.proof import Proof, Proofs
from pgqmodel.simulation.run_watch import RunWatch
from pgqmodel.target import Target
from simulation.staging import on_stage

LIES = {
    "another status": ("SELECT run, 'failed' AS state FROM pipeline_runs", "Yet it showed failed in"),
    "no status": ("SELECT run, status AS state FROM pipeline_runs WHERE false", "Yet it showed no status at all in"),
}


async def looked(stage: Stage, target: Target) -> Proof:
    """What comes of two looks at a run before it is worked on, and two after."""
    proofs = Proofs()
    watch = RunWatch(target, stage.database.conninfo(), proofs)
    async with stage.producer("p1") as producer:
        await producer.create_run("r1", [NewJob(stage=1), NewJob(stage=2)])
        await producer.enqueue()
    watch.look()
    watch.look()
    stage.start_workers(1)
    await stage.reach_final(3)
    watch.look()
    watch.look()
    return proofs.of.get("run-status", Proof())


def test_a_status_that_follows_is_exercised(major: int) -> None:
    """Pending, then completed: two different looks, and nothing wrong with either."""

    async def story(stage: Stage) -> None:
        assert await looked(stage, stage.target) == Proof(exercised=2)

    on_stage(major, story)


@pytest.mark.parametrize("lie", LIES)
def test_a_status_that_lies_is_told(lie: str, major: int) -> None:
    """The sentences say what the run's jobs are, what follows from it, and what it showed instead."""

    async def story(stage: Stage) -> None:
        sql, said = LIES[lie]
        target = evolve(stage.target, observe=evolve(stage.target.observe, runs=sql))
        proof = await looked(stage, target)
        assert (proof.exercised, proof.violations, proof.anomaly) == (2, 2, "status-divergence")
        assert told(proof.facts) == (
            "Run r1 has jobs that are pending, so its status is pending.",
            f"{said} the same snapshot.",
        )

    on_stage(major, story)


def test_a_queue_without_runs_is_not_watched(major: int) -> None:
    """Who shows no runs is put to no test."""

    async def story(stage: Stage) -> None:
        target = evolve(stage.target, observe=evolve(stage.target.observe, runs=None))
        assert await looked(stage, target) == Proof()

    on_stage(major, story)
