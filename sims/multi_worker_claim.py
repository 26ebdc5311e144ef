"""Many workers, each an OS process, each in claim-next-or-wait: who gets which job, how soon, and how fairly."""

from __future__ import annotations

from pgqmodel.simulation import Simulation, Stage, Threshold

__all__ = ["SIMULATION"]

POLL_SECONDS = 20.0
"""So long that a job which had to wait for a poll stands out from one whose worker was woken."""


async def load(stage: Stage) -> None:
    """A burst that keeps everybody busy; then one job at a time, each into a crew that has nothing to do."""
    stage.start_workers(stage.size("workers"), poll_seconds=POLL_SECONDS)
    async with stage.producer("p1") as producer:
        stage.begin("burst")
        for number in range(stage.size("jobs")):
            await producer.enqueue(payload={"seconds": 0}, priority=number % 3)
        await stage.drain()
        stage.begin("one at a time")
        for _ in range(stage.size("singles") if stage.target.wake_channel is not None else 0):
            job = await producer.enqueue(payload={"seconds": 0})
            await stage.wait_started(job, within_seconds=POLL_SECONDS / 2)
        await stage.drain()


SIMULATION = Simulation(
    name="multi-worker-claim",
    says="many workers claim at once, and are woken when there is something to claim",
    load=load,
    sizes={"jobs": 3000, "workers": 20, "singles": 100},
    thresholds=(
        Threshold(name="idle worker woken, half", measured="wake_up.p50", comparison="<", limit=250, unit="ms"),
        Threshold(name="idle worker woken, 99 of 100", measured="wake_up.p99", comparison="<", limit=1_000, unit="ms"),
        Threshold(name="fairness among workers", measured="fairness.last", comparison=">=", limit=0.8),
    ),
)
