"""The public contract of the command line: keys, exit codes, what goes to which stream, the same seed twice."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from cli.commands import PROGRAM, run
from pgqmodel.styles import described
from pgqmodel.target import load

BUGS = Path(__file__).parent.parent / "quality" / "bugs"
_THREAD = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start(); "
WITH_A_THREAD = (sys.executable, "-c", _THREAD + "from pgqmodel.cli.main import main; main()")
"""A program with a thread: its worlds are no copies of it, but import everything anew."""
KEYS = [
    "target",
    "verdict",
    "anomaly",
    "promise",
    "seed",
    "schedules",
    "steps",
    "seconds",
    "shrunk_steps",
    "trace",
    "witnessed",
    "not_exercised",
    "postgres",
    "shrinking",
    "findings",
    "could_declare",
    "undeclared_would_break",
]


def test_json_of_check(tmp_path: Path) -> None:
    """One object with the contract's keys, and nothing else on standard output."""
    ended = run("check", "reference", "--examples", 30, "--seed", 5, "--json", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert list(ended.record) == KEYS
    assert ended.record["postgres"].startswith("18.")


def test_a_promise_that_no_test_came_to_is_said_first(tmp_path: Path) -> None:
    """A run of one schedule says how many promises it did not exercise; where that is required it is no verdict."""
    words = ("check", "reference", "--examples", 1, "--seed", 5, "--processes", 1)
    told = run(*words, cwd=tmp_path)
    assert told.code == 0, told.err
    assert re.search(r"held, but \d+ promises were not exercised", told.out.splitlines()[0])
    required = run(*words, "--require-exercised", "--json", cwd=tmp_path)
    assert (required.code, required.record["verdict"]) == (3, "unknown")


def test_a_promise_that_is_not_declared_is_judged_quietly(tmp_path: Path) -> None:
    """One that a story breaks is told with its steps, and is neither a finding nor a verdict."""
    text = (BUGS / "resurrection--cancel-completed.toml").read_text(encoding="utf-8")
    (tmp_path / "quiet.toml").write_text(text.replace("final-states = true\n", ""), encoding="utf-8")
    (tmp_path / "jobs.sql").write_text((BUGS / "jobs.sql").read_text(encoding="utf-8"), encoding="utf-8")
    words = ("check", "quiet.toml", "--examples", 40, "--seed", 11, "--processes", 1)
    ended = run(*words, "--json", cwd=tmp_path)
    assert (ended.code, ended.record["verdict"], ended.record["findings"]) == (0, "held", []), ended.err
    assert "final-states" in ended.record["could_declare"]
    (broken,) = [each for each in ended.record["undeclared_would_break"] if each["promise"] == "final-states"]
    assert (broken["anomaly"], broken["operation"], broken["steps"] > 0) == ("resurrection", "cancel", True)


def test_a_dry_run_explores_nothing(tmp_path: Path) -> None:
    """`check --dry-run` says what was understood of each operation, leaves nothing behind, and ends with 0."""
    ended = run("check", "reference", "--dry-run", "--workers", 1, "--json", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert list(ended.record) == ["target", "postgres", "could_declare", "dry_run"]
    claim = ended.record["dry_run"]["operations"][1]
    assert (claim["operation"], claim["status"], claim["job_from"]) == ("claim", "ok", "statement 1")
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    """Equal JSON but for the seconds, and a byte-identical trace, on one process and on two, copied or started."""
    words = ("check", BUGS / "resurrection--cancel-completed.toml", "--examples", 80, "--seed", 11, "--json")
    records, traces = [], []
    for processes, program in ((1, (PROGRAM,)), (2, (PROGRAM,)), (2, WITH_A_THREAD)):
        place = tmp_path / str(len(traces))
        place.mkdir()
        ended = run(*words, "--out", "found", "--processes", processes, cwd=place, program=program)
        assert ended.code == 1, ended.err
        records.append({key: value for key, value in ended.record.items() if key != "seconds"})
        traces.append((place / "found" / "trace.json").read_bytes())
    assert records[0] == records[1] == records[2]
    assert traces[0] == traces[1] == traces[2]


def test_the_number_of_clients_is_kept_for_the_replay(tmp_path: Path) -> None:
    """How many producers and maintenance clients there were stands in the trace, and `replay` has as many."""
    numbers = ("--producers", 3, "--maintenance", 1)
    words = ("check", "baseline", "--examples", 40, "--seed", 11, "--shrink-seconds", 0, "--first", "--out", "found")
    assert run(*words, *numbers, cwd=tmp_path).code == 1
    trace = json.loads((tmp_path / "found" / "trace.json").read_text(encoding="utf-8"))
    assert (trace["producers"], trace["maintenance"]) == (3, 1)
    again = run("replay", "found/trace.json", "--json", cwd=tmp_path)
    assert (again.code, again.record["differs_at_step"]) == (1, None)


def test_sixteen_works_too(tmp_path: Path) -> None:
    """The other Postgres of the wheel is explored the same way."""
    ended = run("check", "reference", "--examples", 20, "--seed", 5, "--pg", 16, "--json", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert ended.record["postgres"].startswith("16.")


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    """A second init in the same place is refused, and leaves what is there."""
    assert run("init", "demo", cwd=tmp_path).code == 0
    (tmp_path / "demo" / "jobs.toml").write_text("mine")
    assert run("init", "demo", cwd=tmp_path).code == 2
    assert (tmp_path / "demo" / "jobs.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "file"), [((), "outbox.toml"), (("mine/queue.toml",), "mine/queue.toml"), (("demo",), "demo/outbox.toml")]
)
def test_init_writes_a_style(tmp_path: Path, words: tuple[str, ...], file: str) -> None:
    """One file, under its own name, under the one that is given, or in a directory; it says how to check it."""
    ended = run("init", "--style", "outbox", *words, cwd=tmp_path)
    assert (ended.code, ended.out) == (0, f"wrote {file}\n\nCheck it:  pgqmodel check {file}\n"), ended.err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / file]
    assert load(str(tmp_path / file)).name == "outbox"


def test_init_overwrites_no_style(tmp_path: Path) -> None:
    """A file that is there is left alone, also one that a style was written to before."""
    (tmp_path / "mine.toml").write_text("mine")
    ended = run("init", "--style", "outbox", "mine.toml", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "mine.toml is there already" in ended.err
    assert (tmp_path / "mine.toml").read_text() == "mine"


def test_init_lists_the_styles(tmp_path: Path) -> None:
    """The help has each style with what it is, in one line."""
    lines = run("init", "--help", cwd=tmp_path).out.splitlines()
    assert [" ".join(line.split()) for line in lines[lines.index("Styles:") + 1 :]] == [
        f"{style} {says}" for style, says in described().items()
    ]


def test_targets_are_listed(tmp_path: Path) -> None:
    """What can be checked by name, a line each."""
    ended = run("targets", cwd=tmp_path)
    named = [line.split()[0] for line in ended.out.splitlines()]
    assert named == ["baseline", "reference", "pgqueuer", "procrastinate"]
