"""Workers that die, and workers that are stopped past their lease and come back; in real time."""

from __future__ import annotations

import trio

from pgqmodel.simulation import Simulation, Stage, Threshold

__all__ = ["SIMULATION"]

LEASE_SECONDS = 30
RECLAIM_SECONDS = 1.0
BEAT_SECONDS = 5.0
SETTLED_SECONDS = 2.0
PAUSE_SECONDS = LEASE_SECONDS + 4


async def load(stage: Stage) -> None:
    """Every worker has a job that outlasts a lease; a third dies, a third is stopped for longer than the lease."""
    third = max(stage.size("workers") // 3, 1)
    lives = stage.start_workers(3 * third, heartbeat_seconds=BEAT_SECONDS)
    async with stage.producer("p1") as producer:
        stage.begin("everybody works")
        for number in range(len(lives)):
            # Some stopped workers wake up when their job would be over, and some while it still goes on.
            await producer.enqueue({"seconds": LEASE_SECONDS + 8 if number % 2 else 4 + number % 3})
        await stage.reach_running(len(lives))
    stage.begin("a third dies, a third is stopped")
    for life in lives[:third]:
        await stage.nemesis.kill(life)
    stopped = lives[third : 2 * third]
    for life in stopped:
        stage.nemesis.stop(life)
    await trio.sleep(PAUSE_SECONDS)
    stage.begin("the stopped come back")
    for life in stopped:
        stage.nemesis.go_on(life)
    await stage.drain()


SIMULATION = Simulation(
    name="heartbeat-reclaim",
    says="a silent holder loses its job after thirty seconds and not before, and what it does later has no effect",
    load=load,
    needs=frozenset({"enqueue", "claim", "complete", "heartbeat", "reclaim"}),
    sizes={"workers": 12},
    least={"workers": 3},
    settings={"heartbeat_timeout_seconds": LEASE_SECONDS},
    reclaim_seconds=RECLAIM_SECONDS,
    thresholds=(
        Threshold(
            name="silence before a job is taken back",
            measured="silence_before_return.min",
            comparison=">=",
            limit=LEASE_SECONDS - 0.5,
            unit="s",
        ),
        Threshold(
            name="the same, at the most",
            measured="silence_before_return.max",
            comparison="<",
            limit=LEASE_SECONDS + RECLAIM_SECONDS + SETTLED_SECONDS,
            unit="s",
        ),
        Threshold(name="heartbeats", measured="heartbeats", comparison=">", limit=0),
        Threshold(name="picked up by another", measured="pick_up_delay.max", comparison="<", limit=15_000, unit="ms"),
    ),
)
