"""How claims begin and end, and how the end of a claim or of a session frees deploy locks."""

from __future__ import annotations

from pgqmodel.model.change import Call, Change, Claim
from pgqmodel.model.facts import Fact, SessionEnded, TookOver
from pgqmodel.model.holds import HoldState
from pgqmodel.model.state import ModelState
from pgqmodel.operations import Lease, Meaning

__all__ = ["drop_claim", "end_claim", "end_session", "exchange", "start_claim", "undo_claim"]

_FREE, _HELD, _LAPSED = HoldState.FREE, HoldState.HELD, HoldState.LAPSED


def start_claim(state: ModelState, call: Call, job: str, *, certain: bool = True) -> None:
    """Make `call` the current claim of `job`."""
    former = state.current.get(job)
    if former is not None and former.ended is None:
        former.ended = TookOver(client=call.client, job=job, step=state.step)
    claim = Claim(
        call=call.number,
        client=call.client,
        session=call.session,
        job=job,
        step=state.step,
        instant=state.instant,
        beat=call.started_at if call.started_at is not None else state.now,
        certain=certain,
    )
    state.current[job] = claim
    state.claims.setdefault(job, []).append(claim)
    call.took.append(job)


def exchange(state: ModelState, call: Call, other: Call, job: str) -> None:
    """Exchange two claims: `call` took `job`, not `other`, so the job that `call` seemed to take belongs to `other`."""
    for taken, owner in [(job, call), *((name, other) for name in call.took if not _is_certain(state, name))]:
        claim = state.current.get(taken)
        if claim is not None:
            claim.call, claim.client, claim.session = owner.number, owner.client, owner.session
            owner.took.append(taken)
    call.took[:] = [job]
    other.took[:] = [name for name in other.took if name != job]


def _is_certain(state: ModelState, job: str) -> bool:
    claim = state.current.get(job)
    return claim is None or claim.certain


def undo_claim(state: ModelState, claim: Claim) -> None:
    """A claim gave its job back before the call was over, so it does not count as a claim."""
    state.current.pop(claim.job, None)
    state.claims[claim.job].remove(claim)


def end_claim(state: ModelState, change: Change) -> None:
    """End the current claim of a job that changed, and the deploy lock that rests on it."""
    claim = state.current.pop(change.job, None)
    if claim is None:
        return
    call = change.call
    if call is not None and call.claim == claim.call and change.meaning is Meaning.SETTLED:
        claim.settled_by = call.number
    claim.ended = change.seen(state.step)
    for hold in state.holds.values():
        if hold.claim == claim.call and hold.state is _HELD:
            hold.released = claim.settled_by is not None
            hold.state = _FREE if hold.released else _LAPSED
            hold.freed = claim.ended


def drop_claim(state: ModelState, claim: Claim, ended: Fact) -> None:
    """End a claim although its job's row does not change."""
    state.current.pop(claim.job, None)
    claim.ended = ended


def end_session(state: ModelState, client: str) -> None:
    """A client's session has ended: its open transaction is rolled back, its session locks are free."""
    state.sessions[client] = state.session(client) + 1
    for call in state.in_flight.of_client(client):
        call.open = call.blocked = False
    if Lease.TRANSACTION in state.leases:
        for claim in [claim for claim in state.current.values() if claim.client == client]:
            drop_claim(state, claim, SessionEnded(client=client, step=state.step))
    for hold in state.holds.values():
        if hold.client == client and hold.state is not _FREE:
            certain = state.session_frees_locks and hold.since < state.instant
            hold.state = _FREE if certain else _LAPSED
            hold.freed = SessionEnded(client=client, step=state.step)
