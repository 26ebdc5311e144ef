"""Many workers, each an OS process, each in claim-next-or-wait: who gets which job, how soon, and how fairly."""

from __future__ import annotations

from pgqmodel.simulation import Measures, Simulation, Stage, Threshold

__all__ = ["SIMULATION"]

POLL_SECONDS = 20.0
"""So long that a job which had to wait for a poll stands out from one whose worker was woken."""


JOBS_A_WORKER_MIN = 100
"""With fewer, one long job or one late start decides how fair it looks."""


async def load(stage: Stage) -> None:
    """A burst that keeps everybody busy; then one job at a time, each into a crew that has nothing to do."""
    async with stage.producer("p1") as producer:
        # Who starts late gets little of the burst: the share of each is to show how they claim, not how they start.
        await stage.reach_connected(stage.start_workers(stage.size("workers"), poll_seconds=POLL_SECONDS))
        stage.begin("burst")
        for number in range(stage.size("jobs")):
            await producer.enqueue(payload={"seconds": 0}, priority=number % 3)
        await stage.drain()
        stage.begin("one at a time")
        for _ in range(stage.size("singles") if stage.target.wake_channel is not None else 0):
            job = await producer.enqueue(payload={"seconds": 0})
            await stage.wait_started(job, poll_seconds=POLL_SECONDS)
        await stage.drain()


def _jobs_a_worker(measures: Measures) -> int:
    """How many jobs there were for each worker; 0 for one alone, whose share is always fair."""
    workers = int(measures.value("workers") or 0)
    return int(measures.value("completed") or 0) // workers if workers > 1 else 0


SIMULATION = Simulation(
    name="multi-worker-claim",
    says="many workers claim at once, and are woken when there is something to claim",
    load=load,
    sizes={"jobs": 3000, "workers": 20, "singles": 100},
    least={"jobs": 100, "workers": 2, "singles": 5},
    thresholds=(
        Threshold(name="idle worker woken, half", measured="wake_up.p50", comparison="<", limit=250, unit="ms"),
        Threshold(name="idle worker woken, 99 of 100", measured="wake_up.p99", comparison="<", limit=1_000, unit="ms"),
        Threshold(
            name="fairness among workers",
            measured="fairness.last",
            comparison=">=",
            limit=0.8,
            samples=_jobs_a_worker,
            samples_min=JOBS_A_WORKER_MIN,
        ),
    ),
)
