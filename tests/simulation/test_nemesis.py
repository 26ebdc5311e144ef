"""The nemesis: each fault happens, what it records is true, and the queue's workers go on."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from attrs import evolve

from pgqmodel.errors import UsageError
from pgqmodel.history import Connected, Ended, Event, Invoked, Restarted, Returned
from pgqmodel.operations import State, Status
from pgqmodel.server import External
from pgqmodel.simulation import Life, Stage
from simulation.staging import connections, events_of, on_stage, until

SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = $1"


async def sessions(stage: Stage, life: Life) -> set[int]:
    """A worker's sessions on the server."""
    return {row["pid"] for row in await stage.ask(SESSIONS, (life.worker,))}


async def terminate(stage: Stage, life: Life) -> None:
    """The server ends the sessions."""
    await stage.nemesis.terminate(life)


async def cut(stage: Stage, life: Life) -> None:
    """The connections break on the way."""
    stage.nemesis.cut(life)


@pytest.mark.parametrize("fault", [terminate, cut])
def test_sessions_that_end_are_dated_so_that_it_is_true(
    fault: Callable[[Stage, Life], Awaitable[None]], major: int, tmp_path: Path
) -> None:
    """The end is before the client's next session, and nothing it asked for between the two was accepted.

    The sessions are gone, others' are not, and the worker connects again by itself and goes on.
    """

    async def story(stage: Stage) -> None:
        life, other = stage.start_workers(2)
        await until(lambda: connections(life) and connections(other))
        before, kept = await sessions(stage, life), await sessions(stage, other)
        assert before
        assert kept
        began = time.time()
        await fault(stage, life)
        (ended,) = stage.nemesis.record
        assert isinstance(ended, Ended)
        assert (ended.client, ended.crashed) == (life.client, False)
        await until(lambda: connections(life) == 2)
        assert not before & await sessions(stage, life) or fault is cut
        assert kept <= await sessions(stage, other)  # its heart's may have come since
        check_truth(events_of(life), ended, began)
        assert [mark.label.split()[-1] for mark in stage.measures.marks] == [life.worker]
        await stage.crew.kill(other)
        async with stage.producer("p1") as producer:
            await producer.enqueue()
            await stage.reach_final(1)
        assert ended in stage.histories()[-1]

    on_stage(major, story)


def check_truth(events: list[Event], ended: Ended, began: float) -> None:
    """The date lies between the fault's beginning and the next session; no call between the two was accepted."""
    ours = [event for event in events if getattr(event, "client", None) == ended.client]
    first, again = (event.at or 0.0 for event in ours if isinstance(event, Connected))
    assert first <= began <= (ended.at or 0.0) <= again
    between = {
        event.call for event in ours if isinstance(event, Invoked) and (ended.at or 0.0) < (event.at or 0.0) < again
    }
    accepted = {event.call for event in ours if isinstance(event, Returned) and event.status is Status.OK}
    assert not between & accepted


def test_a_killed_worker_is_started_again(major: int) -> None:
    """An orchestrator gives its name to a new process, which does what there is to do."""

    async def story(stage: Stage) -> None:
        (life,) = stage.start_workers(1)
        again = await stage.nemesis.kill(life)
        assert (life.alive, again.alive, again.worker) == (False, True, life.worker)
        async with stage.producer("p1") as producer:
            await producer.enqueue()
            await stage.reach_final(1)
        assert [mark.label for mark in stage.measures.marks] == ["kill w1"]

    on_stage(major, story)


def test_only_who_runs_is_picked(major: int) -> None:
    """By chance one of those that live and are not stopped; nobody, where there is none."""

    async def story(stage: Stage) -> None:
        assert stage.nemesis.pick() is None
        one, other = stage.start_workers(2)
        await until(lambda: connections(one) and connections(other))
        assert {picked.worker for picked in (stage.nemesis.pick() for _ in range(50)) if picked} == {"w1", "w2"}
        stage.nemesis.stop(one)
        assert {picked.worker for picked in (stage.nemesis.pick() for _ in range(50)) if picked} == {"w2"}
        stage.nemesis.go_on(one)
        await stage.crew.kill(other)
        assert stage.nemesis.pick() is one
        assert [mark.label for mark in stage.measures.marks] == ["stop w1", "continue w1"]

    on_stage(major, story)


def test_a_killed_server_comes_back_with_what_was_committed(major: int) -> None:
    """Every session ended, which is recorded after the kill; acknowledged jobs are there, and workers go on."""

    async def story(stage: Stage) -> None:
        (life,) = stage.start_workers(1)
        async with stage.producer("p1") as producer:
            await producer.enqueue()
        await stage.reach_final(1)
        before, began = await sessions(stage, life), time.time()
        await stage.nemesis.restart(down_seconds=0)
        (restarted,) = stage.nemesis.record
        assert isinstance(restarted, Restarted)
        assert began <= (restarted.at or 0.0) <= time.time()
        assert await stage.count_jobs(State) == 1
        async with stage.producer("p2") as producer:
            await producer.enqueue()
        await stage.reach_final(2)
        assert before
        assert [mark.label for mark in stage.measures.marks] == ["server killed", "server back"]

    on_stage(major, story)


def test_a_server_of_others_is_not_killed(major: int) -> None:
    """It is refused before anything is done."""

    async def story(stage: Stage) -> None:
        with External(stage.server.conninfo()) as server:
            nemesis = evolve(stage.nemesis, server=server)
            with pytest.raises(UsageError, match="a server that others run is never killed; expected an embedded one"):
                await nemesis.restart(down_seconds=0)
        assert (nemesis.record, stage.measures.marks) == ([], [])
        assert await stage.count_jobs(State) == 0

    on_stage(major, story)
