"""The same as `heartbeat-reclaim` with a virtual clock: many leases of thirty seconds lapse in a few real seconds."""

from __future__ import annotations

import trio

from pgqmodel.simulation import Simulation, Stage, Threshold

__all__ = ["SIMULATION"]

LEASE_SECONDS = 30
TICK_SECONDS = 1
BEAT_SECONDS = 0.05
"""In real time. The server's clock moves by a second about twice as often, so two seconds pass between heartbeats."""
JOB_SECONDS = 1.5


async def load(stage: Stage) -> None:
    """In each round every worker has a job, some are stopped, the clock moves past their leases, and they come back."""
    lives = stage.start_workers(stage.size("workers"), heartbeat_seconds=BEAT_SECONDS)
    async with stage.producer("p1") as producer, stage.producer("m1") as maintenance:
        for number in range(stage.size("rounds")):
            stage.begin(f"round {number + 1}")
            for _ in lives:
                await producer.enqueue({"seconds": JOB_SECONDS})
            await stage.reach_running(len(lives))
            stopped = lives[number % 3 :: 3]
            for life in stopped:
                stage.nemesis.stop(life)
            for _ in range(LEASE_SECONDS + 2):
                await trio.sleep(BEAT_SECONDS / 2)
                stage.clock.advance(TICK_SECONDS * 1_000_000)
                await maintenance.reclaim()
            for life in stopped:
                stage.nemesis.go_on(life)
            await stage.reach_final(len(lives) * (number + 1))
    await stage.drain()


SIMULATION = Simulation(
    name="heartbeat-reclaim-virtual",
    says="leases on a clock that is moved: exact to the second, hundreds of virtual seconds in a few real ones",
    load=load,
    needs=frozenset({"enqueue", "claim", "complete", "heartbeat", "reclaim"}),
    sizes={"workers": 9, "rounds": 5},
    least={"workers": 3},
    settings={"heartbeat_timeout_seconds": LEASE_SECONDS},
    frozen=True,
    reclaim_seconds=None,
    thresholds=(
        Threshold(
            name="silence before a job is taken back",
            measured="silence_before_return.min",
            comparison=">=",
            limit=LEASE_SECONDS,
            unit="s",
        ),
        Threshold(
            name="the same, at the most",
            measured="silence_before_return.max",
            comparison="<=",
            limit=LEASE_SECONDS + 2 * TICK_SECONDS,
            unit="s",
        ),
    ),
)
