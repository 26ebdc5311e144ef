"""Queues whose operations are functions of an application: what is wrong in them is found, and replays to the byte."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from quality.checking import COMMAND, check

FUNCTIONS = Path(__file__).parent / "functions"
WITHIN_SECONDS = 40.0
BROKEN = {
    "catch_and_fail": ("stale-settlement", "complete", 5),
    "select_then_update": ("double-claim", "claim", 3),
    "unfenced_heartbeat": ("zombie-heartbeat", "heartbeat", 5),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_function_is_found(name: str, seed: int, tmp_path: Path) -> None:
    """A bug between the statements of a function, or in its `except`, has its name, its function and its replay."""
    anomaly, operation, steps = BROKEN[name]
    out = tmp_path / "found"
    checked = check(FUNCTIONS / f"{name}.toml", seed=seed, seconds=WITHIN_SECONDS, out=out)

    assert checked.code == 1, checked.said
    (found,) = checked.found["findings"]
    assert (found["anomaly"], found["operation"], found["shrunk_steps"]) == (anomaly, operation, steps)
    assert found["replayed"] == "2 of 2"
    assert f"of `{name}:{operation}`" in (out / "report.md").read_text(encoding="utf-8")
    command = [COMMAND, "replay", out / "trace.json"]
    again = subprocess.run(command, cwd=FUNCTIONS, capture_output=True, text=True, check=False)
    assert again.returncode == 1, again.stderr
    assert "came back" in again.stdout
    assert "has changed" not in again.stdout + again.stderr


def test_the_same_seed_finds_the_same_bytes(tmp_path: Path) -> None:
    """The application runs in the process that explores, and chance and time are the story's all the same."""
    target = FUNCTIONS / "select_then_update.toml"
    traces = []
    for out in (tmp_path / "one", tmp_path / "other"):
        check(target, seed=1, seconds=WITHIN_SECONDS, out=out)
        traces.append((out / "trace.json").read_bytes())
    assert traces[0] == traces[1]


@pytest.mark.parametrize("name", ["sound", "awaited"])
def test_a_sound_queue_of_functions_holds(name: str, seconds: float, major: int, tmp_path: Path) -> None:
    """No false alarm, whatever is cut or crashes inside of a function, synchronous or not."""
    checked = check(FUNCTIONS / f"{name}.toml", seed=1, seconds=seconds, out=tmp_path / "out", postgres=major)
    assert checked.code == 0, checked.said
    assert checked.found["verdict"] == "held"
