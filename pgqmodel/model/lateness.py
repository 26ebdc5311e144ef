"""Which leases lapse too late: the bound of `recovery` is the timeout, and then one reclaim. Noted while a story ends.

A drain waits longer and longer for what nobody can see. So it is not enough that a job comes to its end: a lease of ten
timeouts lapses in some round, too. A lease is noted as too late only where nothing else can explain it:

- the session of the job's holder has ended;
- for as long as the lease may last, nobody but maintenance ran anything (any sign of life may renew a lease);
- then a claim ran, with no other transaction open, and found nothing;
- and the job is still running.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field, frozen

from pgqmodel.history import Observed
from pgqmodel.model.change import Call, Claim
from pgqmodel.operations import Status

if TYPE_CHECKING:
    from pgqmodel.model.state import ModelState

__all__ = ["Lateness", "Overdue"]

_MAINTENANCE = "reclaim"
_NOT_DONE = frozenset({Status.ERROR, Status.UNKNOWN})
DOUBLINGS_MAX = 16


@frozen(kw_only=True)
class Overdue:
    """A claim whose lease should have lapsed, and the call that still found nothing to do."""

    claim: Claim
    call: Call
    step: int
    quiet_seconds: float
    lease_seconds: float
    reclaimed: bool
    """Whether a reclaim ran before that call."""


@define(kw_only=True)
class Lateness:
    """What a story shows of leases that outlast their time; `declared` if the target says how long they last."""

    declared: bool
    found: dict[str, Overdue] = field(factory=dict)
    """The jobs that were left for too long, each as it was noted first."""
    _stirred_at: float = 0.0
    _quiet_seconds: float = 0.0
    _reclaimed: bool = False
    _beats: dict[int, int] = field(factory=dict)
    """How many heartbeats were begun for each claim."""

    def runs(self, call: Call, now: float) -> None:
        """A unit of a call is about to count as run."""
        if call.operation == _MAINTENANCE:
            self._reclaimed = True
            return
        if not call.ran:
            self._quiet_seconds = now - self._stirred_at
            if call.operation == "heartbeat" and call.claim is not None:
                self._beats[call.claim] = self._beats.get(call.claim, 0) + 1
        self._stirred_at = now

    def observed(self, event: Observed, now: float) -> None:
        """A job changed: a reclaim that takes one job at a time is not late for the next one."""
        if event.jobs:
            self._stirred_at, self._quiet_seconds = now, 0.0

    def returned(self, state: ModelState, call: Call) -> None:
        """A call is over: a claim that found nothing in a drain shows what was left."""
        if call.operation == _MAINTENANCE and call.status in _NOT_DONE:
            self._stirred_at = state.now
        if call.operation != "claim":
            return
        reclaimed, self._reclaimed = self._reclaimed, False
        drained = self.declared and state.drain is not None and call.step > state.drain.step
        if call.status is not Status.EMPTY or not drained or call.disturbed:
            return
        for job in state.running:
            claim = state.current.get(job)
            if claim is None or state.session(claim.client) == claim.session or job in self.found:
                continue
            lease = self._longest(state, claim)
            if self._quiet_seconds >= lease:
                self.found[job] = Overdue(
                    claim=claim,
                    call=call,
                    step=state.step,
                    quiet_seconds=self._quiet_seconds,
                    lease_seconds=lease,
                    reclaimed=reclaimed,
                )

    def _longest(self, state: ModelState, claim: Claim) -> float:
        """How long a lease may last: the timeout for a job's first claim, and twice as long with each further grant.

        A queue may add to what is left of a lease with every heartbeat, or lengthen it with every attempt.
        """
        grants = len(state.claims.get(claim.job, ())) - 1 + self._beats.get(claim.call, 0)
        return float(state.timeout_seconds * 2 ** min(max(grants, 0), DOUBLINGS_MAX))
