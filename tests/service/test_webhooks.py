"""What a webhook's bytes say: signature, delivery, pipeline; no server is needed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pgqmodel.service.webhooks import (
    JOBS_MAX,
    Refusal,
    check_delivery,
    check_signature,
    parse_webhook,
    run_of,
    sign,
)
from serving import body_of

BODY = b'{"zen": "Design for failure."}'


def jobs(*found: Any) -> bytes:
    """The bytes of a webhook with one stage of these jobs."""
    return json.dumps(body_of(pipeline={"stages": [{"name": "all", "jobs": list(found)}]})).encode()


def test_the_signature_is_the_code_hosts() -> None:
    """GitHub's published example of a secret, a body and their signature comes out."""
    signature = sign(b"It's a Secret to Everybody", b"Hello, World!")
    assert signature == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


@pytest.mark.parametrize(
    "given",
    [
        [],
        [sign(b"other", BODY)],
        [sign(b"secret", BODY), sign(b"secret", BODY)],
        [sign(b"secret", BODY).upper()],
        [sign(b"secret", BODY)[:-1]],
        [sign(b"secret", BODY).removeprefix("sha256=")],
        ["sha1=" + "0" * 40],
        ["sha256=" + "\u0660" * 64],
        [""],
    ],
)
def test_what_is_not_signed_is_refused(given: list[str]) -> None:
    """None, a wrong one, two, or one of another form: each is 401, and none raises anything else."""
    with pytest.raises(Refusal) as refused:
        check_signature(b"secret", BODY, given)
    assert refused.value.status == 401


def test_a_changed_body_is_refused() -> None:
    """One bit of the body changed, and the signature is not its own."""
    check_signature(b"secret", BODY, [sign(b"secret", BODY)])
    with pytest.raises(Refusal):
        check_signature(b"secret", BODY.replace(b"D", b"d"), [sign(b"secret", BODY)])


def test_deliveries_do_not_share_runs() -> None:
    """Neither a source nor a delivery can hold the sign between them."""
    assert check_delivery(["72d3162e-cc78-11e3-81ab-4c9367dc0958"])
    with pytest.raises(Refusal):
        check_delivery(["a:b"])
    assert run_of("a-b", "c") != run_of("a", "b-c")


def test_a_pipeline_becomes_rows() -> None:
    """Stages are numbered from 1, needs become places, what is left out has its default."""
    webhook = parse_webhook(json.dumps(body_of()).encode())
    assert [(job.name, job.stage) for job in webhook.jobs] == [("test", 1), ("lint", 1), ("deploy", 2)]
    assert [row["needs"] for row in webhook.rows] == [None, [0], [0, 1]]
    assert [row["environment"] for row in webhook.rows] == [None, None, "prod"]
    assert [row["priority"] for row in webhook.rows] == [5, 0, 0]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b"\xff\xfe", 400, "not UTF-8"),
        (b'{"a": "\\ud800"}', 422, "surrogate"),
        (b'{"a": "\\u0000"}', 422, "NUL"),
        (b'{"\\u0000": 1}', 422, "NUL"),
        (b'{"a": NaN}', 400, "not JSON"),
        (b'{"a": 1e999}', 400, "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", 400, "not JSON"),
        (b'{"ref": "a", "ref": "b"}', 400, "key twice"),
        (b"[" * 100_000, 400, "nested"),
        (b"[" * 200 + b"]" * 200, 400, "nested"),
        (b"[]", 422, "a list"),
        (b"7", 422, "7 in the body"),
        (b"{}", 422, "no 'repository'"),
        (json.dumps(body_of(repository=7)).encode(), 422, "repository"),
        (json.dumps(body_of(ref="")).encode(), 422, "ref"),
        (json.dumps(body_of(ref="x" * 201)).encode(), 422, "201 characters"),
        (json.dumps(body_of(extra=1)).encode(), 422, "unknown key 'extra'"),
        (json.dumps(body_of(pipeline=[])).encode(), 422, "pipeline"),
        (json.dumps(body_of(pipeline={"stages": []})).encode(), 422, "0 items"),
        (json.dumps(body_of(pipeline={"stages": [{"name": "a", "jobs": []}]})).encode(), 422, "0 items"),
        (jobs(7), 422, "7 in pipeline.stages[0].jobs[0]"),
        (jobs({}), 422, "no 'name'"),
        (jobs({"name": "a"}, {"name": "a"}), 422, "two jobs called 'a'"),
        (jobs({"name": "a", "priority": True}), 422, "true"),
        (jobs({"name": "a", "priority": 1.5}), 422, "1.5"),
        (jobs({"name": "a", "priority": 2**31}), 422, "priority"),
        (jobs({"name": "a", "payload": "x"}), 422, "payload"),
        (jobs({"name": "a", "environment": ""}), 422, "environment"),
        (jobs({"name": "a", "needs": "b"}), 422, "needs"),
        (jobs({"name": "a", "needs": [1]}), 422, "needs[0]"),
        (jobs({"name": "a", "needs": ["b"]}), 422, "unknown job 'b'"),
        (jobs({"name": "a", "needs": ["a"]}), 422, "circle: 'a' needs 'a'"),
        (jobs({"name": "a", "needs": ["b"]}, {"name": "b", "needs": ["a"]}), 422, "circle"),
        (jobs(*({"name": str(n)} for n in range(JOBS_MAX + 1))), 422, "1,001 items"),
    ],
)
def test_what_is_no_pipeline_is_refused(body: bytes, status: int, says: str) -> None:
    """Every malformed body has its status, and a sentence that names what is wrong and where."""
    with pytest.raises(Refusal) as refused:
        parse_webhook(body)
    assert refused.value.status == status
    assert says in str(refused.value)
    assert all(refused.value.parts.values())


def test_no_job_waits_for_a_later_stage() -> None:
    """A job that needs one of a later stage could never start: it is refused."""
    stages = [
        {"name": "first", "jobs": [{"name": "a", "needs": ["b"]}]},
        {"name": "second", "jobs": [{"name": "b"}]},
    ]
    with pytest.raises(Refusal, match="of a later stage"):
        parse_webhook(json.dumps(body_of(pipeline={"stages": stages})).encode())
