"""Reads a webhook: its signature, its delivery, its pipeline. Pure: bytes in, values out, no I/O.

A body is checked in three steps, cheapest first: its signature is made with the secret, it is JSON that Postgres can
store, and it describes a pipeline that can end. Every refusal is a `Refusal` with an HTTP status and three parts.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, NoReturn

from attrs import frozen

from pgqmodel.phrases import counted

__all__ = ["PipelineJob", "Refusal", "Webhook", "check_delivery", "check_signature", "parse_webhook", "run_of", "sign"]

JOBS_MAX = 1_000
NEEDS_MAX = 100
TEXT_MAX = 200
DEPTH_MAX = 100
_DELIVERY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}")


class Refusal(Exception):  # noqa: N818 - an answer to the caller, not an error of ours
    """A refused request: the status of the answer, what was found, what was expected, and what to do."""

    def __init__(self, status: int, found: str, expected: str, remedy: str) -> None:
        super().__init__(f"{found}; expected {expected}. {remedy}")
        self.status = status
        self.headers: dict[str, str] = {}
        self.parts = {"found": found, "expected": expected, "do": remedy}


@frozen(kw_only=True)
class PipelineJob:
    """A job of a pipeline: the number of its stage, and the names of jobs that it needs beyond the earlier stages."""

    name: str
    stage: int
    payload: Mapping[str, Any]
    environment: str | None
    priority: int
    needs: tuple[str, ...]


@frozen(kw_only=True)
class Webhook:
    """A push that asks for a pipeline run."""

    delivery: str | None
    jobs: tuple[PipelineJob, ...]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The jobs as records for the database; needs become places, because the table has no column for names."""
        places = {job.name: place for place, job in enumerate(self.jobs)}
        return [
            {
                "place": place,
                "stage": job.stage,
                "payload": job.payload,
                "environment": job.environment,
                "priority": job.priority,
                "needs": [places[name] for name in job.needs] or None,
            }
            for place, job in enumerate(self.jobs)
        ]


def sign(secret: bytes, body: bytes) -> str:
    """The value of `X-Hub-Signature-256` for a body."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def check_signature(secret: bytes, body: bytes, given: list[str]) -> None:
    """Refuse a body unless it has exactly one signature and that is right; the comparison takes constant time."""
    remedy = "Sign the raw body with the shared secret, and send X-Hub-Signature-256 once"
    form = "X-Hub-Signature-256: sha256=<64 lower-case hex digits>"
    if len(given) != 1:
        raise Refusal(401, f"{len(given) or 'no'} signatures", form, remedy)
    if not _SIGNATURE.fullmatch(given[0]):
        raise Refusal(401, "a signature of another form", form, remedy)
    if not hmac.compare_digest(sign(secret, body).encode(), given[0].encode()):
        raise Refusal(401, "a signature that is not this body's", "the HMAC-SHA-256 of the raw body", remedy)


def check_delivery(given: list[str]) -> str:
    """The delivery's identifier; a repeated delivery has the same one."""
    if len(given) == 1 and _DELIVERY.fullmatch(given[0]):
        return given[0]
    found = f"{len(given) or 'no'} delivery identifiers" if len(given) != 1 else "an identifier of another form"
    expected = "X-GitHub-Delivery once, of 1 to 100 letters, digits, '_', '.' and '-'"
    raise Refusal(400, found, expected, "Give every delivery an identifier of its own, such as a UUID")


def run_of(source: str, delivery: str) -> str:
    """The name of a delivery's run. Neither part may contain a colon, so different deliveries have different runs."""
    return f"{source}:{delivery}"


def parse_webhook(body: bytes) -> Webhook:
    """The pipeline that a body asks for."""
    document = _record(_read_json(body), "the body", _WEBHOOK)
    stages = _items(_record(document["pipeline"], "pipeline", _PIPELINE)["stages"], "pipeline.stages", JOBS_MAX)
    names: list[str] = []
    jobs: list[PipelineJob] = []
    for number, stage in enumerate(stages, 1):
        where = f"pipeline.stages[{number - 1}]"
        found = _record(stage, where, _STAGE)
        names.append(found["name"])
        jobs += [_job(job, place, number) for job, place in _each(found["jobs"], f"{where}.jobs")]
    _check_unique(names, "stages")
    _check_unique([job.name for job in jobs], "jobs")
    if len(jobs) > JOBS_MAX:
        _refuse("pipeline", f"{len(jobs)} jobs", f"at most {JOBS_MAX}")
    _check_needs(jobs)
    return Webhook(delivery=document.get("delivery"), jobs=tuple(jobs))


def _read_json(body: bytes) -> Any:
    """Read JSON that Postgres can store: UTF-8, finite numbers, no NUL, no half surrogate pairs, no key twice."""
    remedy = "Send one JSON object as RFC 8259 has it, in UTF-8"
    try:
        document = json.loads(
            body.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_pairs
        )
    except UnicodeDecodeError as error:
        raise Refusal(400, f"a byte at {error.start} that is not UTF-8", "UTF-8", remedy) from error
    except RecursionError as error:
        raise Refusal(400, "JSON nested too deeply", f"at most {DEPTH_MAX} levels", remedy) from error
    except ValueError as error:
        raise Refusal(400, f"what is not JSON ({str(error)[:TEXT_MAX]})", "JSON", remedy) from error
    _check_text(document)
    return document


def _no_constant(word: str) -> NoReturn:
    message = f"{word} is no number of JSON"
    raise ValueError(message)


