"""Many workers, each a process in a loop of claim and wait: how soon jobs are claimed, and how fairly."""

from __future__ import annotations

from pgqmodel.simulation import Measures, Simulation, Stage, Threshold

__all__ = ["SIMULATION"]

POLL_SECONDS = 20.0
"""So long that a job which waits for a poll differs clearly from a job whose worker was woken."""


JOBS_A_WORKER_MIN = 100
"""With fewer jobs, one long job or one late start would decide the fairness."""


async def load(stage: Stage) -> None:
    """A burst that keeps all workers busy; then one job at a time for an idle crew."""
    async with stage.producer("p1") as producer:
        # A worker that starts late would get little of the burst, but fairness should show claims and not starts.
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
    """The number of jobs for each worker; 0 for a single worker, whose share is always fair."""
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
