"""Faults under load: workers killed, connections ended and cut, the server killed, floods of odd log lines."""

from __future__ import annotations

import itertools
from typing import Any

import trio

from pgqmodel.simulation import Life, Simulation, Stage, Threshold

__all__ = ["SIMULATION"]

LEASE_SECONDS = 2
KILL_SECONDS = 0.3
DOWN_SECONDS = 0.5
ATTEMPTS_MAX = 50
"""A high limit, because a job whose worker is killed has used up an attempt without a fault of its own."""
LATE_SECONDS, LATE_JOBS_MAX = 0.02, 3_000
FLOOD = {"lines": 30, "junk": True, "line_bytes": 9_000}
MEGABYTES = {"lines": 2, "wide": True, "line_bytes": 1_500_000}


async def load(stage: Stage) -> None:
    """Workers work jobs off while one fault follows the other; in the end every job must be done."""
    stage.start_workers(stage.size("workers"), heartbeat_seconds=LEASE_SECONDS / 5, poll_seconds=1.0)
    stage.begin("workers are killed")
    with trio.CancelScope() as faults:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_faults, stage)
            async with trio.open_nursery() as work:
                work.start_soon(_jobs, stage)
                work.start_soon(_restarts, stage)
            faults.cancel()
    stage.begin("faults are over")
    await stage.drain()


async def _jobs(stage: Stage) -> None:
    """Enqueue all jobs, then more, slowly, until there were enough faults; producers' connections are cut, too."""
    async with stage.producer("p1") as producer:
        for number in range(stage.size("jobs") + LATE_JOBS_MAX):
            if number >= stage.size("jobs"):
                if (stage.measures.value("faults") or 0) >= stage.size("faults"):
                    return
                await trio.sleep(LATE_SECONDS)
            payload: dict[str, Any] = {"seconds": 0.005}
            if stage.has("log") and number % 50 == 0:
                payload |= MEGABYTES if number % 500 == 0 else FLOOD
            await stage.enqueue_surely(producer, payload, priority=number % 3)
            stage.measures.count("acknowledged")


async def _faults(stage: Stage) -> None:
    """Every few hundred milliseconds a worker gets a fault; mostly it is killed."""
    for number in itertools.count():
        await trio.sleep(KILL_SECONDS)
        life = stage.nemesis.pick()
        if life is not None:
            with trio.CancelScope(shield=True):
                await _FAULTS[number % len(_FAULTS)](stage, life)
            stage.measures.count("faults")


async def _kill(stage: Stage, life: Life) -> None:
    await stage.nemesis.kill(life)


async def _terminate(stage: Stage, life: Life) -> None:
    await stage.nemesis.terminate(life)


async def _cut(stage: Stage, life: Life) -> None:
    stage.nemesis.cut(life)


_FAULTS = (_kill, _kill, _cut, _kill, _terminate)


async def _restarts(stage: Stage) -> None:
    """Kill and restart the server each time another part of the jobs is done; the other faults go on."""
    restarts = stage.size("restarts") if stage.server.can_crash else 0
    for number in range(1, restarts + 1):
        await stage.reach_final(stage.size("jobs") * number // (restarts + 1))
        stage.begin(f"the server is killed, {number}")
        await stage.nemesis.restart(down_seconds=DOWN_SECONDS)


SIMULATION = Simulation(
    name="failure-recovery",
    says="workers die, connections break, the server is killed: every job is completed, and nothing is done twice",
    load=load,
    needs=frozenset({"enqueue", "claim", "complete", "heartbeat", "reclaim"}),
    sizes={"jobs": 5_000, "workers": 8, "restarts": 3, "faults": 50},
    least={"workers": 4, "faults": 5},
    settings={"heartbeat_timeout_seconds": LEASE_SECONDS, "max_attempts": ATTEMPTS_MAX},
    reclaim_seconds=LEASE_SECONDS / 4,
    thresholds=(
        Threshold(name="faults", measured="faults", comparison=">=", limit=5),
        Threshold(name="jobs that failed for good", measured="failed", comparison="==", limit=0),
        Threshold(name="server back to a job done", measured="recovery_time.max", comparison="<", limit=30, unit="s"),
    ),
)
