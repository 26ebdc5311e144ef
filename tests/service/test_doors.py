"""Bad input at the service's doors, over real HTTP: a clear refusal each, nothing written, and the service lives on."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from attrs import field, frozen

from pgqmodel.server import Cluster
from pgqmodel.service.webhooks import sign
from serving import PATIENCE_SECONDS, SECRET, Served, body_of, delivery_of, prepared, serving

BODY_BYTES_MAX = 100_000
OPTIONS = ("--body-bytes", str(BODY_BYTES_MAX), "--body-seconds", "3", "--idle-seconds", "2")


@pytest.fixture(scope="module")
def served(major: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for the whole table, with one job and one accepted delivery."""
    folder = tmp_path_factory.mktemp("doors")
    with (
        Cluster(major, clock=False) as server,
        prepared(server, "doors") as conninfo,
        serving(conninfo, folder, *OPTIONS) as one,
    ):
        arguments = delivery_of("accepted", body_of())
        assert httpx.post(f"{one.url}/webhooks/github", **arguments).status_code == 202
        yield one
        assert one.end() == 0


@pytest.fixture
def untouched(served: Served) -> Iterator[Served]:
    """The service, of which a test must leave everything as it was: rows, and health."""
    before = served.counts()
    yield served
    assert served.counts() == before
    health = httpx.get(f"{served.url}/health")
    assert (health.status_code, health.json()["database"], health.json()["listener"]) == (200, True, True)


@frozen(kw_only=True)
class Case:
    """One wrong request and the status it must get."""

    status: int
    method: str = "POST"
    path: str = "/webhooks/github"
    request: dict[str, Any] = field(factory=dict)


def hook(status: int, body: Any = None, delivery: str = "door", **headers: str | None) -> Case:
    """A delivery with something wrong in its body or its headers."""
    return Case(status=status, request=delivery_of(delivery, body_of() if body is None else body, **headers))


def jobs(status: int, *found: Any) -> Case:
    """A signed delivery with one stage of these jobs."""
    return hook(status, body_of(pipeline={"stages": [{"name": "all", "jobs": list(found)}]}))


