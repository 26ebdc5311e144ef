"""Worker processes: what they do with jobs, signals, servers that go away, and options that lead nowhere."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from cli.commands import run
from pgqmodel.history import Connected, Event, Invoked, Returned
from pgqmodel.operations import Status
from pgqmodel.server import Cluster
from working import PATIENCE_SECONDS, Side, histories, prepared, until, worker

FAST = ("--heartbeat", "0.1", "--reclaim-every", "0.2", "--timeout", "2")
QUIET = ("--heartbeat", "3600", "--reclaim-every", "0")


def done(side: Side, job: int, state: str = "completed") -> None:
    """Wait until a job is in a state."""
    until(lambda: side.state(job) == state)


def unanswered(events: list[Event]) -> list[str]:
    """The operations of the calls that no answer is written of."""
    answered = {event.call for event in events if isinstance(event, Returned)}
    return [event.operation for event in events if isinstance(event, Invoked) and event.call not in answered]


@pytest.mark.both_majors
def test_a_worker_works_until_told_to_stop(side: Side, tmp_path: Path) -> None:
    """Jobs that were there, and those that it is woken for, are run; SIGTERM ends it with 0 and nothing said."""
    before = side.job()
    with worker(side, "w1", "--history", tmp_path) as process:
        done(side, before)
        until(lambda: side.waiting("w1", "min(available_at)", "Client"))
        done(side, side.job())
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=PATIENCE_SECONDS) == ("", "")
    assert process.returncode == 0
    events = histories(tmp_path)["w1.1"]
    assert unanswered(events) == []
    clients = {event.client for event in events if isinstance(event, Invoked)}
    assert clients <= {"w1.1", "w1.1-heart"}


def test_scripts_are_done_and_wrong_ones_fail(side: Side) -> None:
    """Each script does what it says; a wrong payload, or a deploy without a place, fails its job and not the worker."""
    side.sql("UPDATE environments SET version = 0")
    payloads = ('{"secs": 1}', '{"lines": "many"}', "[1]", '{"deploy": true}')
    wrong = [side.job(payload, max_attempts=1) for payload in payloads]
    fails = side.job('{"fail": true}', max_attempts=1)
    logs = side.job('{"lines": 250, "line_bytes": 80}')
    junk = side.job('{"lines": 30, "junk": true, "lines_per_second": 1000}')
    again = side.job('{"fail_times": 2, "retry": true}')
    deploys = side.job('{"deploy": {"tries": 2, "seconds": 0.01}}', environment="prod")
    with worker(side, "w1"):
        for job in (logs, junk, again, deploys):
            done(side, job)
        for job in (*wrong, fails):
            done(side, job, "failed")
    errors = [error for (error,) in side.sql("SELECT error FROM job_queue WHERE id = ANY(%s) ORDER BY id", wrong)]
    assert all("; expected" in error for error in errors)
    counts = dict(side.sql("SELECT job, count(*) FROM job_logs GROUP BY job"))
    assert counts == {logs: 250, junk: 30}
    assert side.sql("SELECT attempts FROM job_queue WHERE id = %s", again) == [(3,)]
    assert side.sql("SELECT version FROM environments") == [(1,)]


@pytest.mark.both_majors
def test_a_killed_worker_leaves_its_question_and_its_job(side: Side, tmp_path: Path) -> None:
    """SIGKILL in a call leaves it without an answer; SIGKILL in a job leaves the job to be reclaimed by another."""
    job = side.job('{"seconds": 3600, "lines": 1}')
    with worker(side, "w1", "--history", tmp_path, *QUIET) as process:
        until(lambda: side.sql("SELECT 1 FROM job_logs"))
        process.kill()
    with psycopg.connect(side.conninfo) as other:
        other.execute("LOCK TABLE job_queue")
        with worker(side, "w2", "--history", tmp_path, *QUIET) as process:
            until(lambda: side.waiting("w2", "UPDATE job_queue", "Lock"))
            process.kill()
    assert unanswered(histories(tmp_path)["w2.1"]) == ["claim"]
    side.sql("UPDATE job_queue SET payload = '{}'")
    with worker(side, "w3", *FAST):
        done(side, job)
    assert side.sql("SELECT attempts FROM job_queue") == [(2,)]


@pytest.mark.parametrize("script", ['{"busy": 1.5}', '{"seconds": 3}'])
def test_no_job_stops_the_beat(side: Side, tmp_path: Path, script: str) -> None:
    """A job that burns CPU, and one that waits, are not reclaimed, although they last longer than the timeout."""
    job = side.job(script)
    words = ("--history", tmp_path, "--heartbeat", "0.1", "--reclaim-every", "0.1", "--timeout", "1")
    with worker(side, "w1", *words), worker(side, "w2", *words):
        done(side, job)
    assert side.sql("SELECT attempts FROM job_queue") == [(1,)]
    events = [event for history in histories(tmp_path).values() for event in history]
    assert sum(isinstance(event, Invoked) and event.operation == "heartbeat" for event in events) > 3


def test_nothing_is_claimed_before_the_heart_is_there(side: Side, tmp_path: Path) -> None:
    """A job that burns CPU leaves so little of the interpreter that to connect beside it can outlast the timeout."""
    job = side.job()
    with worker(side, "w1", "--history", tmp_path):
        done(side, job)
    events = histories(tmp_path)["w1.1"]
    connected = [event.client for event in events[: _first_claim(events)] if isinstance(event, Connected)]
    assert sorted(connected) == ["w1.1", "w1.1-heart"]


def _first_claim(events: list[Event]) -> int:
    return next(at for at, event in enumerate(events) if isinstance(event, Invoked) and event.operation == "claim")


def test_a_refused_beat_ends_the_job(side: Side, tmp_path: Path) -> None:
    """A worker whose job was taken away stops it, does not settle it, and goes on with the next."""
    job = side.job('{"seconds": 3600}')
    with worker(side, "w1", "--history", tmp_path, "--heartbeat", "0.1", "--reclaim-every", "0"):
        done(side, job, "running")
        side.sql("UPDATE job_queue SET attempts = attempts + 1, worker = 'other'")
        done(side, side.job())
    assert side.state(job) == "running"
    events = histories(tmp_path)["w1.1"]
    assert [event.job for event in events if isinstance(event, Invoked) and event.operation == "complete"] != [str(job)]
    refused = [event for event in events if isinstance(event, Returned) and event.status is Status.REFUSED]
    assert refused


def test_the_job_has_the_time_of_grace(side: Side) -> None:
    """After SIGTERM a job may end in its time of grace, and no other is begun; one that does not end is given back."""
    first = side.job('{"lines": 1, "seconds": 1}')
    second = side.job('{"lines": 1, "seconds": 3600}')
    for job, grace, state in ((first, 60, "completed"), (second, 0, "pending")):
        with worker(side, "w1", "--grace", grace) as process:
            until(lambda job=job: side.sql("SELECT 1 FROM job_logs WHERE job = %s", job))
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_SECONDS) == 0
        assert side.state(job) == state
    assert side.sql("SELECT status, attempts, error FROM job_queue WHERE id = %s", second) == [
        ("pending", 1, "its worker was stopped")
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(side: Side, number: signal.Signals) -> None:
    """A worker that is asked twice ends, even in a job that lets nothing else run."""
    job = side.job('{"busy": 3600}')
    with worker(side, "w1", *QUIET) as process:
        done(side, job, "running")
        process.send_signal(signal.SIGTERM)
        until(lambda: process.poll() is not None or process.send_signal(number))
        assert process.returncode in {128 + number, 128 + signal.SIGTERM}, "the first may be seen last"
    assert side.state(job) == "running"


@pytest.mark.both_majors
def test_a_worker_survives_its_server(major: int, tmp_path: Path) -> None:
    """The server is killed while a worker waits and while it runs a job; the same process goes on afterwards."""
    with Cluster(major, clock=False) as cluster, prepared(cluster, "mortal") as side:
        job = side.job('{"seconds": 1, "lines": 1}')
        with worker(side, "w1", "--history", tmp_path, *FAST) as process:
            until(lambda: side.sql("SELECT 1 FROM job_logs"))
            cluster.crash()
            cluster.restart()
            done(side, job)
            until(lambda: side.waiting("w1", "min(available_at)", "Client"))
            cluster.crash()
            cluster.restart()
            until(lambda: side.waiting("w1", "min(available_at)", "Client"))
            done(side, side.job())
            cluster.crash()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_SECONDS) == 0
            cluster.restart()
    kinds = [event.kind for event in histories(tmp_path)["w1.1"] if event.client == "w1.1"]  # type: ignore[attr-defined]
    assert kinds.count("connected") >= 3


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), "Missing option '--pg'"),
        (("--pg", "nonsense", "--name", "w"), "does not lead to a database"),
        (("--pg", "host=/nowhere", "--name", "w", "--target", "nothing"), "there is no target"),
        (("--pg", "host=/nowhere", "--name", "w", "--target", "missing.toml"), "there is no such file"),
        (("--pg", "host=/nowhere", "--name", "w", "--poll", "0"), "not in the range"),
        (("--pg", "host=/nowhere", "--name", "w", "--heartbeat", "nan"), "nan"),
        (("--pg", "host=/nowhere", "--name", "w", "--heartbeat", "often"), "not a valid float"),
        (("--pg", "host=/nowhere", "--name", "w", "--line-bytes", "1"), "not in the range"),
        (("--pg", "host=/nowhere", "--name", "w", "--history", "none/h"), "cannot be written to"),
        (("--pg", "host=/nowhere", "--name", "w", "--clock", "none"), "is not a clock"),
        (("--pg", "host=/nowhere", "--name", ""), "a worker's name"),
        (("--pg", "host=/nowhere", "--name", "a/b", "--history", "."), "a worker's name"),
        (("--pg", "host=/nowhere", "--name", "w" * 64), "a worker's name"),
        (("--pg", "host=/nowhere", "--name", "w", "--concurrency", "2"), "No such option"),
        (("--pg", "host=/nowhere", "--name", "w", "extra"), "unexpected extra argument"),
    ],
)
def test_options_that_lead_nowhere(words: tuple[str, ...], found: str, tmp_path: Path) -> None:
    """A wrong option ends in exit code 2 and a sentence, with nothing written."""
    ended = run("worker", *words, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert found in ended.err
    assert "Traceback" not in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_worker_starts_without_what_it_does_not_need() -> None:
    """What only checks and simulations need is not imported on a worker's path."""
    script = "import sys, pgqmodel.cli.worker, pgqmodel.client.worker_process; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"hypothesis", "networkx", "rich", "matplotlib", "starlette", "hypercorn", "httpx", "psutil"} & {*loaded}


def test_a_database_without_the_queue(server: Cluster, tmp_path: Path) -> None:
    """A database that is not there, or has no such queue, is the caller's error, and said so."""
    for name, found in (("postgres", "Postgres refuses the statement"), ("gone", "does not lead to a database")):
        ended = run("worker", "--pg", server.conninfo(name), "--name", "w", cwd=tmp_path)
        assert (ended.code, ended.out) == (2, "")
        assert found in ended.err
