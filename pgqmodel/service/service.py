"""The HTTP application around the reference queue: its routes and their answers.

Every refusal is JSON in three parts, `{"error": {"found", "expected", "do"}}`. A webhook is one statement, so a run and
the memory of its delivery are stored whole or not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import trio
from attrs import field, frozen
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pgqmodel.client.pool import Pool, UnavailableError
from pgqmodel.client.recorder import Recorder
from pgqmodel.operations import ENQUEUE, Status
from pgqmodel.service.hub import FINAL, FORMATS, Hub, Subscriber
from pgqmodel.service.log_stream import LogStream, Pace, read_format, read_last
from pgqmodel.service.memory import Room
from pgqmodel.service.webhooks import Refusal, check_delivery, check_signature, parse_webhook, run_of

__all__ = ["BODIES_BYTES_MAX", "STATEMENTS", "Service", "application"]

DISCARD_BYTES_MAX = 8 * 1024 * 1024
BODIES_BYTES_MAX = 16 * 1024 * 1024
DISCARD_SECONDS_MAX = 2.0
HEALTH_SECONDS_MAX = 2.0
RETRY_AFTER_SECONDS = 1
ID_MAX = 2**63 - 1
STATEMENTS = {
    "create run": """
WITH delivered AS (
    INSERT INTO webhook_deliveries (source, delivery, run) VALUES ($1, $2, $3)
    ON CONFLICT (source, delivery) DO NOTHING
    RETURNING run),
numbered AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('job_queue', 'id')) AS id, job.*
    FROM delivered, jsonb_to_recordset($4::jsonb)
        AS job (place integer, stage integer, payload jsonb, environment text, priority integer, needs integer[])),
created AS (
    INSERT INTO job_queue (id, run, stage, needs, environment, payload, priority)
    OVERRIDING SYSTEM VALUE
    SELECT id, $3, stage,
           CASE WHEN needs IS NOT NULL THEN
               (SELECT array_agg(needed.id) FROM numbered AS needed WHERE needed.place = ANY (numbered.needs))
           END,
           environment, payload, priority
    FROM numbered ORDER BY place
    RETURNING id)
SELECT array_agg(id::text ORDER BY id), pg_current_xact_id_if_assigned()::text FROM created
""",
    "known delivery": "SELECT run FROM webhook_deliveries WHERE source = $1 AND delivery = $2",
    "run": """
SELECT (SELECT status FROM pipeline_runs WHERE run = $1), job_queue.status, count(*), min(created_at), max(finished_at)
FROM job_queue WHERE run = $1 GROUP BY job_queue.status ORDER BY job_queue.status
""",
    "job": """
SELECT id::text AS job, status AS state, attempts AS attempt, run, stage, environment, priority, worker, error,
       created_at, available_at, heartbeat_at, finished_at
