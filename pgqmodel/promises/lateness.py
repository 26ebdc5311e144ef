"""Finds leases that lapse too late, during a drain: the bound of `recovery` is the timeout and then one reclaim.

A drain waits longer and longer, for delays that the target does not show. So a job's end alone proves nothing: a lease
of ten timeouts lapses in some round, too. A lease is noted as too late only if nothing else can explain it:

- the session of the job's holder has ended;
- for longer than the lease may last, only maintenance ran statements (any sign of life may renew a lease);
- then a reclaim ran alone, was accepted, and changed no job (one that takes one job may take this one next time);
- so did one of every other client that has reclaimed in the story (one of them may lead, and the others do nothing);
- and the job is still running.

A queue without a reclaim, whose claims take lapsed jobs themselves, is not judged by this: a claim that finds nothing
says too little. Nor is a recorded history, which does not show when statements ran.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import frozen

from pgqmodel.history import Observed
from pgqmodel.model.change import Call, Change, Claim
from pgqmodel.model.state import ModelState
from pgqmodel.operations import HEARTBEAT, RECLAIM, Lease, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.watcher import Watcher

__all__ = ["Lateness", "Overdue"]

_MAINTENANCE = RECLAIM.name
_MARGIN_SECONDS = 0.001
"""Exactly at its end a lease may count as lapsed or not, so this much more must have passed."""
DOUBLINGS_MAX = 16


@frozen(kw_only=True)
class Overdue:
    """A claim whose lease should have lapsed, and the reclaim that left it."""

    claim: Claim
    call: Call
    step: int
    quiet_seconds: float


class Lateness(Watcher):
    """The leases of a story that outlast their time. `found` has the jobs that were left for too long."""

    def __init__(self, count: Callable[[str], None]) -> None:
        super().__init__(count)
        self.found: dict[str, Overdue] = {}
        self._stirred_at = 0.0
        self._quiet: dict[int, float] = {}
        """For each reclaim in flight that has changed nothing yet: how long nothing had been done when it looked."""
        self._beats: dict[int, int] = {}
        """How many heartbeats were begun for each claim."""
        self._idled: dict[str, float] = {}
        """For each client that has reclaimed: how long nothing had been done when its reclaim last changed nothing."""

    def ran(self, state: ModelState, call: Call) -> None:
        """A statement of a call ran: a sign of life, if it is not maintenance."""
        if call.operation == _MAINTENANCE:
            if not call.ran:
                self._idled.setdefault(call.client, 0.0)
                self._quiet[call.number] = state.now - self._stirred_at
            return
        if not call.ran and call.operation == HEARTBEAT.name and call.claim is not None:
            self._beats[call.claim] = self._beats.get(call.claim, 0) + 1
        self._stir(state)

    def observed(self, state: ModelState, event: Observed, changes: Sequence[Change]) -> None:
        """A job changed: that is a sign of life, and a reclaim that changed one is not late for the next."""
        if event.jobs:
            self._stir(state)
            self._quiet.clear()

    def _stir(self, state: ModelState) -> None:
        """A client did something: every client that has reclaimed must reclaim again."""
        self._stirred_at = state.now
        self._idled = dict.fromkeys(self._idled, 0.0)

    def returned(self, state: ModelState, call: Call) -> Iterable[Broken]:
        """A call is over: a reclaim that changed nothing in a drain shows which jobs it left."""
        quiet = self._quiet.pop(call.number, None)
        bounded = state.timeout_declared and Lease.HEARTBEAT in state.leases
        drained = bounded and state.drain is not None and call.step > state.drain.step
        if quiet is None or not drained or call.status is not Status.OK or call.disturbed:
            return ()
        self._idled[call.client] = quiet
        quiet = min(self._idled.values())
        for job in state.running:
            claim = state.current.get(job)
            if claim is None or not state.has_left(claim) or job in self.found:
                continue
            if quiet > self._longest(state, claim) + _MARGIN_SECONDS:
                self.found[job] = Overdue(claim=claim, call=call, step=state.step, quiet_seconds=quiet)
        return ()

    def _longest(self, state: ModelState, claim: Claim) -> float:
        """How long a lease may last: the timeout for a job's first claim, and twice as long with each further grant.

        A queue may add to what is left of a lease with every heartbeat, or lengthen it with every attempt.
        """
        grants = len(state.claims.get(claim.job, ())) - 1 + self._beats.get(claim.call, 0)
        return float(state.timeout_seconds * 2 ** min(max(grants, 0), DOUBLINGS_MAX))
