"""Everything at once: ordinary jobs, deploys, pipelines by webhook throughout, logs with subscribers."""

from __future__ import annotations

from typing import Any

import trio

from pgqmodel.simulation import Simulation, Stage, SubscriberOptions, Threshold

__all__ = ["SIMULATION"]

LOUD_JOBS = 5
LOUD = {"lines": 600, "lines_per_second": 100, "stamp": True}
WEBHOOKS_AT_ONCE = 4
PAUSE_SECONDS = 0.2


async def load(stage: Stage) -> None:
    """Enqueue a mixture of jobs, which workers work off while webhooks keep coming."""
    async with stage.producer("p1") as producer:
        loud = [await producer.enqueue(LOUD if stage.has("log") else {}, priority=9) for _ in range(LOUD_JOBS)]
        if stage.has_service:
            await stage.subscribe(
                [SubscriberOptions(name=f"s{number}", job=str(job)) for number, job in enumerate(loud)]
            )
        stage.begin("mixed load")
        stage.start_workers(stage.size("workers"))
        async with trio.open_nursery() as nursery:
            if stage.has_service:
                nursery.start_soon(_webhooks, stage)
            for number in range(stage.size("jobs")):
                await producer.enqueue(**_job(number, deploys=stage.has("lock")))
    await stage.drain()
    if stage.has_service:
        await stage.finish_subscribers()


def _job(number: int, *, deploys: bool) -> dict[str, Any]:
    """A job of the mixture: one in five deploys, one in ten fails once, the others take a moment."""
    if number % 5 == 0 and deploys:
        return {"payload": {"deploy": {"tries": 200, "wait": 0.05}}, "environment": f"env{number % 4}", "priority": 1}
    return {"payload": {"seconds": 0.01 * (number % 3), "fail_times": int(number % 10 == 1)}, "priority": number % 3}


async def _webhooks(stage: Stage) -> None:
    """Send webhooks during the whole load, a few at a time."""
    total = stage.size("webhooks")
    for start in range(0, total, WEBHOOKS_AT_ONCE):
        bodies = [(f"m{number}", _pipeline(number)) for number in range(start, min(start + WEBHOOKS_AT_ONCE, total))]
        for answer in await stage.deliver("mixed", bodies, at_once=WEBHOOKS_AT_ONCE):
            stage.check("a signed webhook is accepted", answer.status == 202)
            stage.measures.record("webhook", answer.seconds, at=answer.at + answer.seconds)
        await trio.sleep(PAUSE_SECONDS)


def _pipeline(number: int) -> dict[str, Any]:
    stages = [
        {"name": "build", "jobs": [{"name": f"build{part}", "payload": {"seconds": 0.01}} for part in range(2)]},
        {
            "name": "deploy",
            "jobs": [
                {
                    "name": "deploy",
                    "environment": f"env{number % 4}",
                    "payload": {"deploy": {"tries": 200, "wait": 0.05}},
                }
            ],
        },
    ]
    return {"repository": "acme/shop", "ref": "refs/heads/main", "pipeline": {"stages": stages}}


SIMULATION = Simulation(
    name="mixed-load",
    says="ordinary jobs, deploys, pipelines and logs at once, and every promise still holds",
    load=load,
    sizes={"jobs": 1_000, "workers": 10, "webhooks": 100},
    least={"jobs": 40, "workers": 2, "webhooks": 4},
    thresholds=(
        Threshold(name="jobs completed", measured="completed", comparison=">", limit=0),
        Threshold(name="workers' processor time seen", measured="cpu_percent.workers.max", comparison=">", limit=0),
        Threshold(name="job started, 95 of 100", measured="start_delay.p95", comparison="<", limit=60, unit="s"),
    ),
)
