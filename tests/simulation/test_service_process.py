"""The service as a process of a simulation, and its users: signed webhooks, subscribers, and what they must receive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import trio

from pgqmodel.client.recorder import read_client_history
from pgqmodel.errors import NoVerdictError
from pgqmodel.history import Invoked, Returned
from pgqmodel.operations import State
from pgqmodel.report import told
from pgqmodel.simulation import Stage, SubscriberOptions
from pgqmodel.simulation.deliveries import deliver
from pgqmodel.simulation.proof import Proofs
from pgqmodel.simulation.stream_judging import judge_streams
from pgqmodel.simulation.subscribers import digest
from simulation.staging import on_stage

LINES = 40


def body(number: int) -> dict[str, Any]:
    """A pipeline of one job."""
    job = {"name": "build", "payload": {"seconds": 0}}
    return {
        "repository": "acme/shop",
        "ref": f"refs/heads/b{number}",
        "pipeline": {"stages": [{"name": "build", "jobs": [job]}]},
    }


def test_webhooks_become_runs_once(major: int) -> None:
    """Each delivery is accepted, a replay with 409, one with another signature with 401.

    What the service created is in its own history, one enqueue a run.
    """

    async def story(stage: Stage) -> None:
        bodies = [(f"d{number}", body(number)) for number in range(12)]
        answers = await stage.deliver("ci", bodies, at_once=4)
        assert {answer.status for answer in answers} == {202}
        assert {answer.delivery for answer in answers} == {f"d{number}" for number in range(12)}
        assert all(answer.seconds > 0 for answer in answers)
        again = await stage.deliver("ci", bodies[:2], at_once=1)
        assert [answer.status for answer in again] == [409, 409]
        (forged,) = await deliver(f"{stage.service.url}/webhooks/ci", b"guessed", [("d99", body(99))], at_once=1)
        assert forged.status == 401
        runs = {row["run"] for row in await stage.ask("SELECT run FROM job_queue")}
        assert len(runs) == await stage.count_jobs(State) == 12
        await stage.service.stop()
        process = stage.service.process
        assert process is not None
        assert process.exitcode == 0
        events = list(read_client_history(stage.service.history))
        asked = {event.arguments["run"] for event in events if isinstance(event, Invoked)}
        assert asked == runs
        assert len([event for event in events if isinstance(event, Returned)]) >= len(runs)

    on_stage(major, story)


def test_a_delivery_without_an_answer_says_so() -> None:
    """Nobody there: the status is 0, the time it took is told, and nothing is raised."""

    async def main() -> None:
        (answer,) = await deliver("http://127.0.0.1:1/webhooks/ci", b"secret", [("d1", body(1))], at_once=1)
        assert (answer.delivery, answer.status) == ("d1", 0)

    trio.run(main)


def test_a_service_that_cannot_start_is_no_verdict(major: int, capfd: pytest.CaptureFixture[str]) -> None:
    """It ended before it served: the simulation says so, instead of waiting."""

    async def story(stage: Stage) -> None:
        stage.service.conninfo = stage.server.conninfo()
        with pytest.raises(NoVerdictError, match="the service ended before it served; expected its address"):
            await stage.service.start()

    on_stage(major, story)


async def _streamed(stage: Stage) -> tuple[list[Mapping[str, Any]], Proofs]:
    """A job's lines, followed by three subscribers: what each received, and what came of it."""
    payload = {"lines": LINES, "lines_per_second": 200, "line_bytes": 60, "stamp": True}
    async with stage.producer("p1") as producer:
        job = await producer.enqueue(payload)
    assert job is not None
    await stage.subscribe(
        [
            SubscriberOptions(name="plain", job=job),
            SubscriberOptions(name="restless", job=job, hang_up_every=7),
            SubscriberOptions(name="slow", job=job, pause_after=10, pause_seconds=0.1),
        ]
    )
    stage.start_workers(1)
    await stage.drain()
    await stage.finish_subscribers()
    text = await trio.Path(stage.directory / "received.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()], stage.proofs


def test_every_subscriber_has_every_line(major: int) -> None:
    """Once and in order, over as many connections as it took; a line that is missing, doubled or changed is told."""

    async def story(stage: Stage) -> None:
        received, proofs = await _streamed(stage)
        lines = await stage.ask("SELECT sequence, line FROM job_logs ORDER BY sequence")
        committed = [[row["sequence"], digest(row["line"])] for row in lines]
        assert len(committed) == LINES
        assert [(record["subscriber"], record["ended"]) for record in received] == [
            ("plain", True),
            ("restless", True),
            ("slow", True),
        ]
        assert all(record["received"] == committed for record in received)
        again = received[1]["connections"] - 1
        assert stage.measures.counters.get("subscriber_reconnects", 0) == again
        assert stage.measures.value("lines_received") == 3 * LINES
        assert (stage.measures.value("log_latency.count") or 0) >= 2, "slow ones are not measured, the others are"
        proof = proofs.of["log-complete"]
        assert (proof.exercised, proof.violations) == (3 * LINES, 0)
        await check_flaws(stage, received[0])

    on_stage(major, story)


async def check_flaws(stage: Stage, record: Mapping[str, Any]) -> None:
    """The same record, spoilt in some way, breaks the promise that is about it."""
    lines = record["received"]
    spoilt = {
        "lost-log": lines[:5] + lines[6:],
        "duplicate-log": [*lines[:5], lines[4], *lines[5:]],
        "reordered-log": [*lines[:4], lines[5], lines[4], *lines[6:]],
        "mangled-log": [*lines[:-1], [lines[-1][0], "another text"]],
    }
    for anomaly, came in spoilt.items():
        proofs = Proofs()
        await judge_streams([{**record, "received": came}], stage.target, stage.ask, proofs)
        (broken,) = (proof for proof in proofs.of.values() if proof.violations)
        assert (broken.anomaly, broken.violations) == (anomaly, 1)
        assert "plain" in told(broken.facts)[0]
