"""`pgqmodel verify`: judge a recorded history offline. Needs no Postgres."""

from __future__ import annotations

import codecs
import gc
import gzip
import io
import json
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from pgqmodel.checks.consistent import consistent
from pgqmodel.checks.paths import examine
from pgqmodel.cli.terminal import painted
from pgqmodel.errors import UsageError
from pgqmodel.history import LINE_CHARACTERS_MAX, Event, Judged, read_lines
from pgqmodel.judge import Outcome, Verdict, Verdicts
from pgqmodel.phrases import counted, often
from pgqmodel.promises import ANOMALIES
from pgqmodel.report.evidence import verdict_json
from pgqmodel.report.sentences import told

__all__ = ["verify"]

_EXIT_CODES = {Outcome.HELD: 0, Outcome.BROKEN: 1, Outcome.UNKNOWN: 3}
_GZIP = b"\x1f\x8b"
_BLOCK_BYTES = 256 * 1024
_SEARCH_SECONDS = 60.0
_DO = "Give a history as docs/history.md describes it"


@click.command()
@click.argument("history", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def verify(history: Path, as_json: bool) -> int:
    """Judge HISTORY, a recorded history as JSON Lines (.jsonl, or compressed with gzip), promise by promise."""
    started = time.monotonic()
    gc.disable()  # a history makes millions of values and no cycles: the collector would take a third of the time
    try:
        result = _judge(history)
    finally:
        gc.enable()
    result["seconds"] = round(time.monotonic() - started, 2)
    if as_json:
        click.echo(json.dumps(result))
    else:
        _say(result)
    return _EXIT_CODES[Outcome(result["verdict"])]


def _judge(path: Path) -> dict[str, Any]:
    """The object that `--json` prints."""
    try:
        with path.open("rb") as file:
            if _has_commits(path):
                return _result(path, examine(_events(file)))
            return _search(path, list(_events(file)))
    except gzip.BadGzipFile as error:
        message = f"{path}: it is no whole gzip archive ({error}); expected a recorded history. {_DO}"
        raise UsageError(message) from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}; expected a recorded history. {_DO}"
        raise UsageError(message) from error
    except (ValueError, EOFError, zlib.error) as error:
        expected = "" if "expected" in str(error) else "; expected a recorded history"
        message = f"{path}: {error}{expected}. See docs/history.md"
        raise UsageError(message) from error


def _has_commits(path: Path) -> bool:
    """Whether any commit is in a history, read until the first one."""
    with path.open("rb") as file:
        return any(b'"observed"' in block or b'"committed"' in block for block in _blocks(file))


def _events(file: io.BufferedReader) -> Iterator[Event]:
    return consistent(read_lines(_lines(file)))


def _lines(file: io.BufferedReader) -> Iterator[str | bytes]:
    """The lines of a file, compressed or not; as bytes where they are not all plain UTF-8."""
    for block in _blocks(file):
        try:
            yield from block.split(b"\n") if codecs.BOM_UTF8 in block else block.decode().split("\n")
        except UnicodeDecodeError:
            yield from block.split(b"\n")


def _blocks(file: io.BufferedReader) -> Iterator[bytes]:
    """Some whole lines at a time, without the last line end; a line that is too long for any event ends the file."""
    packed = file.peek(2)[:2] == _GZIP
    stream: Any = gzip.GzipFile(fileobj=file) if packed else file
    rest = b""
    while read := stream.read(_BLOCK_BYTES):
        if b"\0" in read:
            message = "it is no text: there is a NUL byte in it"
            raise ValueError(message)
        whole, end, rest = (rest + read).rpartition(b"\n")
        if end:
            yield whole
        if len(rest) > LINE_CHARACTERS_MAX:
            break
    if rest:
        yield rest


def _search(path: Path, events: list[Event]) -> dict[str, Any]:
    """The verdict on a history without commits: it holds if a right queue allows some order of its calls."""
    from pgqmodel.checks.linearize import linearize  # noqa: PLC0415 - needed for few histories

    header = events[0] if isinstance(events[0], Judged) else None
    settings = header.settings if header is not None else {}
    found = linearize(
        events,
        lease_seconds=settings.get("heartbeat_timeout_seconds"),
        attempts_max=settings.get("max_attempts"),
        seconds_max=_SEARCH_SECONDS,
        clock=time.monotonic,
    )
    promise, promises = None, {}
    if found.anomaly is not None:
        promise = ANOMALIES[found.anomaly]
        broken = Verdict.of(promise, exercised=1, violations=1, anomaly=found.anomaly, facts=found.facts)
        promises = {promise: verdict_json(broken)}
    return {
        "history": str(path),
        "verdict": str(getattr(found.verdict, "value", found.verdict)),
        "events": len(events),
        "promises": promises,
        "promise": promise,
        "anomaly": found.anomaly,
        "not_exercised": [],
        "explanation": list(told(found.facts)),
        "job": found.job,
        "explored": found.explored,
        "note": "no commit is in this history: it holds if any order of its calls is one that a right queue allows",
    }


def _result(path: Path, verdicts: Verdicts) -> dict[str, Any]:
    result: dict[str, Any] = {
        "history": str(path),
        "verdict": verdicts.outcome.value,
        "events": verdicts.events,
        "promises": {name: verdict_json(verdict) for name, verdict in verdicts.promises.items()},
        "not_exercised": verdicts.not_exercised,
    }
    if verdicts.judged is None:
        result["note"] = (
            "it does not say what it is judged by: every promise that needs no more than its name was tried"
        )
    return result


def _say(result: dict[str, Any]) -> None:
    """The result for a person."""
    events = counted(result["events"], "event")
    click.echo(painted(f"{result['history']}: {result['verdict']}, {events} in {result['seconds']} s"))
    for line in _told(result):
        click.echo(painted(line))
    if "note" in result:
        click.echo(f"note: {result['note']}", err=True)


def _told(result: dict[str, Any]) -> Iterable[str]:
    for name, promise in result["promises"].items():
        times = f"put to the test {often(promise['witnessed'])}" if promise["witnessed"] else ""
        broken = f"{promise['anomaly']}, {often(promise['violations'])}" if promise["anomaly"] else ""
        yield f"  {promise['verdict']:<15} {name:<18} {broken or times}".rstrip()
        yield from (f"      {sentence}" for sentence in promise["explanation"])
    if not result["promises"]:
        yield from (f"  {sentence}" for sentence in result.get("explanation", ()))
