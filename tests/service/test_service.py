"""The service over real HTTP, on a real Postgres: webhooks, status, health, its start and its end."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import trio

from cli.commands import PROGRAM
from pgqmodel.client.pool import Pool, UnavailableError
from pgqmodel.server import Cluster
from serving import PATIENCE_SECONDS, SECRET, Served, body_of, delivery_of, prepared, serving

AT_ONCE = 40


@pytest.fixture(scope="module")
def served(real_server: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for the tests that leave it running."""
    with prepared(real_server, "service") as conninfo, serving(conninfo, tmp_path_factory.mktemp("service")) as one:
        yield one


async def deliver(url: str, deliveries: list[str]) -> list[httpx.Response]:
    """Send these deliveries, many at once, each with a body of its own."""
    answers: list[httpx.Response] = []
    todo = iter(enumerate(deliveries))

    async def send_some(client: httpx.AsyncClient) -> None:
        for number, delivery in todo:
            arguments = delivery_of(delivery, body_of(ref=f"refs/heads/{number}"))
            answers.append(await client.post(f"{url}/webhooks/github", **arguments))

    # No expiry: httpx's pool may close a connection that it has just given away, if that was idle for too long before.
    limits = httpx.Limits(max_connections=AT_ONCE, keepalive_expiry=None)
    async with httpx.AsyncClient(limits=limits, timeout=PATIENCE_SECONDS) as client, trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(send_some, client)
    return answers


@pytest.mark.both_majors
def test_a_thousand_webhooks_are_a_thousand_runs(served: Served) -> None:
    """1,000 signed deliveries, 40 at once: each is accepted, and is one run with its three jobs in their stages."""
    answers = trio.run(deliver, served.url, [f"mass-{number}" for number in range(1_000)])
    assert Counter(answer.status_code for answer in answers) == {202: 1_000}
    runs = served.sql(
        "SELECT run, array_agg(stage ORDER BY id), count(environment) FROM job_queue "
        "WHERE run LIKE 'github:mass-%%' GROUP BY run"
    )
    assert {answer.json()["run"] for answer in answers} == {run for run, _stages, _deploys in runs}
    assert len(runs) == 1_000
    assert all((stages, deploys) == ([1, 1, 2], 1) for _run, stages, deploys in runs)


def test_one_delivery_sent_at_once_is_one_run(served: Served) -> None:
    """The same delivery 100 times at the same time: one is accepted, 99 are replays, and all name the one run."""
    answers = trio.run(deliver, served.url, ["twin"] * 100)
    assert Counter(answer.status_code for answer in answers) == {202: 1, 409: 99}
    assert {answer.json()["run"] for answer in answers} == {"github:twin"}
    assert served.sql("SELECT count(*) FROM job_queue WHERE run = 'github:twin'") == [(3,)]


def test_needs_become_jobs(served: Served) -> None:
    """The names that a job needs are the numbers of jobs of its own run, and the answer tells which."""
    answer = httpx.post(f"{served.url}/webhooks/github", **delivery_of("needs", body_of()))
    names = {name: int(job) for name, job in answer.json()["identifiers"].items()}
    found = dict(served.sql("SELECT id, needs FROM job_queue WHERE run = 'github:needs'"))
    assert found[names["test"]] is None
    assert found[names["lint"]] == [names["test"]]
    assert found[names["deploy"]] == [names["test"], names["lint"]]


def test_a_delivery_may_be_signed_too(served: Served) -> None:
    """A delivery in the body must be the header's: then a replay under another identifier is refused."""
    arguments = delivery_of("signed-1", body_of(delivery="signed-1"))
    assert httpx.post(f"{served.url}/webhooks/github", **arguments).status_code == 202
    arguments["headers"]["x-github-delivery"] = "signed-2"
    assert httpx.post(f"{served.url}/webhooks/github", **arguments).status_code == 422


def test_status_follows_the_jobs(served: Served) -> None:
    """A run and its jobs are shown as they are now."""
    jobs = httpx.post(f"{served.url}/webhooks/github", **delivery_of("status", body_of())).json()["identifiers"]
    run = httpx.get(f"{served.url}/runs/github:status").json()
    assert (run["status"], run["jobs"], run["states"]) == ("pending", 3, {"pending": 3})
    served.sql("UPDATE job_queue SET status = 'failed', error = 'exit 1' WHERE id = %s", int(jobs["test"]))
    run = httpx.get(f"{served.url}/runs/github:status").json()
    assert (run["status"], run["states"]) == ("running", {"failed": 1, "pending": 2})
    job = httpx.get(f"{served.url}/jobs/{jobs['test']}").json()
    assert (job["state"], job["error"], job["run"], job["stage"]) == ("failed", "exit 1", "github:status", 1)
    assert job["created_at"].endswith("+00:00")


def test_without_database_nothing_is_half_done(major: int, tmp_path: Path) -> None:
    """While the database is gone: 503 with Retry-After; when it is back, the same delivery becomes its run, once."""
    with (
        Cluster(major, clock=False) as server,
        prepared(server, "gone") as conninfo,
        serving(conninfo, tmp_path) as served,
    ):
        arguments = delivery_of("after", body_of())
        assert httpx.get(f"{served.url}/health").status_code == 200
        server.crash()
        refused = httpx.post(f"{served.url}/webhooks/github", **arguments)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        health = httpx.get(f"{served.url}/health")
        assert (health.status_code, health.json()["database"]) == (503, False)
        server.restart()
        assert httpx.post(f"{served.url}/webhooks/github", **arguments).status_code == 202
        assert served.sql("SELECT count(*) FROM job_queue") == [(3,)]
        assert served.end() == 0


