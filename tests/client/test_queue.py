"""The queue's client: every operation and its refusal, lost answers, and log lines."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
import trio
from psycopg.rows import dict_row

from pgqmodel.client import ClaimedJob, NewJob, Queue
from pgqmodel.client.recorder import Recorder, read_client_history
from pgqmodel.errors import LostAnswerError, RolledBackError, UsageError
from pgqmodel.history import Returned
from pgqmodel.operations import Status
from pgqmodel.target import load, read_jobs
from working import Side, take, until, with_queue

HOUR = 3600.0


@pytest.mark.both_majors
def test_a_job_lives_and_is_refused_afterwards(side: Side) -> None:
    """Every operation is accepted from the holder, and refused once the job is settled."""

    async def story(queue: Queue) -> None:
        job = await queue.enqueue({"a": [1]}, priority=3, environment="prod")
        claim = await take(queue)
        assert (claim.job, claim.row["payload"], claim.row["attempt"]) == (job, {"a": [1]}, 1)
        assert await queue.claim() is None
        assert await queue.heartbeat(claim)
        assert await queue.log(claim, ["one", b"two"])
        assert await queue.lock(claim)
        assert await queue.deploy(claim)
        assert await queue.unlock(claim)
        assert await queue.complete(claim)
        holders = (queue.heartbeat, queue.lock, queue.deploy, queue.unlock, queue.complete, queue.fail, queue.retry)
        assert [await refused(claim) for refused in holders] == [False] * len(holders)
        assert not await queue.log(claim, ["three"])
        assert not await queue.cancel(claim.job)

    with_queue(side, story)
    assert [line for (line,) in side.sql("SELECT line FROM job_logs ORDER BY sequence")] == ["one", "two"]


def test_a_job_is_given_back(side: Side) -> None:
    """A job that is retried is there at once, one that failed later, a silent one by reclaim, a cancelled one never."""

    async def story(queue: Queue) -> None:
        await queue.enqueue()
        assert await queue.retry(await take(queue), "again\0")
        second = await take(queue)
        assert second.row["attempt"] == 2
        side.sql("UPDATE job_queue SET heartbeat_at = now() - interval '1 hour'")
        assert await queue.reclaim() == {"reclaimed": 1, "stranded": 0}
        assert not await queue.complete(second)
        assert await queue.fail(await take(queue), "no more")
        job = await queue.enqueue(unique_key="k")
        assert await queue.enqueue(unique_key="k") is None
        assert job is not None
        assert await queue.cancel(job)
        assert await queue.claim() is None

    with_queue(side, story)
    assert side.sql("SELECT status, error FROM job_queue ORDER BY id") == [("failed", "no more"), ("cancelled", None)]


@pytest.mark.both_majors
def test_a_run_is_created_in_one_statement(side: Side) -> None:
    """A run's jobs are there in their order, and what they need is said by the identifiers that they got."""
    jobs = [
        NewJob(stage=0, payload={"n": 0}),
        NewJob(stage=0, needs=(0,), priority=9),
        NewJob(stage=1, needs=(1, 0), environment="prod"),
    ]

    async def story(queue: Queue) -> None:
        assert await queue.create_run("r", jobs) == 3
        assert await queue.create_run("empty", []) == 0
        for number in range(3):
            claim = await take(queue)
            assert (claim.row["stage"], claim.row["environment"]) == (jobs[number].stage, jobs[number].environment)
            assert await queue.claim() is None, "what it needs is not complete"
            assert await queue.complete(claim)
        for needs in ((3,), (0,), (-1,)):
            with pytest.raises(UsageError, match="expected the place of another"):
                await queue.create_run("wrong", [NewJob(needs=needs)])

    with_queue(side, story)
    rows = side.sql(
        "SELECT id, needs, priority, payload, xmin = min(xmin::text) OVER () ::xid FROM job_queue ORDER BY id"
    )
    first, second, _ = (row[0] for row in rows)
    assert [row[1] for row in rows] == [None, [first], [first, second]]
    assert [row[2] for row in rows] == [0, 9, 0]
    assert rows[0][3] == {"n": 0}
    target = load("reference")
    with psycopg.connect(side.conninfo, row_factory=dict_row) as connection:
        observed = read_jobs(connection.execute(target.observe.jobs).fetchall(), target)
    assert [job.needs for job in observed] == [(), (str(first),), (str(first), str(second))]


