"""A dry run on a real server: each operation once, alone, and what was understood of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgqmodel.errors import TargetError
from pgqmodel.explore.dry_run import DryRun
from pgqmodel.operations import Lease, Status
from pgqmodel.report import explain
from pgqmodel.server import Cluster
from pgqmodel.target import Target, load, write_template
from pgqmodel.understood import Fence, OperationSeen, Understanding
from pgqmodel.world import World
from world.stories import BUGS, in_world

CASES = BUGS.parent / "cases"
SOUND = BUGS.parent / "sound"


def understood(server: Cluster, target: Target | Path) -> Understanding:
    """What a dry run makes of a target."""
    found: list[Understanding] = []

    async def story(world: World) -> None:
        found.append(await DryRun(world=world).run())

    in_world(server, target if isinstance(target, Target) else load(str(target)), story)
    return found[0]


def operation(found: Understanding, name: str) -> OperationSeen:
    """What was understood of one operation."""
    return next(seen for seen in found.operations if seen.operation == name)


def changed(directory: Path, before: str, after: str) -> Target:
    """The queue that `pgqmodel init` writes, with one text exchanged for another."""
    path = write_template(directory)[1]
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
    return load(str(path))


def test_a_plain_queue_is_understood(server: Cluster, tmp_path: Path) -> None:
    """Where jobs come from, what a claim gives, what changes, what is a fence, and every word of a state."""
    found = understood(server, changed(tmp_path, "priority FROM jobs", "priority FROM jobs"))
    assert all(seen.status is Status.OK and not seen.did_nothing for seen in found.operations)
    claim = operation(found, "claim")
    assert (claim.job_from, claim.there, claim.jobs, claim.columns) == ("statement 1", 3, ("J1",), ("job", "attempt"))
    assert claim.statements[0].clock == ("now()",)
    complete = operation(found, "complete")
    assert complete.uses == {"attempt": "claim", "job": "claim"}
    assert complete.changes == ("J1: running -> completed",)
    assert complete.fence == Fence(names=("attempt",), late=Status.REFUSED, statement=1)
    assert operation(found, "reclaim").changes == ("J4: running -> pending",)
    assert (found.words_unseen, found.leases, found.assumed) == ((), (Lease.HEARTBEAT,), ())


def test_a_settlement_without_a_fence_is_told_so(server: Cluster) -> None:
    """A late complete that is accepted is found by trying one."""
    found = understood(server, CASES / "late-complete.toml")
    assert operation(found, "complete").fence == Fence(late=Status.OK, late_changes=True)
    assert "  A LATE ONE IS ACCEPTED: its worker had lost the job, and another one had claimed it." in explain(found)
    assert found.assumed == ("heartbeat_timeout_seconds", "max_attempts")


def test_a_fence_inside_of_a_function_is_found(server: Cluster) -> None:
    """A function that says no refuses; the statement that calls it is the fence."""
    complete = operation(understood(server, SOUND / "functions.toml"), "complete")
    assert complete.fence == Fence(names=("token",), late=Status.REFUSED, statement=1)


def test_an_operation_that_touches_no_row_is_told_so(server: Cluster, tmp_path: Path) -> None:
    """A WHERE that never fits is seen by its tag, and so is what depends on it."""
    found = understood(server, changed(tmp_path, "SET status = 'done'\nWHERE", "SET status = 'done'\nWHERE false AND"))
    complete = operation(found, "complete")
    assert (complete.did_nothing, complete.status, complete.met) == (True, Status.REFUSED, "J1 running")
    assert any("IT DID NOTHING: statement 1 touched no row" in line for line in explain(found))
    assert found.words_unseen == ("done",)


def test_a_claim_that_finds_nothing_leaves_its_holders_operations_untried(server: Cluster, tmp_path: Path) -> None:
    """What needs a job that is held is not said to have done nothing."""
    found = understood(server, changed(tmp_path, "WHERE status = 'queued' ORDER", "WHERE status = 'nobody' ORDER"))
    assert operation(found, "claim").status is Status.EMPTY
    assert operation(found, "complete").status is None
    assert any("NOT TRIED" in line for line in explain(found))


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        (CASES / "claim-without-returning.toml", {"job_from": "statement 1", "jobs": ("J1",)}),
        (CASES / "batch-claim.toml", {"job_from": "statement 1", "jobs": ("J1", "J2")}),
        (CASES / "uuid-job.toml", {"chance_columns": ("job",)}),
        (CASES / "heartbeat-rotates-fence.toml", {"clock_columns": ("fetched_at",)}),
        (SOUND / "open-transaction.toml", {"leaves_open": True}),
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else "",
)
def test_claims_of_other_kinds(server: Cluster, queue: Path, expected: dict[str, object]) -> None:
    """Which statement gives the job, how many it takes, what chance and the clock decide, what stays open."""
    claim = operation(understood(server, queue), "claim")
    assert {name: getattr(claim, name) for name in expected} == expected


def test_the_clock_and_chance_are_told_apart(server: Cluster) -> None:
    """A backoff with jitter depends on both; a state that follows the clock changes while nobody does anything."""
    found = understood(server, CASES / "jittered-backoff.toml")
    assert (found.clock_columns, found.chance_columns) == (("eligible_at",), ("eligible_at",))
    assert operation(found, "fail").statements[0].chance == ("random()",)
    assert understood(server, CASES / "visibility-timeout.toml").follows_clock == "J1: running -> pending"


def test_maintenance_of_its_own_finds_jobs_in_every_state(server: Cluster) -> None:
    """One that promotes and one that prunes have both something to do."""
    found = understood(server, SOUND / "two-maintenance.toml")
    assert operation(found, "stage").changes == ("J5: waiting -> pending",)
    assert operation(found, "prune").changes == ("J1: completed -> absent",)


def test_what_a_file_does_not_fit_is_refused_as_ever(server: Cluster, tmp_path: Path) -> None:
    """A word that is not mapped ends the dry run with the sentence that a check would say."""
    with pytest.raises(TargetError, match=r"which observe\.states does not map"):
        understood(server, changed(tmp_path, 'running = ["working"]', 'running = ["worked"]'))


def test_a_reclaim_that_waits_longer_than_the_lease_is_told_so(server: Cluster, tmp_path: Path) -> None:
    """An interval that stands in the SQL, and nowhere else, shows by what is done once a day has passed."""
    own = "make_interval(secs => %(heartbeat_timeout_seconds)s)"
    reclaim = operation(understood(server, changed(tmp_path, own, "interval '5 minutes'")), "reclaim")
    assert (reclaim.patience, reclaim.changes) == (86_400.0, ("J4: running -> pending",))


def test_a_settlement_that_is_told_yes_and_changes_nothing_is_told_so(server: Cluster, tmp_path: Path) -> None:
    """Where another statement than the fence comes last, the worker does not hear that it was too late."""
    fenced = 'AND attempts = %(attempt)s AND status = \'working\'\n"""]\n\n[operations.fail]'
    last = fenced.replace('\n"""]', '\n""", "SELECT 1"]')
    complete = operation(understood(server, changed(tmp_path, fenced, last)), "complete")
    assert complete.fence == Fence(silent=("attempt",), late=Status.OK)


