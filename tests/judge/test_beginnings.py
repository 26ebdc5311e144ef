"""When a call's transaction began: a SET before its first query fixes what `now()` says, although it is no choice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pgqmodel.explore.judged import AnomalyFound, Run
from pgqmodel.explore.recorded_schedule import Recorded
from pgqmodel.server import Cluster
from pgqmodel.steps import Step
from pgqmodel.target import Target, load, write_template
from pgqmodel.world import World
from world.stories import advance, begin, go, in_world

SLOW_CLAIM = (begin("P", "enqueue"), begin("A", "claim", stop=1), advance(31), go("A"), begin("M", "reclaim"))


def with_set(directory: Path) -> Target:
    """The queue that `pgqmodel init` writes, whose claim sets a limit before it looks."""
    path = write_template(directory)[1]
    text = path.read_text(encoding="utf-8")
    plain = '[operations.claim]\nstatements = ["""'
    assert plain in text
    set_first = '[operations.claim]\ntransaction = true\nstatements = ["SET LOCAL lock_timeout = 0", """'
    path.write_text(text.replace(plain, set_first), encoding="utf-8")
    return load(str(path))


def judged(server: Cluster, target: Target, steps: Sequence[Step]) -> None:
    """Take the steps of a story; AnomalyFound if they break a promise."""

    async def story(world: World) -> None:
        await Run(world=world).follow(Recorded(schedule=steps))

    in_world(server, target, story)


def test_a_lease_is_as_old_as_the_transaction_that_took_it(server: Cluster, tmp_path: Path) -> None:
    """A claim that stood still behind its SET for longer than a lease has a stamp of before, and may be reclaimed."""
    judged(server, with_set(tmp_path), SLOW_CLAIM)


def test_a_job_that_is_taken_back_at_once_is_taken_early(server: Cluster, tmp_path: Path) -> None:
    """The same queue is accused where its reclaim does not look at the time."""
    target = tmp_path / "jobs.toml"
    with_set(tmp_path)
    late = " AND heartbeat_at < now() - make_interval(secs => %(heartbeat_timeout_seconds)s)"
    text = target.read_text(encoding="utf-8")
    assert late in text
    target.write_text(text.replace(late, ""), encoding="utf-8")
    steps = (begin("P", "enqueue"), begin("A", "claim"), begin("M", "reclaim"))
    with pytest.raises(AnomalyFound, match="early-reclaim"):
        judged(server, load(str(target)), steps)