def test_a_history_links_calls_to_transactions(side: Side, tmp_path: Path) -> None:
    """An accepted call says which transaction its work was in, one that changed nothing that there was none."""
    recorder = Recorder(tmp_path / "h", "w1.1", "w1")

    async def story(queue: Queue) -> None:
        await queue.create_run("r", [NewJob(), NewJob()])
        await queue.enqueue(priority=-1)
        assert await queue.claim() is not None
        assert not await queue.cancel("0")

    with_queue(side, story, recorder=recorder)
    returned = [event for event in read_client_history(tmp_path / "h") if isinstance(event, Returned)]
    claimed, run, alone = (int(xid) for (xid,) in side.sql("SELECT xmin::text FROM job_queue ORDER BY id"))
    assert [event.transaction for event in returned] == [run, alone, claimed, None]
    assert [event.status for event in returned] == [Status.OK, Status.OK, Status.OK, Status.REFUSED]


def test_a_lost_answer_is_unknown(side: Side, tmp_path: Path) -> None:
    """A connection that ends in a call leaves an unknown outcome; the client says so, connects again, and listens."""
    side.job()
    recorder = Recorder(tmp_path / "h", "w1.1", "w1")

    async def story(queue: Queue) -> None:
        await queue.listen()
        with psycopg.connect(side.conninfo) as other:
            other.execute("LOCK TABLE job_queue")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_terminate_waiting, side)
                with pytest.raises(LostAnswerError, match="Connect again"):
                    await queue.claim()
        assert not queue.connected
        with pytest.raises(LostAnswerError):
            await queue.enqueue()
        await queue.reconnect()
        assert await queue.wait_woken(HOUR), "what was notified meanwhile nobody heard"
        assert await queue.claim() is not None
        side.job()
        assert await queue.wait_woken(HOUR)

    with_queue(side, story, recorder=recorder, worker="w1")
    told = [(event.status, event.error) for event in read_client_history(tmp_path / "h") if isinstance(event, Returned)]
    assert told == [(Status.UNKNOWN, "57P01"), (Status.UNKNOWN, None), (Status.OK, None)]


async def _terminate_waiting(side: Side) -> None:
    await trio.to_thread.run_sync(lambda: until(lambda: side.waiting("w1", "UPDATE job_queue", "Lock")))
    side.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'w1'")


def test_a_cancelled_call_is_unknown(side: Side, tmp_path: Path) -> None:
    """A call that its task leaves has an unknown outcome in the history, and the connection ends with it."""
    recorder = Recorder(tmp_path / "h", "w1.1", "w1")

    async def story(queue: Queue) -> None:
        with psycopg.connect(side.conninfo) as other:
            other.execute("LOCK TABLE job_queue")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(queue.enqueue)
                await trio.to_thread.run_sync(lambda: until(lambda: side.waiting("w1", "INSERT", "Lock")))
                nursery.cancel_scope.cancel()
        assert not queue.connected

    with_queue(side, story, recorder=recorder)
    assert [event.kind for event in read_client_history(tmp_path / "h")] == [
        "connected",
        "invoked",
        "returned",
        "ended",
    ]


@pytest.mark.parametrize(
    ("setting", "state", "passing"),
    [
        ("lock_timeout=20", "55P03", True),
        ("statement_timeout=20", "57014", True),
        ("default_transaction_read_only=on", "25006", False),
    ],
)
def test_errors_of_the_database_are_told_apart(side: Side, setting: str, state: str, passing: bool) -> None:
    """A call that the database rolled back had no effect, and the error says whether it may pass; the client lives."""
    job = side.job()

    async def story(queue: Queue) -> None:
        with psycopg.connect(side.conninfo) as other:
            other.execute("SELECT FROM job_queue FOR UPDATE")
            with pytest.raises(RolledBackError, match="had no effect") as found:
                await queue.cancel(str(job))
        assert (found.value.sqlstate, found.value.passing) == (state, passing)
        assert queue.connected

    with_queue(side, story, conninfo=psycopg.conninfo.make_conninfo(side.conninfo, options=f"-c {setting}"))
    assert side.state(job) == "pending"


