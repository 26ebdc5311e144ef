"""Operations, moves and words that a target file has for itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgqmodel.errors import TargetError
from pgqmodel.operations import ABSENT, OPERATIONS, Meaning, State
from pgqmodel.target import Target, load, read_state, write_template

PROMOTE = """
[maintenance.promote]
moves = ["waiting -> pending", "absent->pending"]
statements = ["SELECT 1"]
"""

RUNS = "runs = \"SELECT '1' AS run, 'open' AS state\""


def queue(directory: Path, further: str) -> Target:
    """The template's queue, which shows runs here, with something beside it."""
    path = write_template(directory)[1]
    text = path.read_text(encoding="utf-8").replace("\n[observe.states]", f"\n{RUNS}\n[observe.states]", 1)
    path.write_text(text + further, encoding="utf-8")
    return load(str(path))


def test_maintenance_of_its_own_is_known_to_the_target_alone(tmp_path: Path) -> None:
    """What one target calls promote does not leak into another target of the same process, or into the common table."""
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    one, other = queue(tmp_path / "one", PROMOTE), queue(tmp_path / "other", "")

    assert one.maintenance == ("promote",)
    moves = [(move.before, move.after) for move in one.kinds["promote"].moves]
    assert moves == [(State.WAITING, State.PENDING), (ABSENT, State.PENDING)]
    assert other.maintenance == ()
    assert other.kinds is OPERATIONS
    assert "promote" not in OPERATIONS


def test_an_operation_may_add_jobs_in_one_target(tmp_path: Path) -> None:
    """`adds` holds for the file that says so."""
    target = queue(tmp_path, "\n[operations.complete.adds]\njobs = true\n")

    assert any(move.meaning is Meaning.ADDED for move in target.kinds["complete"].moves)
    assert not any(move.meaning is Meaning.ADDED for move in OPERATIONS["complete"].moves)


REFUSED = {
    "a name that is taken": ('[maintenance.reclaim]\nmoves = []\nstatements = ["SELECT 1"]', "maintenance.reclaim"),
    "a name of two words": ('[maintenance."a b"]\nmoves = []\nstatements = ["SELECT 1"]', "maintenance.a b"),
    "no moves": ('[maintenance.prune]\nstatements = ["SELECT 1"]', "maintenance.prune.moves"),
    "no statements": ('[maintenance.prune]\nmoves = ["completed -> absent"]', "maintenance.prune.statements"),
    "a move to nowhere": (
        '[maintenance.prune]\nmoves = ["completed ->"]\nstatements = ["SELECT 1"]',
        "maintenance.prune.moves[0]",
    ),
    "a move in the queue's own words": (
        '[maintenance.prune]\nmoves = ["pending -> absent", "done -> absent"]\nstatements = ["SELECT 1"]',
        "maintenance.prune.moves[1]",
    ),
    "a move that is none": (
        '[maintenance.prune]\nmoves = ["pending -> pending"]\nstatements = ["SELECT 1"]',
        "maintenance.prune.moves[0]",
    ),
    "moves of a common operation": (
        '[operations.unlock]\nmoves = []\nstatements = ["SELECT 1"]',
        "operations.unlock.moves",
    ),
    "additions that are no jobs": ("[operations.complete.adds]\nrows = true", "operations.complete.adds.rows"),
    "additions that are no yes or no": ('[operations.complete.adds]\njobs = "yes"', "operations.complete.adds.jobs"),
    "words of runs that are none": ("[observe.run_states]\nrunning = []", "observe.run_states"),
    "a kind of lease that is none": (
        '[lease]\nkind = "hearbeat"',
        "expected 'heartbeat' or 'until'",
    ),
    "a seventh state of runs": ('[observe.run_states]\nbusy = ["busy"]', "observe.run_states.busy"),
}


@pytest.mark.parametrize(("further", "where"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, further: str, where: str) -> None:
    """The message names the key, what was found, what was expected and what to do."""
    with pytest.raises(TargetError, match=r"found .*; expected .*\. To go on: ") as caught:
        queue(tmp_path, f"\n{further}\n")
    assert where in str(caught.value)


def test_words_of_runs_need_runs(tmp_path: Path) -> None:
    """A file that shows no runs has no words for them."""
    path = write_template(tmp_path)[1]
    path.write_text(path.read_text(encoding="utf-8") + "\n[observe.run_states]\nrunning = ['busy']\n", encoding="utf-8")

    with pytest.raises(TargetError, match=r"observe\.run_states: found .*; expected `runs`"):
        load(str(path))


def test_a_run_has_words_of_its_own(tmp_path: Path) -> None:
    """A run's word is read by `run_states`, also one that stands for several states, and a job's word as before."""
    target = queue(tmp_path, '\n[observe.run_states]\npending = ["open"]\nrunning = ["open"]\ncompleted = ["closed"]\n')

    assert read_state("open", target, "runs") is State.PENDING
    assert read_state("queued", target, "jobs") is State.PENDING
    with pytest.raises(TargetError, match=r"observe\.run_states does not map"):
        read_state("queued", target, "runs")
