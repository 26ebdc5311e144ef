"""Batches over processes: the result is a function of target and seed, and no process is left or hides its end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from pgqmodel.errors import NoVerdictError, TargetError
from pgqmodel.explore.batches import BATCH_SCHEDULES, Batch, BatchResult, Caught
from pgqmodel.explore.exploration import Exploration, is_decided, merge
from pgqmodel.explore.fleet import Fleet, WorldSpec, _batches
from pgqmodel.explore.judged import Finding
from pgqmodel.promises import Broken
from pgqmodel.steps import Advance
from pgqmodel.target import write_template
from report.examples import DOUBLE_CLAIM

SEED = 5
THREE = Path(__file__).parent.parent / "quality" / "several" / "three.toml"


def explored(target: Path, major: int, *, processes: int, examples: int, first: bool = False) -> Exploration:
    """What a fleet of so many processes makes of a target, without restarts, which take long."""
    spec = WorldSpec(target=str(target), postgres=str(major), faults=frozenset({"cut", "crash", "stall", "twin"}))
    with Fleet(spec=spec, processes=processes) as fleet:
        return fleet.explore(seed=SEED, examples=examples, deadline=None, first=first)


@pytest.mark.both_majors
def test_a_sound_queue_is_explored_the_same_by_one_and_by_three(major: int, tmp_path: Path) -> None:
    """The number of processes changes nothing: as many schedules, steps and witnesses, to the last one."""
    target = write_template(tmp_path)[1]
    alone = explored(target, major, processes=1, examples=90)
    assert alone.schedules == 90
    assert alone.found == ()
    assert alone == explored(target, major, processes=3, examples=90)


@pytest.mark.both_majors
def test_a_bug_is_found_the_same_by_one_and_by_three(major: int, tmp_path: Path) -> None:
    """The first batch with a finding decides, whoever is first to find one: the same schedule and history."""
    target = write_template(tmp_path)[1]
    fenced = "SET status = 'done'\nWHERE id = %(job)s::bigint AND attempts = %(attempt)s AND status"
    text = target.read_text()
    assert fenced in text
    target.write_text(text.replace(fenced, "SET status = 'done'\nWHERE id = %(job)s::bigint AND status"))
    alone = explored(target, major, processes=1, examples=400, first=True)
    assert [found.trace.anomaly for found in alone.found] == ["stale-settlement"]
    assert alone == explored(target, major, processes=3, examples=400, first=True)


def test_what_is_found_after_the_first_is_the_same_by_one_and_by_three(major: int) -> None:
    """An exploration that goes on finds the same stories in the same order, however many processes share it."""
    alone = explored(THREE, major, processes=1, examples=90)
    assert len(alone.found) > 1
    assert alone.schedules == 90
    assert sum(alone.broken.values()) > len(alone.found), "a story that only repeats what is known is no new finding"
    assert alone == explored(THREE, major, processes=3, examples=90)


def test_a_process_that_is_killed_is_no_verdict(major: int, tmp_path: Path) -> None:
    """An exploring process that dies ends the exploration with a sentence and not with a wait for ever."""
    spec = WorldSpec(target=str(write_template(tmp_path)[1]), postgres=str(major))
    with (
        pytest.raises(NoVerdictError, match="ended with code -9 before it answered"),
        Fleet(spec=spec, processes=1) as fleet,
    ):
        os.kill(fleet._members[0].process.pid or 0, signal.SIGKILL)
        fleet.explore(seed=SEED, examples=100, deadline=None)


def test_a_target_that_does_not_fit_is_said_once(major: int, tmp_path: Path) -> None:
    """What Postgres says against a target in the processes reaches the caller as the error that it is."""
    target = write_template(tmp_path)[1]
    target.write_text(target.read_text().replace("attempts = attempts + 1", "attempts = nowhere + 1"))
    spec = WorldSpec(target=str(target), postgres=str(major))
    with pytest.raises(TargetError, match=r"operations\.claim.*nowhere"), Fleet(spec=spec, processes=2):
        pass


@given(st.integers(1, 1000))
def test_batches_add_up(examples: int) -> None:
    """The batches of a run have as many schedules as were asked for, and no two the same number."""
    batches = list(_batches(Batch(number=0, seed=SEED), examples))
    assert sum(batch.schedules for batch in batches) == examples
    assert [batch.number for batch in batches] == list(range(len(batches)))
    assert all(batch.schedules <= BATCH_SCHEDULES for batch in batches)


def found_by(number: int, *, steps: int = 1, operation: str = "claim") -> Caught:
    """What a batch found: a story of so many steps, in which an operation broke a promise."""
    broken = Broken(
        promise="exclusive-claim", anomaly="double-claim", facts=(), job=None, step=1, operations=(operation,)
    )
    finding = Finding(broken=broken, schedule=(Advance(seconds=1.0),) * steps, history=(), witnessed={})
    return Caught(batch=number, finding=finding, trace=evolve(DOUBLE_CLAIM, seed=number))


def result(number: int, *findings: Caught) -> BatchResult:
    """The result of a batch of ten schedules."""
    broken = {"lease": len(findings)}
    return BatchResult(
        number=number, schedules=10, steps=70, witnessed={"lease": 1}, broken=broken, findings=tuple(findings)
    )


def test_the_first_finding_decides_and_not_the_earliest() -> None:
    """The first finding counts once every batch before it has answered; what came after it is left out of the sums."""
    late, early = result(3, found_by(3)), result(1, found_by(1))
    assert not is_decided({3: late})
    assert not is_decided({3: late, 1: early})
    everything = {3: late, 1: early, 0: result(0)}
    assert is_decided(everything)
    merged = merge(everything, first=True)
    assert (merged.schedules, merged.steps, merged.witnessed) == (20, 140, {"lease": 2})
    assert merged.found == tuple(early.findings)


def test_of_each_cause_the_simplest_story_is_kept() -> None:
    """One finding for each promise and culprit operation, simplest first; so is what an unfinished batch has found."""
    long, short, other = found_by(0, steps=3), found_by(1, steps=2), found_by(2, operation="reclaim")
    merged = merge({0: result(0, long), 1: result(1, short)}, {2: [other]}, first=False)
    assert merged.found == (other, short)
    assert (merged.schedules, merged.broken) == (20, {"lease": 2})
