"""A real `pgqmodel serve` process on a real Postgres, and what its callers need; judges nothing."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psycopg
from attrs import frozen

from cli.commands import PROGRAM
from pgqmodel.server import Cluster, Database
from pgqmodel.service.webhooks import sign
from pgqmodel.target import load

__all__ = ["SECRET", "Event", "Served", "body_of", "delivery_of", "events", "prepared", "serving"]

SECRET = b"a secret of the tests"
PATIENCE_SECONDS = 60.0


@frozen(kw_only=True)
class Served:
    """A running service: its URL, its process, its database."""

    url: str
    process: subprocess.Popen[str]
    conninfo: str

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement, from the side."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def job(self, status: str = "running") -> int:
        """A new job in a state."""
        ((job,),) = self.sql("INSERT INTO job_queue (status) VALUES (%s) RETURNING id", status)
        return int(job)

    def log(self, job: int, lines: list[str]) -> None:
        """Lines of a job, committed at once."""
        self.sql("INSERT INTO job_logs (job, line) SELECT %s, unnest(%s::text[])", job, lines)

    def counts(self) -> tuple[int, ...]:
        """How many rows the tables have."""
        tables = ("job_queue", "webhook_deliveries", "job_logs", "environments")
        return tuple(self.sql(f"SELECT count(*) FROM {table}")[0][0] for table in tables)

    def end(self) -> int:
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)


@frozen(kw_only=True)
class Event:
    """A server-sent event."""

    kind: str
    sequence: int | None
    data: str


@contextlib.contextmanager
def prepared(server: Cluster, name: str) -> Iterator[str]:
    """A database with the reference queue in it."""
    with Database(server, name) as database:
        for script in load("reference").setup:
            database.run_setup(script.sql, script.label)
        yield database.conninfo()


@contextlib.contextmanager
def serving(conninfo: str, folder: Path, *options: str) -> Iterator[Served]:
    """A service for a database, ended afterwards if it has not ended by itself."""
    secret = folder / "secret"
    secret.write_bytes(SECRET + b"\n")
    words = [str(PROGRAM), "serve", "--pg", conninfo, "--secret-file", str(secret), *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://"), f"the service did not start: {url!r}"
            yield Served(url=url, process=process, conninfo=conninfo)
        finally:
            process.kill()


def body_of(**changes: Any) -> dict[str, Any]:
    """A webhook's body with two stages, three jobs and a deploy, changed at the top."""
    test = {"name": "test", "payload": {"seconds": 0}, "priority": 5}
    lint = {"name": "lint", "needs": ["test"]}
    deploy = {"name": "deploy", "environment": "prod", "needs": ["test", "lint"]}
    stages = [{"name": "checks", "jobs": [test, lint]}, {"name": "release", "jobs": [deploy]}]
    return {"repository": "acme/shop", "ref": "refs/heads/main", "pipeline": {"stages": stages}} | changes


def delivery_of(delivery: str, body: Mapping[str, Any] | bytes, **changes: str | None) -> dict[str, Any]:
    """The arguments of `httpx.post` for a signed delivery; a header changed to None is left out."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {
        "content-type": "application/json",
        "x-github-delivery": delivery,
        "x-hub-signature-256": sign(SECRET, raw),
    }
    changed = headers | {name.replace("_", "-"): value for name, value in changes.items()}
    return {"content": raw, "headers": {name: value for name, value in changed.items() if value is not None}}


def events(response: httpx.Response) -> Iterator[Event]:
    """The events of a stream, as the standard has them; comments are skipped."""
    kind, sequence = "message", None
    data: list[str] = []
    for piece in _lines(response):
        name, _, value = piece.partition(":")
        value = value.removeprefix(" ")
        if piece == "":
            if data:
                yield Event(kind=kind, sequence=sequence, data="\n".join(data))
            kind, sequence, data = "message", None, []
        elif name == "data":
            data.append(value)
        elif name == "id":
            sequence = int(value)
        elif name == "event":
            kind = value


def _lines(response: httpx.Response) -> Iterator[str]:
    """The lines of a stream; ended by line feeds only, unlike httpx's, which break at other characters too."""
    left = b""
    for piece in response.iter_raw():
        *whole, left = (left + piece).split(b"\n")
        yield from (line.decode() for line in whole)