def test_jobs_that_wait_for_their_time_are_promoted(server: Cluster, tmp_path: Path) -> None:
    """A claim is tried once the time of the jobs has come and maintenance has promoted them."""
    queue = tmp_path / "scheduled.toml"
    queue.write_text(SCHEDULED, encoding="utf-8")
    found = understood(server, queue)
    assert operation(found, "enqueue").changes == ("J1: absent -> waiting",)
    assert operation(found, "claim").jobs == ("J1",)
    assert operation(found, "promote").changes == ("J3: waiting -> pending",)


SCHEDULED = """
name = "scheduled"
setup_sql = "CREATE TABLE q (id bigint GENERATED ALWAYS AS IDENTITY, st text DEFAULT 'later', at timestamptz);"
[promises]
no-lost-job = true
[observe]
jobs = "SELECT id::text AS job, st AS state, at AS eligible_at FROM q"
[observe.states]
waiting = ["later"]
pending = ["ready"]
running = ["busy"]
completed = ["done"]
[operations.enqueue]
statements = ["INSERT INTO q (at) VALUES (now() + interval '9 seconds') RETURNING id::text AS job"]
[operations.claim]
statements = ["UPDATE q SET st = 'busy' WHERE id = (SELECT min(id) FROM q WHERE st = 'ready') RETURNING id AS job"]
[operations.complete]
statements = ["UPDATE q SET st = 'done' WHERE id = %(job)s::bigint"]
[maintenance.promote]
moves = ["waiting -> pending"]
statements = ["UPDATE q SET st = 'ready' WHERE st = 'later' AND at <= now()"]
"""