def _finite(digits: str) -> float:
    number = float(digits)
    return number if abs(number) < float("inf") else _no_constant(digits[:20])


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "an object has a key twice"
        raise ValueError(message)
    return found


def _check_text(document: Any) -> None:
    """Refuse text that Postgres cannot store, at any place, and nesting that is too deep."""
    stack = [(document, 0)]
    while stack:
        value, depth = stack.pop()
        if depth > DEPTH_MAX:
            raise Refusal(400, "JSON nested too deeply", f"at most {DEPTH_MAX} levels", "Flatten the payload")
        if isinstance(value, str):
            _check_characters(value)
        elif isinstance(value, dict):
            stack += [(part, depth + 1) for pair in value.items() for part in pair]
        elif isinstance(value, list):
            stack += [(part, depth + 1) for part in value]


def _check_characters(text: str) -> None:
    if "\0" in text:
        raise Refusal(422, "the character NUL in a text", "text that Postgres can store", "Leave it out, or encode it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = "half of a surrogate pair in a text"
        raise Refusal(422, found, "whole characters", "Write the character itself, or both halves") from error


def _refuse(where: str, found: str, expected: str) -> NoReturn:
    raise Refusal(422, f"{found} in {where}", expected, "See docs/service.md for the shape of a webhook")


def _text(value: Any, where: str) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_MAX:
        _refuse(where, _kind(value), f"a text of 1 to {TEXT_MAX} characters")


def _text_or_null(value: Any, where: str) -> None:
    if value is not None:
        _text(value, where)


def _object(value: Any, where: str) -> None:
    if not isinstance(value, dict):
        _refuse(where, _kind(value), "an object")


def _priority(value: Any, where: str) -> None:
    if type(value) is not int or not -1_000_000 <= value <= 1_000_000:
        _refuse(where, _kind(value), "a whole number from -1000000 to 1000000")


def _names(value: Any, where: str) -> None:
    for name, place in _each(value, where, least=0, most=NEEDS_MAX):
        _text(name, place)


def _any(value: Any, where: str) -> None:
    """Accept any value: it is checked later."""


_Check = Callable[[Any, str], None]
_WEBHOOK: dict[str, tuple[bool, _Check]] = {
    "repository": (True, _text),
    "ref": (True, _text),
    "pipeline": (True, _object),
    "delivery": (False, _text),
}
_PIPELINE: dict[str, tuple[bool, _Check]] = {"stages": (True, _any)}
_STAGE: dict[str, tuple[bool, _Check]] = {"name": (True, _text), "jobs": (True, _any)}
_JOB: dict[str, tuple[bool, _Check]] = {
    "name": (True, _text),
    "payload": (False, _object),
    "environment": (False, _text_or_null),
    "priority": (False, _priority),
    "needs": (False, _names),
}
"""The keys of each object: whether a key is required, and the check of its value."""


def _record(value: Any, where: str, keys: Mapping[str, tuple[bool, _Check]]) -> dict[str, Any]:
    _object(value, where)
    found: dict[str, Any] = value
    for key in found:
        if key not in keys:
            _refuse(where, f"the unknown key {key[:TEXT_MAX]!r}", f"only {', '.join(keys)}")
    for key, (required, check) in keys.items():
        if key in found:
            check(found[key], f"{where}.{key}" if where != "the body" else key)
        elif required:
            _refuse(where, f"no {key!r}", f"the keys {', '.join(keys)}")
    return found


def _items(value: Any, where: str, most: int, least: int = 1) -> list[Any]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        _refuse(where, _kind(value), f"a list of {least} to {most} items")
    return value


def _each(value: Any, where: str, *, least: int = 1, most: int = JOBS_MAX) -> Iterator[tuple[Any, str]]:
    for number, item in enumerate(_items(value, where, most, least)):
        yield item, f"{where}[{number}]"


def _kind(value: Any) -> str:
    """The kind of a value in a few words."""
    if isinstance(value, str):
        return f"a text of {counted(len(value), 'character')}"
    if isinstance(value, list):
        return f"a list of {counted(len(value), 'item')}"
    return "an object" if isinstance(value, dict) else f"{json.dumps(value)[:40]}"


def _job(value: Any, where: str, stage: int) -> PipelineJob:
    found = _record(value, where, _JOB)
    return PipelineJob(
        name=found["name"],
        stage=stage,
        payload=found.get("payload", {}),
        environment=found.get("environment"),
        priority=found.get("priority", 0),
        needs=tuple(dict.fromkeys(found.get("needs", ()))),
    )


def _check_unique(names: list[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            _refuse("pipeline", f"two {what} called {name!r}", "a name of its own for each")
        seen.add(name)


def _check_needs(jobs: list[PipelineJob]) -> None:
    """Check that every job can start: the jobs it needs exist, are of no later stage, and do not need it in turn."""
    stages = {job.name: job.stage for job in jobs}
    for job in jobs:
        for name in job.needs:
            if name not in stages:
                _refuse("pipeline", f"{job.name!r}, which needs the unknown job {name!r}", "names of jobs of this run")
            if stages[name] > job.stage:
                _refuse("pipeline", f"{job.name!r}, which needs {name!r} of a later stage", "needs of earlier stages")
    try:
        TopologicalSorter({job.name: job.needs for job in jobs}).prepare()
    except CycleError as error:
        path = " needs ".join(repr(name) for name in reversed(error.args[1][:8]))
        _refuse("pipeline", f"a circle: {path}", "jobs that do not need each other")
