"""A flood of webhooks and of direct enqueues, some while every deploy lock is held; then workers work it off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

import trio

from pgqmodel.simulation import ClaimedJob, Measures, Queue, Simulation, Stage, Threshold

__all__ = ["SIMULATION"]

AT_ONCE = 40
TURNS = 10
PRODUCERS = 8
INSERTS_MIN = 400
"""With fewer inserts the ratio of two medians is noise."""


async def load(stage: Stage) -> None:
    """Webhooks over HTTP, if the target has the service; enqueues in turns with and without held locks; then work."""
    if stage.has_service:
        await _webhooks(stage)
    async with AsyncExitStack() as stack:
        holders = [
            await stack.enter_async_context(stage.producer(f"h{number}"))
            for number in range(stage.size("locks") if stage.has("lock") else 0)
        ]
        claims = [await _deploy_job(holder, number) for number, holder in enumerate(holders)]
        for turn in range(TURNS):
            await _turn(stage, holders, claims, locked=bool(turn % 2))
        for holder, claim in zip(holders, claims, strict=True):
            await holder.complete(claim)
    stage.begin("working off")
    stage.start_workers(stage.size("workers"))
    await stage.drain()


async def _webhooks(stage: Stage) -> None:
    """Send webhooks; every delivery must be accepted once and become one run."""
    stage.begin("webhooks")
    bodies = [(f"d{number}", _pipeline(number)) for number in range(stage.size("webhooks"))]
    for answer in await stage.deliver("ci", bodies, at_once=AT_ONCE):
        stage.check("a signed webhook is accepted", answer.status == 202)
        stage.measures.record("webhook", answer.seconds, at=answer.at + answer.seconds)
    again = await stage.deliver("ci", bodies[: len(bodies) // 50], at_once=AT_ONCE)
    for answer in again:
        stage.check("a replayed webhook is refused", answer.status == 409)
    rows = await stage.ask("SELECT count(DISTINCT run) AS runs FROM job_queue WHERE run LIKE 'ci:%'")
    stage.measures.count("runs", rows[0]["runs"])
    stage.check("every webhook became exactly one run", rows[0]["runs"] == len(bodies))


def _pipeline(number: int) -> dict[str, Any]:
    """The pipeline of a webhook: nine of ten have one job; the tenth builds and then deploys."""
    build = {"name": "build", "jobs": [{"name": "build", "payload": {"seconds": 0}}]}
    deploy = {
        "name": "deploy",
        "jobs": [{"name": "deploy", "environment": f"env{number % 50}", "payload": {"deploy": {"tries": 100}}}],
    }
    stages = [build, deploy] if number % 10 == 0 else [build]
    return {"repository": "acme/shop", "ref": "refs/heads/main", "pipeline": {"stages": stages}}


async def _deploy_job(holder: Queue, number: int) -> ClaimedJob:
    """A client enqueues and claims a deploy job for an environment that no other job has."""
    await holder.enqueue(environment=f"held{number}", priority=1_000_000)
    claim = await holder.claim()
    assert claim is not None
    return claim


async def _turn(stage: Stage, holders: list[Queue], claims: list[ClaimedJob], *, locked: bool) -> None:
    """Run a share of the enqueues, with every lock held or with none."""
    stage.begin("enqueues, locks held" if locked else "enqueues, locks free")
    for holder, claim in zip(holders, claims, strict=True):
        taken = await holder.lock(claim) if locked else True
        stage.check("a free deploy lock is given", taken)
    name = "insert_locked" if locked else "insert_free"
    left = count()
    share = max(stage.size("enqueues") // TURNS, 1)
    async with trio.open_nursery() as nursery:
        for number in range(PRODUCERS):
            nursery.start_soon(_enqueue_some, stage, f"p{stage.turn}.{number}", name, iter(left), share)
    if locked:
        for holder, claim in zip(holders, claims, strict=True):
            await holder.unlock(claim)


async def _enqueue_some(stage: Stage, producer: str, name: str, numbers: Iterator[int], share: int) -> None:
    async with stage.producer(producer) as queue:
        for number in numbers:
            if number >= share:
                return
            started = time.perf_counter()
            await queue.enqueue({"seconds": 0}, priority=number % 3)
            stage.measures.record(name, time.perf_counter() - started, at=time.time())


def _slowdown(measures: Measures) -> float | None:
    """The median insert with held locks, as a multiple of the median without."""
    locked, free = measures.value("insert_locked.p50"), measures.value("insert_free.p50")
    return locked / free if locked is not None and free else None


def _inserts(measures: Measures) -> int:
    """The number of inserts on the smaller side of the ratio."""
    return min(int(measures.value(f"{name}.count") or 0) for name in ("insert_locked", "insert_free"))


SIMULATION = Simulation(
    name="mass-enqueue",
    says="a flood of webhooks and enqueues is taken whole, and deploy locks do not hold it up",
    load=load,
    sizes={"webhooks": 10_000, "enqueues": 4_000, "locks": 50, "workers": 8},
    least={"enqueues": 1_000, "locks": 5, "workers": 2},
    thresholds=(
        Threshold(
            name="insert with locks held, to without",
            measured=_slowdown,
            comparison="<",
            limit=1.5,
            samples=_inserts,
            samples_min=INSERTS_MIN,
        ),
        Threshold(name="insert, 99 of 100", measured="insert_free.p99", comparison="<", limit=250, unit="ms"),
    ),
)
