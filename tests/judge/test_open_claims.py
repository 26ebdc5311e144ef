"""A claim whose transaction stays open has its job locked, which no observation shows."""

from __future__ import annotations

import pytest

from pgqmodel.history import Advanced, Committed, Event, Invoked, Job, Observed, Ran, Returned
from pgqmodel.judge import Judge
from pgqmodel.operations import Lease, State, Status

ADDED: list[Event] = [
    Invoked(step=1, client="P", worker="P", call=1, operation="enqueue"),
    Ran(step=1, client="P", call=1, sql="", open=False),
    Committed(step=1, client="P", call=1),
    Observed(step=1, by=(1,), jobs={"J1": Job(job="J1", state=State.PENDING)}),
    Returned(step=1, client="P", call=1, status=Status.OK, job="J1"),
]
HELD: list[Event] = [
    Invoked(step=2, client="A", worker="A", call=2, operation="claim"),
    Ran(step=2, client="A", call=2, sql="", open=True),
    Returned(step=2, client="A", call=2, status=Status.OK, job="J1"),
]
GIVEN_BACK: list[Event] = [
    Invoked(step=3, client="A", worker="A", call=3, operation="retry", job="J1", claim=2),
    Ran(step=3, client="A", call=3, sql="", open=False),
    Committed(step=3, client="A", call=3),
    Returned(step=3, client="A", call=3, status=Status.OK),
]
EMPTY: list[Event] = [
    Invoked(step=4, client="B", worker="B", call=4, operation="claim"),
    Ran(step=4, client="B", call=4, sql="", open=False),
    Committed(step=4, client="B", call=4),
    Returned(step=4, client="B", call=4, status=Status.EMPTY),
]


@pytest.mark.parametrize(
    ("before", "expected"),
    [(HELD, []), ([], ["false-empty"]), ([*HELD, *GIVEN_BACK], ["false-empty"])],
    ids=["held", "free", "given back"],
)
def test_an_open_claim_keeps_its_job_from_others(before: list[Event], expected: list[str]) -> None:
    """A claim may find nothing while another one holds the only job, and not before or after that."""
    judge = Judge(promises={"claim-complete": True}, settings={}, leases=(Lease.TRANSACTION,))
    start = [Advanced(step=0, seconds=0.0, now=1000.0), Observed(step=0)]

    found = [broken.anomaly for event in [*start, *ADDED, *before, *EMPTY] for broken in judge.findings(event)]

    assert found == expected