def get(status: int, path: str, **headers: str) -> Case:
    """A reading request."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Case(status=status, method="GET", path=path, request={"headers": names})


GOOD = json.dumps(body_of()).encode()
CASES: dict[str, Case] = {
    "unsigned": hook(401, x_hub_signature_256=None),
    "signed with another secret": hook(401, x_hub_signature_256=sign(b"other", GOOD)),
    "signature of another body": hook(401, x_hub_signature_256=sign(SECRET, GOOD + b" ")),
    "signature in capitals": hook(401, x_hub_signature_256=sign(SECRET, GOOD).upper()),
    "signature cut short": hook(401, x_hub_signature_256=sign(SECRET, GOOD)[:-2]),
    "the old SHA-1 signature": hook(401, x_hub_signature_256=None, x_hub_signature="sha1=" + "0" * 40),
    "signature of odd characters": hook(401, x_hub_signature_256="sha256=" + "z" * 64),
    "replayed": hook(409, delivery="accepted"),
    "replayed with another body": hook(409, body_of(ref="other"), delivery="accepted"),
    "no delivery": hook(400, x_github_delivery=None),
    "empty delivery": hook(400, x_github_delivery=""),
    "delivery with a colon": hook(400, x_github_delivery="a:b"),
    "delivery too long": hook(400, x_github_delivery="d" * 101),
    "delivery that is not the signed one": hook(422, body_of(delivery="other")),
    "no content type": hook(415, content_type=None),
    "a form": hook(415, content_type="application/x-www-form-urlencoded"),
    "another charset": hook(415, content_type="application/json; charset=utf-16"),
    "compressed": hook(415, content_encoding="gzip"),
    "oversized": hook(413, b" " * (BODY_BYTES_MAX + 1)),
    "oversized in pieces": Case(status=413, request={"content": [b" " * 1_000] * 2_000}),
    "empty body": hook(400, b""),
    "not JSON": hook(400, b"pipeline=1"),
    "JSON cut short": hook(400, GOOD[:-1]),
    "not UTF-8": hook(400, b'{"ref": "\xff"}'),
    "UTF-16": hook(400, GOOD.decode().encode("utf-16")),
    "infinite number": hook(400, b'{"ref": Infinity}'),
    "number beyond floats": hook(400, b'{"ref": 1e999}'),
    "number of 5,000 digits": hook(400, b'{"ref": ' + b"9" * 5_000 + b"}"),
    "key twice": hook(400, b'{"ref": "a", "ref": "b"}'),
    "nested 50,000 deep": hook(400, b"[" * 50_000),
    "a list": hook(422, b"[]"),
    "null": hook(422, b"null"),
    "unknown key": hook(422, body_of(pipelines={})),
    "no pipeline": hook(422, {"repository": "r", "ref": "f"}),
    "repository of another type": hook(422, body_of(repository=["acme"])),
    "no stages": hook(422, body_of(pipeline={"stages": []})),
    "stages of another type": hook(422, body_of(pipeline={"stages": {"name": "a"}})),
    "two stages of one name": hook(422, body_of(pipeline={"stages": [{"name": "a", "jobs": [{"name": "b"}]}] * 2})),
    "no jobs": jobs(422),
    "job of another type": jobs(422, "test"),
    "job without a name": jobs(422, {"payload": {}}),
    "two jobs of one name": jobs(422, {"name": "a"}, {"name": "a"}),
    "too many jobs": jobs(422, *({"name": str(number)} for number in range(1_001))),
    "priority as text": jobs(422, {"name": "a", "priority": "1"}),
    "priority beyond the column": jobs(422, {"name": "a", "priority": 2**40}),
    "payload as a list": jobs(422, {"name": "a", "payload": []}),
    "environment too long": jobs(422, {"name": "a", "environment": "e" * 201}),
    "needs nobody": jobs(422, {"name": "a", "needs": ["b"]}),
    "needs itself": jobs(422, {"name": "a", "needs": ["a"]}),
    "needs in a circle": jobs(422, {"name": "a", "needs": ["b"]}, {"name": "b", "needs": ["a"]}),
    "NUL in a name": jobs(422, {"name": "a\0b"}),
    "NUL deep in a payload": jobs(422, {"name": "a", "payload": {"x": [{"y": "\0"}]}}),
    "half a character": jobs(422, {"name": "a", "payload": {"\ud800": 1}}),
    "source that cannot be one": Case(status=404, path="/webhooks/GitHub!", request=delivery_of("door", body_of())),
    "webhook read": get(405, "/webhooks/github"),
    "webhook put": Case(status=405, method="PUT"),
    "unknown path": get(404, "/admin"),
    "path that climbs": get(404, "/jobs/../../etc/passwd"),
    "unknown job": get(404, "/jobs/999999"),
    "job by name": get(400, "/jobs/build"),
    "job zero": get(400, "/jobs/0"),
    "job below zero": get(400, "/jobs/-1"),
    "job beyond bigint": get(400, "/jobs/9223372036854775808"),
    "job with SQL": get(400, "/jobs/1%3BDROP%20TABLE%20job_queue"),
    "job with other digits": get(400, "/jobs/%D9%A1"),
    "job deleted by request": Case(status=405, method="DELETE", path="/jobs/1"),
    "unknown run": get(404, "/runs/github:none"),
    "run with NUL": get(400, "/runs/a%00b"),
    "run not in UTF-8": get(400, "/runs/%ff"),
    "run too long": get(400, "/runs/" + "r" * 201),
    "stream of an unknown job": get(404, "/jobs/999999/logs"),
    "stream of no job": get(400, "/jobs/x/logs"),
    "stream posted to": Case(status=405, path="/jobs/1/logs"),
    "position as a word": get(400, "/jobs/1/logs", last_event_id="last"),
    "position below zero": get(400, "/jobs/1/logs", last_event_id="-1"),
    "position beyond bigint": get(400, "/jobs/1/logs", last_event_id="9" * 30),
    "empty position": get(400, "/jobs/1/logs", last_event_id=""),
    "two positions": get(400, "/jobs/1/logs?last_event_id=1&last_event_id=2"),
    "unknown format": get(400, "/jobs/1/logs?format=xml"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_wrong_request_is_refused(untouched: Served, case: Case) -> None:
    """Each has its status and three parts that say why; no row is written; the service is healthy afterwards."""
    answer = httpx.request(case.method, untouched.url + case.path, timeout=PATIENCE_SECONDS, **case.request)
    assert answer.status_code == case.status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"found", "expected", "do"}
    assert all(isinstance(part, str) and 0 < len(part) < 500 for part in error.values())


def signed_head(length: str, *more: str) -> bytes:
    """The head of a delivery over a raw socket."""
    lines = [
        "POST /webhooks/github HTTP/1.1",
        "Host: here",
        "Content-Type: application/json",
        f"X-Hub-Signature-256: {sign(SECRET, GOOD)}",
        length,
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


DELIVERY = "X-GitHub-Delivery: raw"
WHOLE = f"Content-Length: {len(GOOD)}"
CHUNKED = "Transfer-Encoding: chunked"
WEBSOCKET = b"""\
GET /jobs/1/logs HTTP/1.1
Host: here
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==

