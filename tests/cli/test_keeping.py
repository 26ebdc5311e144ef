"""A finding survives the end of its shrinking, whatever ends it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from cli.commands import run
from cli.place import Place

BUGS = Path(__file__).parent.parent / "quality" / "bugs"
REST = ("--examples", 400, "--seed", 3, "--processes", 1, "--first", "--json", "--out", "found")
WORDS = ("check", BUGS / "stale-settlement--by-id.toml", *REST)
KINDS = ("stale-settlement--by-id", "zombie-heartbeat--by-id", "attempt-overrun--reclaim-forgets")
MOMENTS = [(kind, number) for number in range(1, 11) for kind in KINDS]
"""Thirty: after the first story of a kind of finding has been written, the second, and so on."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with a `kind` and a `number` runs at as many moments as `--interrupts` says, spread over all of them."""
    if "number" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("--interrupts")
        metafunc.parametrize(("kind", "number"), MOMENTS[:: max(len(MOMENTS) // wanted - 1, 1)][:wanted])


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


def test_an_interrupt_at_any_story_leaves_a_trace_that_replays(place: Place, kind: str, number: int) -> None:
    """Whichever story is the last one written, it stays and replays; where there are fewer, the shortest does."""
    program = place.start("check", BUGS / f"{kind}.toml", *REST)
    trace = place.root / "found" / "trace.json"
    stories: dict[bytes, None] = {}

    def written() -> bool:
        if trace.exists():
            stories.setdefault(trace.read_bytes())
        return len(stories) >= number or program.poll() is not None

    place.wait_until(written, f"{number} stories are written")
    code, out = place.end(program, signal.SIGINT)
    assert code == 1
    # The story that was waited for may be the last: then the shrinking is over before the signal comes.
    assert json.loads(out)["shrinking"] in ({"interrupted"} if number == 1 else {"interrupted", "complete"})
    assert run("replay", trace, cwd=place.root).code == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_story_has_no_fault_that_was_switched_off(tmp_path: Path, kind: str) -> None:
    """With `--faults stall` nobody is cut off, crashes, has a twin or sees a restart, however short it would be."""
    ended = run("check", BUGS / f"{kind}.toml", *REST, "--faults", "stall", cwd=tmp_path)
    assert (ended.code, ended.record["shrinking"]) == (1, "complete")
    actions = {step["action"] for step in json.loads((tmp_path / "found" / "trace.json").read_text())["steps"]}
    assert "advance" in actions
    assert actions.isdisjoint({"cut", "crash", "twin", "restart"})


def test_an_interrupt_while_it_explores_leaves_what_was_found(place: Place) -> None:
    """A check that goes on after its first finding, and is ended then, leaves the finding, unshrunk: exit code 1."""
    words = ("--seconds", 600, "--seed", 3, "--processes", 1, "--json", "--out", "found")
    program = place.start("check", BUGS / "order-inversion--last-in-first-out.toml", *words)
    assert program.stderr is not None
    assert program.stderr.readline() == "found order-inversion by claim\n"
    code, out = place.end(program, signal.SIGINT)
    found = json.loads(out)
    assert (code, found["verdict"], found["shrinking"]) == (1, "broken", "interrupted")
    assert [each["anomaly"] for each in found["findings"]] == ["order-inversion"]
    assert "not the shortest" in (place.root / "found" / "report.md").read_text(encoding="utf-8")
    assert run("replay", "found/trace.json", cwd=place.root).code == 1


def test_no_time_for_shrinking_leaves_the_story_as_it_was_found(tmp_path: Path) -> None:
    """With no time to shrink the finding is written all the same, and it is said that it is not the shortest."""
    ended = run(*WORDS, "--shrink-seconds", 0, cwd=tmp_path)
    assert (ended.code, ended.record["shrinking"]) == (1, "stopped early")
    assert run("replay", "found/trace.json", cwd=tmp_path).code == 1
