"""A new user's walk: init, check, break a statement, check, read, replay, mend, replay; each does what was said."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands import run

FENCE = "WHERE id = %(job)s::bigint AND attempts = %(attempt)s AND status = 'working'"
FOUND = ("stale-settlement", "resurrection", "zombie-heartbeat")


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which a finding lies: the template with its fences taken out, checked."""
    home = tmp_path_factory.mktemp("walk")
    assert run("init", "demo", cwd=home).code == 0
    held = run("check", "demo/jobs.toml", "--examples", 40, "--seed", 1, "--json", cwd=home)
    assert (held.code, held.record["verdict"]) == (0, "held")
    file = home / "demo" / "jobs.toml"
    file.write_text(file.read_text().replace(FENCE, "WHERE id = %(job)s::bigint"))
    broken = run("check", "demo/jobs.toml", "--seconds", 60, "--seed", 1, "--first", "--out", "found", cwd=home)
    assert broken.code == 1
    assert any(anomaly in broken.out for anomaly in FOUND)
    return home


def test_the_report_says_what_to_do(walk: Path) -> None:
    """The report has the SQL that is wrong, and the command that replays it."""
    report = (walk / "found" / "report.md").read_text()
    assert "pgqmodel replay found/trace.json" in report
    assert "WHERE id = $" in report


def test_the_trace_reproduces(walk: Path) -> None:
    """The same trace on the same target: the anomaly comes back, every time."""
    replayed = run("replay", "found/trace.json", "--times", 5, "--json", cwd=walk)
    assert replayed.code == 1
    assert (replayed.record["verdict"], replayed.record["reproduced"]) == ("reproduced", 5)


def test_the_trace_is_said_in_other_forms(walk: Path) -> None:
    """As text and as a specification for the isolationtester, to a file too."""
    assert "broken promise" in run("report", "found/trace.json", "--format", "text", cwd=walk).out
    assert run("report", "found/trace.json", "--format", "spec", "-o", "one.spec", cwd=walk).code == 0
    assert "permutation" in (walk / "one.spec").read_text()


def test_mended_it_is_gone(walk: Path) -> None:
    """With its fences back, the recorded steps break nothing, and the replay says so."""
    file = walk / "demo" / "jobs.toml"
    wrong = file.read_text()
    file.write_text(wrong.replace("WHERE id = %(job)s::bigint\n", FENCE + "\n"))
    try:
        replayed = run("replay", "found/trace.json", cwd=walk)
    finally:
        file.write_text(wrong)
    assert replayed.code == 0, replayed.out + replayed.err
    assert "is gone" in replayed.out
    assert "the target has changed since" in replayed.out


def test_changed_it_says_where_it_left(walk: Path) -> None:
    """On a queue in which no job is ever to be had the record cannot be followed; the replay says from where."""
    file = walk / "demo" / "jobs.toml"
    before = file.read_text()
    file.write_text(before.replace("WHERE status = 'queued' ORDER BY", "WHERE false ORDER BY"))
    try:
        replayed = run("replay", "found/trace.json", cwd=walk)
    finally:
        file.write_text(before)
    assert replayed.code == 3, replayed.out + replayed.err
    assert "the record could not be followed" in replayed.out
    assert "at step 2 the history differs from the record" in replayed.out