""".replace(b"\n", b"\r\n")
RAW: dict[str, tuple[bytes, str]] = {
    "nonsense": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400"),
    "no version": (b"GET /health\r\n\r\n", "400"),
    "header without a colon": (b"GET /health HTTP/1.1\r\nHost: here\r\nbroken\r\n\r\n", "400"),
    "header with NUL": (b"GET /health HTTP/1.1\r\nHost: here\r\nX-A: a\0b\r\n\r\n", "400"),
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", "400"),
    "huge header": (b"GET /health HTTP/1.1\r\nHost: here\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n", "431"),
    "endless path": (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", "431"),
    "two lengths": (signed_head(WHOLE, "Content-Length: 7", DELIVERY) + GOOD, "400"),
    "length below zero": (signed_head("Content-Length: -1", DELIVERY) + GOOD, "400"),
    "bad chunk": (signed_head(CHUNKED, DELIVERY) + b"zz\r\n" + GOOD, ""),
    "chunk that is never ended": (signed_head(CHUNKED, DELIVERY) + b"ffff\r\n" + GOOD, "408"),
    "body cut short": (signed_head(WHOLE, DELIVERY) + GOOD[:-1], "408"),
    "body much too long": (signed_head("Content-Length: 99999999999", DELIVERY) + b" " * 200_000, "413"),
    "two signatures": (signed_head(WHOLE, f"X-Hub-Signature-256: {sign(SECRET, GOOD)}", DELIVERY) + GOOD, "401"),
    "two deliveries": (signed_head(WHOLE, DELIVERY, "X-GitHub-Delivery: raw2") + GOOD, "400"),
    "injected header": (signed_head(WHOLE, "X-GitHub-Delivery: raw\n X-Admin: yes") + GOOD, "400"),
    "folded header": (signed_head(WHOLE, "X-GitHub-Delivery: raw\r\n more") + GOOD, "400"),
    "half a request": (b"POST /webhooks/github HTTP/1.1\r\nHost: he", ""),
    "nothing at all": (b"", ""),
    "websocket": (
        WEBSOCKET,
        "403",
    ),
}


@pytest.mark.parametrize(("sent", "status"), RAW.values(), ids=RAW.keys())
def test_a_broken_request_is_ended(untouched: Served, sent: bytes, status: str) -> None:
    """What is not HTTP, or never ends, gets its status where one can be given, and the connection is closed."""
    host, port = untouched.url.removeprefix("http://").split(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as peer:
        try:
            peer.sendall(sent)
            while piece := peer.recv(65_536):
                answer += piece
        except ConnectionError:
            """Closed while we were still sending: what it said before is not sure to arrive."""
    assert b"202" not in answer[:20]
    if answer:
        assert answer.startswith(f"HTTP/1.1 {status}".encode()), answer[:200]


def leave_early(sent: bytes) -> Callable[[str, int], None]:
    """A peer that sends something and is gone at once."""

    def leave(host: str, port: int) -> None:
        with socket.create_connection((host, port), timeout=PATIENCE_SECONDS) as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.sendall(sent)

    return leave


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET", signed_head(WHOLE, DELIVERY), signed_head(WHOLE, DELIVERY) + GOOD[:-1], signed_head(CHUNKED)],
    ids=["nothing", "a word", "a head", "most of a body", "no chunk"],
)
def test_who_leaves_early_leaves_nothing(untouched: Served, sent: bytes) -> None:
    """Fifty peers that are reset in the middle of a request: no run, and the service answers the next one."""
    host, port = untouched.url.removeprefix("http://").split(":")
    for _ in range(50):
        leave_early(sent)(host, int(port))