def test_a_locked_table_is_no_half_run(real_server: Cluster, tmp_path: Path) -> None:
    """A webhook whose statement is terminated while it waits gets 503, and leaves neither jobs nor delivery."""
    with prepared(real_server, "locked") as conninfo, serving(conninfo, tmp_path) as served:
        with psycopg.connect(conninfo) as holder:
            holder.execute("LOCK TABLE job_queue IN EXCLUSIVE MODE")

            async def main() -> int:
                status = 0

                async def send() -> None:
                    nonlocal status
                    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
                        arguments = delivery_of("waits", body_of())
                        status = (await client.post(f"{served.url}/webhooks/github", **arguments)).status_code

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(send)
                    terminate = (
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE application_name = 'pgqmodel-serve' AND wait_event_type = 'Lock'"
                    )
                    while not served.sql(terminate):
                        await trio.lowlevel.checkpoint()
                return status

            assert trio.run(main) == 503
        assert served.counts() == (0, 0, 0, 0)


def test_the_service_ends_when_told(real_server: Cluster, tmp_path: Path) -> None:
    """SIGTERM ends open streams whole, answers what is in work, and exits with 0."""
    with prepared(real_server, "ends") as conninfo, serving(conninfo, tmp_path) as served:
        job = served.job()
        served.log(job, ["one"])
        with httpx.stream("GET", f"{served.url}/jobs/{job}/logs", timeout=PATIENCE_SECONDS) as response:
            pieces = response.iter_raw()
            while b"one" not in next(pieces):
                """The retry line comes first."""
            assert served.end() == 0
            assert b"".join(pieces) == b""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--pg", "host=/nowhere dbname=x"], "cannot be reached"),
        (["--pg", "no such thing"], "Correct it"),
        (["--pg", "{empty}"], "has no job_queue"),
        (["--secret-file", "missing"], "cannot be read"),
        (["--secret-file", "blank"], "holds no bytes"),
        (["--target", "nothing"], "no target"),
        (["--target", "baseline"], "no log channel"),
        (["--host", "203.0.113.1"], "cannot be served on"),
        (["--port", "70000"], "70000"),
        (["--body-bytes", "0"], "0"),
    ],
)
def test_a_wrong_call_is_told_so(real_server: Cluster, tmp_path: Path, words: list[str], says: str) -> None:
    """Options that cannot serve end with 2 and a sentence, and nothing on standard output."""
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "blank").write_bytes(b"\n")
    with prepared(real_server, "called") as conninfo:
        given = {"--pg": conninfo, "--secret-file": "secret"}
        given |= {words[0]: words[1].format(empty=real_server.conninfo())}
        command = [str(PROGRAM), "serve", *(word for pair in given.items() for word in pair)]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2, ended.stderr
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_the_pool_is_bounded_and_heals(real_server: Cluster) -> None:
    """Never more connections than allowed; one that was terminated while idle is replaced without an error."""

    async def main(conninfo: str) -> None:
        pool = Pool(conninfo, size=3)
        seen: Counter[int] = Counter()

        async def ask() -> None:
            ((pid,),) = await pool.query("SELECT pg_backend_pid()")
            seen[pid] += 1

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(ask)
        assert len(seen) <= 3
        with psycopg.connect(conninfo, autocommit=True) as side:
            for pid in seen:
                side.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        for _ in range(3):
            await pool.query("SELECT 1")
        with pytest.raises(UnavailableError):
            await pool.query("SELECT pg_terminate_backend(pg_backend_pid())")
        assert await pool.query("SELECT $1::int", [7]) == [(7,)]
        pool.close()

    with prepared(real_server, "pooled") as conninfo:
        trio.run(main, conninfo)


def test_a_statement_that_hangs_is_given_up(real_server: Cluster) -> None:
    """No answer within the pool's patience: unavailable, and the connection is free again."""

    async def main(conninfo: str) -> None:
        pool = Pool(conninfo, size=1, patience_seconds=0.2)
        with pytest.raises(UnavailableError):
            await pool.query("SELECT pg_sleep(60)")
        assert await pool.query("SELECT 1") == [(1,)]
        pool.close()

    with prepared(real_server, "hangs") as conninfo:
        trio.run(main, conninfo)


def test_errors_have_three_parts(served: Served) -> None:
    """Every refusal says what was found, what was expected, and what to do."""
    for path in ("/", "/jobs/0", "/jobs/99999999", "/runs/none", "/runs/%00", "/webhooks/github", "/jobs/1/logs/"):
        answer = httpx.get(served.url + path)
        assert answer.status_code in {400, 404, 405}
        assert set(json.loads(answer.text)["error"]) == {"found", "expected", "do"}


def test_the_recipe_works(served: Served, tmp_path: Path) -> None:
    """The documentation's curl and openssl, as they stand there, make a run."""
    text = (Path(__file__).parent.parent.parent / "docs" / "service.md").read_text(encoding="utf-8")
    recipe = text.split("```sh\n")[1].split("```")[0]
    (tmp_path / "secret").write_bytes(SECRET)
    environment = {**os.environ, "URL": served.url}
    ended = subprocess.run(
        ["sh", "-euc", recipe], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr + ended.stdout
    assert json.loads(ended.stdout)["jobs"] == 3
