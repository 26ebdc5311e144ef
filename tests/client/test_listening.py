"""A client that waits for work: woken in time, by no notification lost, and deaf while it is busy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from pgqmodel.client import ClaimedJob, NewJob, Queue
from working import Side, take, until, with_queue

HOUR = 3600.0


@asynccontextmanager
async def waiting(side: Side, queue: Queue) -> AsyncIterator[list[ClaimedJob]]:
    """A task that claims or waits, once it is seen to wait; at the end it has claimed."""
    claims: list[ClaimedJob] = []

    async def claim() -> None:
        claims.append(await queue.claim_or_wait(HOUR))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(claim)
        await trio.to_thread.run_sync(lambda: until(lambda: side.waiting("w1", "min(available_at)", "Client")))
        yield claims


@pytest.mark.both_majors
def test_woken_by_an_enqueue(side: Side) -> None:
    """A waiting client gets a job that is enqueued without waiting for its next poll, which is in an hour."""

    async def story(queue: Queue) -> None:
        async with waiting(side, queue) as claims:
            job = side.job()
        assert [claim.job for claim in claims] == [str(job)]

    with_queue(side, story)


def test_woken_by_a_stage_and_by_a_retry(side: Side) -> None:
    """What makes a job claimable wakes: the completion of what it needs, and its being given back."""

    async def story(queue: Queue) -> None:
        async with Queue.connect(None, side.conninfo, worker="w2") as other:
            await queue.create_run("r", [NewJob(stage=0), NewJob(stage=1)])
            first = await take(other)
            async with waiting(side, queue) as claims:
                assert await other.complete(first)
            assert await queue.complete(claims[0])
            await queue.enqueue()
            third = await take(other)
            async with waiting(side, queue) as claims:
                assert await other.retry(third)
            assert claims[0].job == third.job

    with_queue(side, story)


@pytest.mark.parametrize("between", ["nothing", "due", "another call"])
def test_no_wake_up_is_lost_between_look_and_wait(side: Side, between: str) -> None:
    """A job enqueued after the look and before the wait ends the wait, also if its notification came with an answer."""

    async def story(queue: Queue) -> None:
        await queue.listen()
        assert await queue.claim() is None
        side.job()
        if between == "due":
            await queue.due_seconds()
        elif between == "another call":
            assert not await queue.cancel("0")
            assert not await queue.cancel("0")
        assert await queue.wait_woken(HOUR)
        assert await queue.claim() is not None
        assert not await queue.wait_woken(0), "it has looked since"

    with_queue(side, story)


def test_whoever_has_a_job_does_not_listen(side: Side) -> None:
    """A busy session is not woken for what others notify; its next wait listens again, and looks before it waits."""

    async def story(queue: Queue) -> None:
        async def channels() -> list[str]:
            cursor = await queue._connection.connection.execute("SELECT pg_listening_channels()")
            return [row[0] for row in await cursor.fetchall()]

        async with waiting(side, queue) as claims:
            side.job()
        assert await channels() == []
        side.job()
        assert await queue.complete(claims[0])
        assert await queue.wait_woken(HOUR), "what was notified meanwhile nobody heard"
        assert await channels() == ["job_queue"]
        assert await queue.claim() is not None

    with_queue(side, story)


def test_a_delayed_job_ends_the_wait_when_it_is_due(side: Side) -> None:
    """A failed job comes back when its delay is over, without a notification and long before the poll."""

    async def story(queue: Queue) -> None:
        assert await queue.due_seconds() == float("inf")
        await queue.enqueue()
        assert await queue.fail(await take(queue))
        assert 0 < await queue.due_seconds() <= 2
        claim = await queue.claim_or_wait(HOUR)
        assert claim.row["attempt"] == 2

    with_queue(side, story)


def test_a_wait_can_be_left(side: Side) -> None:
    """Cancelling a waiting client leaves its connection as it was."""

    async def story(queue: Queue) -> None:
        with trio.move_on_after(0.05) as scope:
            await queue.claim_or_wait(HOUR)
        assert scope.cancelled_caught
        assert await queue.enqueue() is not None

    with_queue(side, story)