FROM job_queue WHERE id = $1
""",
    "state": "SELECT status FROM job_queue WHERE id = $1",
    "health": "SELECT 1",
}
_JOB_COLUMNS = (
    *("job", "state", "attempt", "run", "stage", "environment", "priority", "worker", "error"),
    *("created_at", "available_at", "heartbeat_at", "finished_at"),
)
_SOURCE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@frozen(kw_only=True)
class Service:
    """The parts that the routes use."""

    secret: bytes
    pool: Pool
    hub: Hub
    closing: trio.Event
    pace: Pace = field(factory=Pace)
    body_bytes_max: int = 1024 * 1024
    body_seconds_max: float = 10.0
    subscribers_max: int = 2_000
    room: Room = field(factory=lambda: Room(BODIES_BYTES_MAX))
    """The room for all bodies that are being received; shared, because a body's sender is known only at its end."""
    recorder: Recorder | None = None
    """The recorder for the history of created runs."""

    async def receive_webhook(self, request: Request) -> Response:
        """`POST /webhooks/{source}`: a signed push becomes a run, once."""
        body = await self._read_body(request)
        source = request.path_params["source"]
        if not _SOURCE.fullmatch(source):
            raise Refusal(404, "an unknown source", "letters a to z, digits and '-'", "Post to /webhooks/github")
        check_signature(self.secret, body, request.headers.getlist("x-hub-signature-256"))
        _check_content(request)
        delivery = check_delivery(request.headers.getlist("x-github-delivery"))
        webhook = parse_webhook(body)
        if webhook.delivery not in {None, delivery}:
            expected = "the same identifier in the header and in the signed body"
            raise Refusal(422, "a delivery that is not the body's", expected, "Sign the body for this delivery")
        run = run_of(source, delivery)
        rows = json.dumps(webhook.rows, ensure_ascii=False)
        jobs = await self._create_run(run, len(webhook.jobs), [source, delivery, run, rows])
        if jobs is None:
            return await self._refuse_replay(source, delivery)
        identifiers = {job.name: identifier for job, identifier in zip(webhook.jobs, jobs, strict=True)}
        return JSONResponse({"run": run, "jobs": len(jobs), "identifiers": identifiers}, 202)

    async def _create_run(self, run: str, count: int, values: list[str]) -> list[str] | None:
        """Create the run's jobs; None if its delivery was received before. It is recorded as an enqueue."""
        if self.recorder is None:
            ((jobs, _),) = await self.pool.query(STATEMENTS["create run"], values)
            return jobs  # type: ignore[no-any-return]
        call, status, transaction = (
            self.recorder.invoked(ENQUEUE.name, arguments={"run": run, "jobs": count}),
            Status.UNKNOWN,
            None,
        )
        try:
            ((jobs, transaction),) = await self.pool.query(STATEMENTS["create run"], values)
            status = Status.OK if jobs is not None else Status.REFUSED
        finally:
            self.recorder.returned(call, status, transaction=int(transaction) if transaction is not None else None)
        return jobs  # type: ignore[no-any-return]

    async def _refuse_replay(self, source: str, delivery: str) -> Response:
        """The answer to a repeated delivery; it names the run, because the sender may have missed the first answer."""
        rows = await self.pool.query(STATEMENTS["known delivery"], [source, delivery])
        parts = {
            "found": "a delivery that was received before",
            "expected": "every delivery once",
            "do": "Nothing, if you sent it again for want of an answer: its run is named here",
        }
        return JSONResponse({"error": parts, "run": rows[0][0] if rows else None}, 409)

    async def _read_body(self, request: Request) -> bytes:
        """The body, with at most the allowed size in memory; the rest of a longer one is read for a while and dropped.

        An answer to a peer that is still sending would be lost with the connection.
        """
        body = bytearray()
        try:
            return await self._receive(request, body)
        finally:
            self.room.give(len(body))

    async def _receive(self, request: Request, body: bytearray) -> bytes:
        """Gather the body in `body`; its room was taken before."""
        length, crowded = 0, False
        with trio.move_on_after(self.body_seconds_max) as patience:
            async for piece in request.stream():
                length += len(piece)
                crowded = crowded or not (length > self.body_bytes_max or self.room.take(len(piece)))
                if length <= self.body_bytes_max and not crowded:
                    body += piece
                    continue
                self.room.give(len(body))
                body.clear()
                patience.deadline = min(patience.deadline, trio.current_time() + DISCARD_SECONDS_MAX)
                if length > self.body_bytes_max + DISCARD_BYTES_MAX:
                    break
        if length > self.body_bytes_max:
            found = f"a body of more than {self.body_bytes_max} bytes"
            raise Refusal(413, found, "a smaller one", "Split the pipeline, or raise --body-bytes")
        if crowded:
            raise Refusal(503, "too many bodies at once", "fewer", "Send it again later")
        if patience.cancelled_caught:
            found = f"a body that was not there after {self.body_seconds_max:g} s"
            raise Refusal(408, found, "the whole body", "Send it again, with its right Content-Length")
        return bytes(body)

    async def show_run(self, request: Request) -> Response:
        """`GET /runs/{run}`: its status, and the number of its jobs in each state."""
        run = request.path_params["run"]
        if not (run.isprintable() and len(run) <= 200 and "\ufffd" not in run):
            raise Refusal(400, "what cannot be a run", "at most 200 printable characters", "Take it from the webhook")
        rows = await self.pool.query(STATEMENTS["run"], [run])
        if not rows:
            raise Refusal(404, "no such run", "the run of an accepted webhook", "Take it from the webhook's answer")
        finished = [row[4] for row in rows]
        status = rows[0][0]
        return JSONResponse(
            {
                "run": run,
                "status": status,
                "jobs": sum(row[2] for row in rows),
                "states": {row[1]: row[2] for row in rows},
                "created_at": min(row[3] for row in rows).isoformat(),
                "finished_at": max(finished).isoformat() if status in FINAL and all(finished) else None,
            }
        )

    async def show_job(self, request: Request) -> Response:
        """`GET /jobs/{job}`: its state, attempt, place and times."""
        rows = await self.pool.query(STATEMENTS["job"], [_job_of(request)])
        if not rows:
            raise _no_job()
        return JSONResponse({name: _plain(value) for name, value in zip(_JOB_COLUMNS, rows[0], strict=True)})

    async def stream_log(self, request: Request) -> LogStream:
        """`GET /jobs/{job}/logs`: server-sent events, from the line after Last-Event-ID."""
        job = _job_of(request)
        given = request.query_params.getlist("last_event_id") or request.headers.getlist("last-event-id")
        last = read_last(given)
        render = FORMATS[read_format(request.query_params.getlist("format"))]
        if self.hub.count >= self.subscribers_max:
            found = f"{self.subscribers_max} streams already"
            raise Refusal(503, found, "fewer", "Try again later, or start another service")
        rows = await self.pool.query(STATEMENTS["state"], [job])
        if not rows:
            raise _no_job()
        subscriber = Subscriber(job, last, render)
        if rows[0][0] in FINAL:
            subscriber.ended = rows[0][0]
        return LogStream(self.hub, subscriber, self.pace, self.closing)

    async def show_health(self, request: Request) -> Response:
        """`GET /health`: 200 if the database answers and the listener listens, else 503."""
        database = False
        with trio.move_on_after(HEALTH_SECONDS_MAX):
            try:
                database = bool(await self.pool.query(STATEMENTS["health"]))
            except UnavailableError:
                database = False
        state = {"database": database, "listener": self.hub.listening}
        return JSONResponse(state | {"subscribers": self.hub.count}, 200 if all(state.values()) else 503)