def test_what_is_not_text_is_an_error(side: Side) -> None:
    """NUL and lone surrogates in a parameter are rolled back like any other wrong value, and the client lives."""

    async def story(queue: Queue) -> None:
        for wrong in ("\0", "\ud800"):
            with pytest.raises(RolledBackError, match="22021"):
                await queue.enqueue(unique_key=wrong)
        with pytest.raises(RolledBackError, match="22P05"):
            await queue.enqueue({"a": "\0"})
        assert await queue.enqueue() is not None

    with_queue(side, story)


@pytest.mark.parametrize("conninfo", ["nonsense", "host=", "postgresql://[", "dbname=not_there"])
def test_a_connection_string_that_leads_nowhere(side: Side, conninfo: str) -> None:
    """A string that is none, and a database that is not there, are the caller's; an absent server is not."""
    made = conninfo if conninfo != "dbname=not_there" else psycopg.conninfo.make_conninfo(side.conninfo, dbname="gone")
    with pytest.raises(UsageError if conninfo != "host=" else LostAnswerError):
        with_queue(side, Queue.listen, conninfo=made)


# -- logs --------------------------------------------------------------------------------------------------------------


@pytest.mark.both_majors
@pytest.mark.parametrize("per_statement", [1, 7, 1000])
def test_notifications_are_whole_bounded_and_in_order(side: Side, per_statement: int) -> None:
    """All lines are announced once, in sequence order, under 8000 bytes; one that does not fit by where it is."""
    sizes = [0, 1, 10, 2000, 3900, 3950, 7880, 7895, 7898, 7899, 7950, 8000, 20_000, 5, *range(100, 700, 7), 7890, 1]
    lines = [f'{number:04}\u20ac\\"'.ljust(size, "x")[: max(size, 1)] for number, size in enumerate(sizes)]

    async def story(queue: Queue) -> None:
        await queue.enqueue()
        claim = await take(queue)
        with psycopg.connect(side.conninfo, autocommit=True) as listener:
            listener.execute("LISTEN job_logs")
            for start in range(0, len(lines), per_statement):
                assert await queue.log(claim, lines[start : start + per_statement])
            payloads = [notify.payload for notify in listener.notifies(timeout=0.5)]
        assert all(len(payload.encode()) < 8000 for payload in payloads)
        stored = dict(side.sql("SELECT sequence, line FROM job_logs"))
        assert list(stored.values()) == lines
        told = [(number, line) for payload in payloads for number, line in _announced(claim, payload)]
        assert [number for number, _ in told] == sorted(stored)
        assert all(line == stored[number] for number, line in told if line is not None)
        assert all(len(stored[number].encode()) > 7800 for number, line in told if line is None)
        if per_statement == 1000:
            assert len(payloads) < len(lines) / 3, "they are packed"

    with_queue(side, story)


def _announced(claim: ClaimedJob, payload: str) -> list[tuple[int, str | None]]:
    message = json.loads(payload)
    assert str(message["job"]) == claim.job
    return [(message["sequence"] + place, line) for place, line in enumerate(message.get("lines", [None]))]


def test_a_line_over_the_maximum_is_cut_and_the_rest_is_not(side: Side) -> None:
    """Raw bytes of any kind are stored, each line for itself."""

    async def story(queue: Queue) -> None:
        await queue.enqueue()
        claim = await take(queue)
        assert await queue.log(claim, [b"a\x00\xff", b"x" * 200, b"", b"last\n"])
        assert await queue.log(claim, [])

    with_queue(side, story, line_bytes_max=100)
    first, second, third, last = (line for (line,) in side.sql("SELECT line FROM job_logs ORDER BY sequence"))
    assert (first, third, last) == ("a\ufffd\ufffd", "", "last")
    assert second.endswith(" [cut: 120 bytes]")


@pytest.mark.parametrize(
    "lines", [["plain"], ["", '"', "\\", '\\"', "a,b", "{}", "NULL", " ", "\n\t", "\u20ac\U00010348"]]
)
def test_lines_are_stored_as_they_are(side: Side, lines: list[str]) -> None:
    """Whatever means something in the text of an array is only text in a line."""

    async def story(queue: Queue) -> None:
        await queue.enqueue()
        assert await queue.log(await take(queue), lines)
        assert [line for (line,) in side.sql("SELECT line FROM job_logs ORDER BY sequence")] == lines

    with_queue(side, story)
