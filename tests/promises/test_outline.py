"""What a target could declare, by its shape alone, and what of that may be judged without being asked for."""

from __future__ import annotations

import pytest
from attrs import evolve

from pgqmodel.operations import OPERATIONS, Lease, State, maintenance
from pgqmodel.promises import PROMISES, Outline, could_declare, may_judge

PLAINEST = Outline(
    operations={name: OPERATIONS[name] for name in ("enqueue", "claim", "complete")},
    columns={"jobs": ("job", "state")},
)
FULL = Outline(
    operations=dict(OPERATIONS),
    columns={
        "jobs": ("job", "state", "attempt", "priority", "unique_key", "run", "stage", "environment", "id"),
        "runs": ("run", "state"),
        "logs": ("job", "sequence", "line"),
    },
    channels=frozenset({"wake_channel", "log_channel"}),
    said=frozenset({"heartbeat_timeout_seconds"}),
    maps_runs=True,
)


def could(outline: Outline, *declared: str) -> set[str]:
    """What a target of this shape could declare."""
    return set(could_declare(PROMISES, outline, declared))


def may(outline: Outline, *declared: str) -> set[str]:
    """What of that is judged unasked."""
    return set(may_judge(PROMISES, outline, declared))


def test_a_target_with_everything_could_declare_everything() -> None:
    """Each promise is possible where there is all that it is about, in the order in which they are listed."""
    assert list(could_declare(PROMISES, FULL, ())) == list(PROMISES)
    assert could(FULL, "lease", "recovery") == set(PROMISES) - {"lease", "recovery"}


def test_nothing_is_recommended_that_the_target_has_no_way_to_keep() -> None:
    """Without heartbeats, locks, logs, keys, runs and counts, the promises about these are not among them."""
    assert could(PLAINEST) == {
        "exclusive-claim",
        "fenced-settlement",
        "no-lost-job",
        "no-phantom-job",
        "final-states",
        "claim-complete",
        "lease",
        "recovery",
        "deadlock-free",
    }


def test_a_queue_that_revives_jobs_does_not_promise_final_states() -> None:
    """Maintenance that takes failed jobs back contradicts the promise; one that removes them does not."""
    revive = maintenance("revive", [(State.FAILED, State.PENDING)])
    prune = maintenance("prune", [(State.FAILED, None)])
    assert "final-states" not in could(evolve(PLAINEST, operations={**PLAINEST.operations, "revive": revive}))
    assert "final-states" in could(evolve(PLAINEST, operations={**PLAINEST.operations, "prune": prune}))


@pytest.mark.parametrize(
    ("says", "known"),
    [
        ({}, False),
        ({"said": frozenset({"heartbeat_timeout_seconds"})}, True),
        ({"leases": (Lease.UNTIL,)}, True),
        ({"leases": (Lease.TRANSACTION,)}, True),
        ({"leases": (Lease.HEARTBEAT, Lease.SESSION)}, False),
    ],
)
def test_where_the_lease_is_not_said_nobody_is_accused_of_taking_a_job_early(
    says: dict[str, object], known: bool
) -> None:
    """A queue whose own lease is shorter than the one that is assumed would seem to break two promises."""
    outline = evolve(PLAINEST, **says)
    assert ({"exclusive-claim", "lease"} <= may(outline)) is known
    assert may(outline).isdisjoint({"exclusive-claim", "lease"}) is not known
    assert {"exclusive-claim", "lease"} <= could(outline)


def test_what_rests_on_what_only_the_owner_knows_is_not_judged_unasked() -> None:
    """Values, limits of the queue's own, jobs that an operation adds without saying so, a run's own rule, and so on."""
    assert may(FULL).isdisjoint(
        {"claim-order", "live-limit", "claim-complete", "no-phantom-job", "poison-isolated", "lock-release", "wake-up"}
    )
    assert {"run-status", "attempts"} <= may(FULL)
    assert "run-status" not in may(evolve(FULL, maps_runs=False))