def application(service: Service) -> ASGIApp:
    """The application: routes, and every refusal as JSON."""
    routes = [
        Route("/webhooks/{source}", service.receive_webhook, methods=["POST"]),
        Route("/runs/{run}", service.show_run, methods=["GET"]),
        Route("/jobs/{job}", service.show_job, methods=["GET"]),
        Route("/jobs/{job}/logs", service.stream_log, methods=["GET"]),
        Route("/health", service.show_health, methods=["GET"]),
    ]
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        Refusal: _say_refusal,
        HTTPException: _say_http,
        UnavailableError: _say_unavailable,
        ClientDisconnect: _say_nothing,
        Exception: _say_defect,
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return _drain_requests(app)


def _drain_requests(app: ASGIApp) -> ASGIApp:
    """Read the rest of a request while the last piece of its answer goes out.

    Hypercorn hands a body over through a short queue. If the answer came before the body was read, the answer would
    wait for the queue, and the queue for its reader.
    """

    async def drained(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_last(message: Message) -> None:
            if message["type"] != "http.response.body" or message.get("more_body"):
                await send(message)
                return
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_discard, receive)
                await send(message)
                nursery.cancel_scope.cancel()

        await app(scope, receive, send_last if scope["type"] == "http" else send)

    return drained


async def _discard(receive: Receive) -> None:
    while True:
        await receive()


def _check_content(request: Request) -> None:
    given = request.headers.getlist("content-type")
    kind, _, parameters = (given[0] if len(given) == 1 else "").partition(";")
    charset = parameters.replace(" ", "").replace('"', "").lower()
    if kind.strip().lower() != "application/json" or charset not in {"", "charset=utf-8"}:
        raise Refusal(415, "another content type", "application/json in UTF-8", "Set Content-Type: application/json")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refusal(415, "an encoded body", "a plain one", "Leave Content-Encoding out")


def _job_of(request: Request) -> int:
    given = request.path_params["job"]
    if re.fullmatch(r"[1-9][0-9]{0,18}", given) and int(given) <= ID_MAX:
        return int(given)
    raise Refusal(400, "what cannot be a job", "a whole number from 1", "Take it from the webhook's answer")


def _no_job() -> Refusal:
    return Refusal(404, "no such job", "the number of a job that there is", "Take it from the webhook's answer")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


async def _say_refusal(request: Request, refusal: Refusal) -> Response:
    return JSONResponse({"error": refusal.parts}, refusal.status)


_HTTP = {
    404: ("an unknown path", "/webhooks/{source}, /runs/{run}, /jobs/{job}, /jobs/{job}/logs or /health"),
    405: ("a method that this path does not have", "POST for webhooks, GET for everything else"),
}


async def _say_http(request: Request, error: HTTPException) -> Response:
    found, expected = _HTTP.get(error.status_code, (error.detail, "another request"))
    parts = {"found": found, "expected": expected, "do": "See docs/service.md"}
    return JSONResponse({"error": parts}, error.status_code, headers=dict(error.headers or {}))


async def _say_unavailable(request: Request, error: UnavailableError) -> Response:
    parts = {
        "found": f"no answer from the database ({error})",
        "expected": "one",
        "do": "Send the same request again, a webhook with the same delivery identifier: it counts once",
    }
    return JSONResponse({"error": parts}, 503, headers={"retry-after": str(RETRY_AFTER_SECONDS)})


async def _say_nothing(request: Request, error: ClientDisconnect) -> Response:
    """An empty answer: the peer is gone and cannot read one."""
    return Response(status_code=400)


async def _say_defect(request: Request, error: Exception) -> Response:
    parts = {
        "found": f"a defect of the service ({type(error).__name__})",
        "expected": "an answer",
        "do": "Report it with the service's log",
    }
    return JSONResponse({"error": parts}, 500)
