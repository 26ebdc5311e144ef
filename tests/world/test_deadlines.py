"""The list of deadlines: what is known of leases and delayed jobs, and how each is tried from both sides."""

from __future__ import annotations

import pytest

from pgqmodel.history import Job
from pgqmodel.operations import State
from pgqmodel.world.deadlines import deadlines, spans, waits

SETTINGS = {"heartbeat_timeout_seconds": 30}


def test_leases_and_delays_are_deadlines() -> None:
    """A running job's lease and a pending job's time are known; what never comes is not, nor a lease nobody saw."""
    jobs = [
        Job(job="J1", state=State.RUNNING),
        Job(job="J2", state=State.PENDING, eligible_at=110.0),
        Job(job="J3", state=State.PENDING, eligible_at=float("inf")),
        Job(job="J4", state=State.RUNNING),
        Job(job="J5", state=State.RUNNING, lease_until=170.0),
        Job(job="J6", state=State.RUNNING, lease_until=float("inf")),
    ]
    assert deadlines(jobs, {"J1": 100.0, "J5": 100.0, "J6": 100.0}, SETTINGS) == [110.0, 130.0, 170.0]


def test_a_deadline_is_tried_from_both_sides() -> None:
    """Just after, at, and just before; nothing behind us, and nothing further than a day ahead."""
    assert waits([99.0, 130.0, 1e9], 100.0) == [30.001, 30.0, 29.999]


@pytest.mark.parametrize(
    ("sql", "seconds"),
    [
        ("DELETE FROM jobs WHERE finished_at < now() - INTERVAL '1 day'", [86_400]),
        ("... interval '1 hour 30 minutes' ... interval'90s' ... interval '1 hour 30 minutes'", [5_400, 90]),
        ("... make_interval(days => 7, hours => 1) ... make_interval(secs => 2.5)", [608_400, 2.5]),
        ("... make_interval(secs => %(heartbeat_timeout_seconds)s) ... interval '1 month' ... '1 day'::interval", []),
        ("... interval '500 milliseconds' ... interval '200 ms' ... interval '1 decade' ... interval '2 min'", [120]),
        ("... interval '5000 weeks' ... interval '0 seconds' ... interval 'P1D'", [86_400]),
    ],
)
def test_lengths_of_time_that_a_statement_writes_out(sql: str, seconds: list[float]) -> None:
    """What removes jobs of a certain age does nothing before: a story goes there. No story waits for a century."""
    assert list(spans(sql)) == seconds
