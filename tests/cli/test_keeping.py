"""A finding survives the end of its shrinking, whatever ends it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from cli.commands import run
from cli.place import Place

BUG = Path(__file__).parent.parent / "quality" / "bugs" / "stale-settlement--by-id.toml"
WORDS = ("check", BUG, "--examples", 400, "--seed", 3, "--processes", 1, "--json", "--out", "found")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_an_interrupt_leaves_a_trace_that_replays(place: Place, how: signal.Signals) -> None:
    """As soon as the trace is there an interrupt ends the shrinking alone: exit code 1, and the trace replays."""
    program = place.start(*WORDS)
    trace = place.root / "found" / "trace.json"
    place.wait_until(trace.exists, "the finding is written", program)
    code, out = place.end(program, how)
    assert code == 1
    assert json.loads(out)["shrinking"] == "interrupted"
    assert "not the shortest" in (place.root / "found" / "report.md").read_text(encoding="utf-8")
    assert run("replay", trace, cwd=place.root).code == 1


def test_no_time_for_shrinking_leaves_the_story_as_it_was_found(tmp_path: Path) -> None:
    """With no time to shrink the finding is written all the same, and it is said that it is not the shortest."""
    ended = run(*WORDS, "--shrink-seconds", 0, cwd=tmp_path)
    assert (ended.code, ended.record["shrinking"]) == (1, "stopped early")
    assert run("replay", "found/trace.json", cwd=tmp_path).code == 1
