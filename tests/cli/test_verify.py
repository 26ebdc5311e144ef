"""`pgqmodel verify`: what a recorded history is worth, and its exit codes; what is no history is refused."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.commands import run

ANSWER = '{"event": "returned", "step": 2, "at": 1.0, "client": "p", "call": 9, "status": "ok"}'
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "history.md"


def example(number: int = 0) -> str:
    """An example of the documentation."""
    return re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)[number]


def _line(number: int, text: str) -> Callable[[str], bytes]:
    """The example with another line in the place of one."""

    def spoil(history: str) -> bytes:
        lines = history.splitlines()
        lines[number - 1] = text
        return ("\n".join(lines) + "\n").encode()

    return spoil


def _in_line(number: int, before: str, after: str) -> Callable[[str], bytes]:
    """The example with something exchanged in one line."""

    def spoil(history: str) -> bytes:
        line = history.splitlines()[number - 1]
        assert before in line
        return _line(number, line.replace(before, after))(history)

    return spoil


SPOILT: dict[str, tuple[Callable[[str], bytes], str]] = {
    "an empty file": (lambda _: b"", "there is no event in it"),
    "white space": (lambda _: b"\n \n", "there is no event in it"),
    "no JSON": (_line(2, "what happened?"), "line 2 of the history is not an event: it is not JSON"),
    "half a line": (lambda text: text.encode()[:-20], "is not JSON"),
    "a list": (_line(3, "[]"), "line 3 of the history is not an event: it is a list"),
    "an unknown event": (_in_line(2, '"invoked"', '"miracle"'), "line 2 of the history is not an event: no 'miracle'"),
    "no event": (_line(2, '{"step": 2}'), "no None among the events"),
    "an unknown field": (_in_line(2, '"step"', '"mood": "good", "step"'), "has no field 'mood'"),
    "a missing field": (_in_line(2, '"operation": "enqueue", ', ""), "the event `invoked` lacks 'operation'"),
    "a wrong type": (
        _in_line(2, '"call": 1', '"call": "one"'),
        "'call' of the event `invoked` is 'one'; expected a whole",
    ),
    "an unknown status": (_in_line(5, '"ok"', '"fine"'), "there is no status 'fine'"),
    "an unknown state": (_in_line(4, '"pending"', '"asleep"'), "there is no state 'asleep'"),
    "an unknown operation": (_in_line(2, '"enqueue"', '"grab"'), "there is no operation 'grab'"),
    "an unknown promise": (_in_line(1, '"lease"', '"leese"'), "there is no promise 'leese'"),
    "an answer to nothing": (_line(2, ANSWER), "line 2 (returned) cannot have happened: call 9 never began"),
    "two answers": (_in_line(13, '"call": 3', '"call": 1'), "line 13 (returned) cannot have happened: call 1 is over"),
    "a call twice": (_in_line(6, '"call": 2', '"call": 1'), "line 6 (invoked) cannot have happened: call 1 has begun"),
    "a claim of no call": (
        _in_line(10, '"claim": 2', '"claim": 99'),
        "line 10 (invoked) cannot have happened: it rests",
    ),
    "a step twice": (_in_line(5, '"step": 5', '"step": 4'), "line 5 (returned) cannot have happened: its step is 4"),
    "an answer before its call": (
        _in_line(5, "1700000000.003", "1699999999.999"),
        "line 5 (returned) cannot have happened: it is dated",
    ),
    "time that runs back": (_in_line(10, "1700000001.000", "1600000000.000"), "expected time not to run back"),
    "a negative time": (_in_line(2, "1700000000.000", "-1.5"), "expected seconds since the epoch"),
    "an infinite time": (_in_line(2, "1700000000.000", "Infinity"), "expected seconds since the epoch"),
    "no number": (_in_line(2, "1700000000.000", "NaN"), "NaN is no number"),
    "a commit of nobody": (_in_line(3, '"call": 1', '"call": 77'), "call 77 never began"),
    "another's answer": (_in_line(5, '"client": "p1"', '"client": "w1"'), "call 1 is p1's"),
    "a time missing": (_in_line(3, '"at": 1700000000.002, ', ""), "it has no `at`"),
    "moments that are no names": (
        _in_line(1, '"settings"', '"moments": [1], "settings"'),
        "expected a list of columns",
    ),
    "a picture": (lambda _: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "NUL byte"),
    "Latin-1": (lambda text: text.replace("p1", "pä").encode("latin-1"), "it is not UTF-8"),
    "a torn archive": (lambda text: gzip.compress(text.encode())[:-30], "expected a recorded history"),
    "a false archive": (lambda _: b"\x1f\x8b garbage", "expected a recorded history"),
    "deep nesting": (_line(2, "[" * 100_000), "line 2"),
}


@pytest.mark.parametrize(("spoil", "said"), SPOILT.values(), ids=SPOILT)
def test_what_is_no_history_is_refused(tmp_path: Path, spoil: Callable[[str], bytes], said: str) -> None:
    """Exit code 2 and one sentence that names the file and the place, what was found and what was expected."""
    (tmp_path / "history.jsonl").write_bytes(spoil(example()))
    ended = run("verify", "history.jsonl", "--json", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, ""), ended
    assert ended.err.startswith("pgqmodel: history.jsonl: ")
    assert said in ended.err
    assert "expected" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("name", ["gone.jsonl", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    """No file, or a directory: exit code 2, and it says so."""
    ended = run("verify", name, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, ""), ended
    assert "cannot be read" in ended.err


@pytest.mark.parametrize("compress", [False, True])
def test_the_documented_example_holds(tmp_path: Path, compress: bool) -> None:
    """What the documentation shows is a history that holds, compressed or not; what it did not try is named."""
    data = example().encode()
    (tmp_path / "history").write_bytes(gzip.compress(data) if compress else data)
    ended = run("verify", "history", "--json", cwd=tmp_path)
    assert ended.code == 0, ended
    record = ended.record
    assert (record["verdict"], record["events"]) == ("held", len(data.splitlines()))
    assert record["promises"]["no-lost-job"]["verdict"] == "held"
    assert "lease" in record["not_exercised"]


def test_the_documented_example_breaks(tmp_path: Path) -> None:
    """With the two lines more that the documentation shows, a promise is broken, and the path is told."""
    (tmp_path / "history.jsonl").write_text(example() + example(1))
    ended = run("verify", "history.jsonl", "--json", cwd=tmp_path)
    assert ended.code == 1, ended
    promise = ended.record["promises"]["fenced-settlement"]
    assert (promise["verdict"], promise["violations"], promise["anomaly"]) == ("broken", 1, "stale-settlement")
    assert any("Yet w2's complete" in sentence for sentence in promise["explanation"])
    assert json.dumps(promise)


def test_a_history_without_commits_is_searched(tmp_path: Path) -> None:
    """Where no commit order is known, an order that explains every answer is looked for."""
    lines = [line for line in example().splitlines() if not re.search(r'"event": "(observed|committed)"', line)]
    (tmp_path / "history.jsonl").write_text("\n".join(lines) + "\n")
    ended = run("verify", "history.jsonl", "--json", cwd=tmp_path)
    assert ended.code == 0, ended
    assert ended.record["verdict"] == "held"


def test_without_commits_the_anomaly_and_the_promise_are_named(tmp_path: Path) -> None:
    """A settlement by somebody who holds nothing is named in JSON and in the text, with its promise."""
    text = (example() + example(1)).splitlines()
    lines = [line for line in text if not re.search(r'"event": "(observed|committed)"', line)]
    (tmp_path / "history.jsonl").write_text("\n".join(lines) + "\n")
    ended = run("verify", "history.jsonl", "--json", cwd=tmp_path)
    assert ended.code == 1, ended
    assert (ended.record["promise"], ended.record["anomaly"]) == ("fenced-settlement", "stale-settlement")
    said = run("verify", "history.jsonl", cwd=tmp_path).out
    assert re.search(r"broken +fenced-settlement +stale-settlement, once", said)


def test_what_is_simultaneous_accuses_nobody(tmp_path: Path) -> None:
    """The reference on a frozen clock, accused once of `false-empty` for equal stamps, is held; compressed as it is."""
    ended = run("verify", str(Path(__file__).parent / "simultaneous.jsonl.gz"), "--json", cwd=tmp_path)
    assert (ended.code, ended.record["verdict"]) == (0, "held"), ended
