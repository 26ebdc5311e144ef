"""Deploy jobs for the same environment at once, beside ordinary jobs, and holders that die with the lock."""

from __future__ import annotations

import trio

from pgqmodel.operations import LIVE
from pgqmodel.simulation import Simulation, Stage, Threshold

__all__ = ["SIMULATION"]

LEASE_SECONDS = 3
DEPLOY = {"tries": 10_000, "wait": 0.1, "seconds": 0.02}
SPREAD = 10
_HOLDERS = """
SELECT DISTINCT a.application_name AS worker
FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_stat_activity AS a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND a.application_name LIKE 'w%'
"""


async def load(stage: Stage) -> None:
    """Deploys to one environment beside ordinary jobs; the same to ten environments; then lock holders are killed."""
    deploys = stage.size("deploys")
    stage.start_workers(deploys + stage.size("others"))
    async with stage.producer("p1") as producer:
        stage.begin("one environment")
        for number in range(deploys):
            await producer.enqueue({"deploy": DEPLOY, "fail_times": int(number % 10 == 0)}, environment="prod")
        stage.begin("ordinary jobs beside")
        for _ in range(stage.size("jobs")):
            await producer.enqueue({"seconds": 0})
        await stage.drain()
        stage.begin("several environments")
        for number in range(deploys):
            await producer.enqueue({"deploy": DEPLOY}, environment=f"env{number % SPREAD}")
        await stage.drain()
        stage.begin("holders are killed")
        for _ in range(max(deploys // 2, 4 * stage.size("kills"))):
            await producer.enqueue({"deploy": DEPLOY | {"seconds": 0.3}}, environment="prod")
        for _ in range(stage.size("kills")):
            await _kill_holder(stage)
        await stage.drain()


async def _kill_holder(stage: Stage) -> None:
    """Kill a worker that holds a deploy lock; look for one as long as there are jobs."""
    while await stage.count_jobs(LIVE):
        holders = {row["worker"] for row in await stage.ask(_HOLDERS)}
        victim = next((life for life in stage.crew.running if life.worker in holders), None)
        if victim is not None:
            await stage.nemesis.kill(victim)
            stage.measures.count("holders_killed")
            break
        await trio.sleep(0.02)
    await trio.sleep(0.2)


SIMULATION = Simulation(
    name="lock-contention",
    says="one deploy at a time in an environment, whoever fails or dies, and nobody else is held up",
    load=load,
    needs=frozenset({"enqueue", "claim", "complete", "lock", "unlock", "deploy"}),
    sizes={"deploys": 50, "others": 10, "jobs": 500, "kills": 5},
    least={"deploys": 4, "others": 2, "jobs": 50},
    settings={"heartbeat_timeout_seconds": LEASE_SECONDS},
    thresholds=(
        Threshold(name="locks granted", measured="lock_grants", comparison=">", limit=0),
        Threshold(
            name="ordinary jobs start beside the contention",
            measured="start_delay: ordinary jobs beside.p95",
            comparison="<",
            limit=2_000,
            unit="ms",
        ),
        Threshold(name="holders killed", measured="holders_killed", comparison=">", limit=0),
    ),
)
