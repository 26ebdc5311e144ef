"""The crew: real worker processes that are started, killed, stopped, and asked to leave; and what is told of them."""

from __future__ import annotations

import os
import signal
import time

import pytest

from pgqmodel.errors import NoVerdictError
from pgqmodel.history import Connected, Ended, Invoked, Returned
from pgqmodel.operations import State
from pgqmodel.simulation import Stage
from simulation.staging import connections, events_of, holder, on_stage, process_state, until


def test_a_killed_worker_is_told_of_as_crashed(major: int) -> None:
    """Its end comes after everything it recorded, dated before it died; its next life is another client."""

    async def story(stage: Stage) -> None:
        crew = stage.crew
        crew.start(2)
        assert [life.worker for life in crew.lives] == ["w1", "w2"]
        async with stage.producer("p1") as producer:
            await producer.enqueue({"seconds": 3600})
            life = await holder(stage)
            await until(lambda: any(isinstance(event, Returned) and event.job == "1" for event in life.events()))
            before = time.time()
            await crew.kill(life)
            assert (life.alive, life.process.exitcode) == (False, -signal.SIGKILL)
            events = events_of(life)
            assert isinstance(events[0], Connected)
            assert [event.operation for event in events if isinstance(event, Invoked)][:1] == ["claim"]
            end = events[-1]
            assert isinstance(end, Ended)
            assert (end.client, end.crashed) == (f"{life.worker}.{life.pid}", True)
            assert before <= (end.at or 0) <= time.time()
            again = crew.again(life)
            assert (again.worker, again.client != life.client, again.history != life.history) == (
                life.worker,
                True,
                True,
            )
            assert life not in crew.living
            assert again in crew.running
            await producer.enqueue()
            await producer.enqueue()
            await stage.reach_final(2)

    on_stage(major, story)


def test_a_stopped_worker_goes_on(major: int) -> None:
    """It lives and does not run, takes nothing meanwhile, and works again when it is let go on."""

    async def story(stage: Stage) -> None:
        (life,) = stage.start_workers(1)
        async with stage.producer("p1") as producer:
            await producer.enqueue()
            await stage.reach_final(1)
            stage.crew.stop(life)
            await until(lambda: process_state(life) == "T")
            assert stage.crew.living == [life]
            assert stage.crew.running == []
            await producer.enqueue()
            stage.crew.go_on(life)
            assert stage.crew.running == [life]
            await stage.reach_final(2)

    on_stage(major, story)


def test_who_is_dismissed_leaves_with_nothing_undone(major: int) -> None:
    """Each worker ends with 0, a stopped one and a busy one too; the busy one's job is given back."""

    async def story(stage: Stage) -> None:
        lives = stage.start_workers(3, grace_seconds=0.1)
        await until(lambda: all(map(connections, lives)))
        async with stage.producer("p1") as producer:
            await producer.enqueue({"seconds": 3600})
            busy = await holder(stage)
            stage.crew.stop(next(life for life in lives if life is not busy))
            await stage.crew.dismiss()
        assert [life.process.exitcode for life in lives] == [0, 0, 0]
        assert stage.crew.living == []
        assert await stage.count_jobs({State.PENDING}) == 1
        assert not any(isinstance(event, Ended) and event.crashed for life in lives for event in events_of(life))

    on_stage(major, story)


def test_who_is_dismissed_at_once_leaves_too(major: int) -> None:
    """Asked before they have begun, or while they do: that is no failure of theirs."""

    async def story(stage: Stage) -> None:
        lives = stage.start_workers(4)
        await stage.crew.dismiss()
        assert stage.crew.living == []
        assert {life.process.exitcode for life in lives} <= {0, -signal.SIGTERM}

    on_stage(major, story)


def test_a_worker_that_died_by_itself_is_no_verdict(major: int) -> None:
    """Whoever was not killed by us and ends with another code than 0 is named, with the code."""

    async def story(stage: Stage) -> None:
        life, other = stage.start_workers(2)
        await until(lambda: connections(other))
        os.kill(life.pid, signal.SIGKILL)
        await stage.crew.wait_end(life)
        with pytest.raises(NoVerdictError, match=rf"the workers {life.client} did not end .* \(code -9\); expected"):
            await stage.crew.dismiss()

    on_stage(major, story)


def test_the_end_leaves_nobody(major: int) -> None:
    """Running, stopped, killed or just started: afterwards every process is gone."""

    async def story(stage: Stage) -> None:
        running, stopped, killed = stage.start_workers(3)
        await until(lambda: all(life.history.exists() for life in (running, stopped, killed)))
        stage.crew.stop(stopped)
        await stage.crew.kill(killed)
        stage.start_workers(1)
        stage.crew.end()
        assert [life.alive for life in stage.crew.lives] == [False] * 4
        assert [life.process.exitcode for life in stage.crew.lives] == [-signal.SIGKILL] * 4

    on_stage(major, story)
