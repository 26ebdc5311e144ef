"""The core: it finds the meaning of an observed difference and the call that made it. Pure: it changes no state.

The table of `transitions` says what an operation may do to a job. `_MAY` adds conditions that a table of states cannot
express, such as "its own job" or "one job a claim". A difference is explained by a call that has just committed; if
none fits, by a call in flight (session locks show before the commit); then by the end of a session. A difference that
nothing explains belongs to no call and is unlawful.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from pgqmodel.history import Job, Observed
from pgqmodel.model.change import Call, Change, Claim
from pgqmodel.model.state import ModelState
from pgqmodel.model.transitions import CLOCK, SESSION_END, UNLAWFUL, lawful
from pgqmodel.operations import CLAIM, LIVE, SETTLEMENTS, UNHELD, Meaning, State

__all__ = ["changes", "step"]

_RUNNING = State.RUNNING
_ADDED, _CLAIMED, _REWRITTEN, _SETTLED, _TAKEN = (
    Meaning.ADDED,
    Meaning.CLAIMED,
    Meaning.REWRITTEN,
    Meaning.SETTLED,
    Meaning.TAKEN,
)

_BROKEN_STAGE = frozenset({State.FAILED, State.CANCELLED})


Suspects = Callable[[str, State | None, State | None], Iterable[Call]]
"""Gives the calls without a known end that may have taken a job from one state to another, oldest first."""


def changes(state: ModelState, observed: Observed, suspects: Suspects) -> list[Change]:
    """The meaning of each difference of an observation, compared with the state before it."""
    by = [state.calls[number] for number in observed.by if number in state.calls]
    found: list[Change] = []
    for name, after in observed.jobs.items():
        before = state.jobs.get(name)
        if before is not None or after is not None:
            found.append(step(state, by, observed, suspects, name, before, after, found))
    return found


def step(
    state: ModelState,
    by: Sequence[Call],
    observed: Observed,
    suspects: Suspects,
    name: str,
    before: Job | None,
    after: Job | None,
    others: Sequence[Change] = (),
) -> Change:
    """The meaning of one job's difference; `others` are changes of the same observation that are explained already."""
    claim = state.current.get(name)
    if before is not None and after is not None and before.state is after.state:
        call, meaning = _rewriter(state, by, name, before, after)
        return Change(job=name, before=before, after=after, meaning=meaning, call=call, claim=claim)
    states = (before.state if before else None, after.state if after else None)
    if not by and state.moved_step == observed.step and (CLOCK, *states) in lawful(state.kinds):
        return Change(job=name, before=before, after=after, meaning=lawful(state.kinds)[CLOCK, *states], claim=claim)
    candidates = list(_able(state, by, observed, name, before, after, others))
    certain = len(candidates) < 2 or candidates[0][1] is not _CLAIMED
    if not candidates:
        possible = suspects(name, before.state if before else None, after.state if after else None)
        unfinished = [call for call in possible if call.ran and call not in by]
        candidates = list(_able(state, unfinished, observed, name, before, after, others))
        certain = False
    if candidates:
        call, meaning = _likeliest(state, candidates, after)
        certain = certain or (after is not None and after.holder == call.worker and _unique(state, call))
        return Change(job=name, before=before, after=after, meaning=meaning, call=call, claim=claim, certain=certain)
    if claim is not None and (happened := _by_itself(state, claim, states)) is not None:
        return Change(job=name, before=before, after=after, meaning=happened, claim=claim)
    meaning = UNLAWFUL[states]
    if not state.in_flight.begun:
        meaning = _ADDED
    return Change(job=name, before=before, after=after, meaning=meaning, call=_suspect(by, name, before), claim=claim)


def _able(
    state: ModelState,
    calls: Iterable[Call],
    observed: Observed,
    name: str,
    before: Job | None,
    after: Job | None,
    others: Sequence[Change],
) -> Iterator[tuple[Call, Meaning]]:
    """The calls that may have made this difference, each with the meaning that it would have."""
    states = (before.state if before else None, after.state if after else None)
    if before is None and name in state.gone:
        return
    for call in calls:
        meaning = lawful(state.kinds).get((call.operation, *states))
        if meaning is None and _goes_on(state, call, name):
            meaning = (
                _REWRITTEN if states[1] is _RUNNING else lawful(state.kinds).get((call.operation, _RUNNING, states[1]))
            )
        elif meaning is None and states == (_RUNNING, State.PENDING) and _lets_go(state, call, name):
            meaning = Meaning.LAPSED  # it released a lock before its last commit: nothing is settled yet
        if meaning is not None and _MAY[meaning](state, call, observed, name, others):
            yield call, meaning


def _by_itself(state: ModelState, claim: Claim, states: tuple[State | None, State | None]) -> Meaning | None:
    """The meaning of a change that no call made: the end of a session or the clock freed the job; else None."""
    ended = lawful(state.kinds).get((SESSION_END, *states)) if state.has_left(claim) else None
    lapsed = state.follows_clock and state.has_lapsed(claim, state.now)
    return ended or (lawful(state.kinds).get((CLOCK, *states)) if lapsed else None)


def _goes_on(state: ModelState, call: Call, name: str) -> bool:
    """Whether a call may change a job that is not shown as running."""
    return (call.operation in SETTLEMENTS and _settled_before(state, call, name)) or _still_holds(state, call, name)


def _still_holds(state: ModelState, call: Call, name: str) -> bool:
    """Whether a call's claim is the current one, though its job is shown as free.

    Either its lease has lapsed and no call took the job, or the transaction of its claim is still open.
    """
    job = state.jobs.get(name)
    free = job is not None and job.state in LIVE and job.state is not _RUNNING
    return free and _is_own(state, call, name)


def _lets_go(state: ModelState, call: Call, name: str) -> bool:
    """Whether a holder's call lets its own job go before it is over: in its transaction, or on its way to settle it."""
    return (call.open or call.operation in SETTLEMENTS) and _is_own(state, call, name)


def _is_own(state: ModelState, call: Call, name: str) -> bool:
    """Whether a call rests on the current claim of a job."""
    claim = state.current.get(name)
    return claim is not None and call.claim is not None and claim.call == call.claim


def _settled_before(state: ModelState, call: Call, name: str) -> bool:
    """Whether the same call has settled the job before: it commits more than once, or frees a lock early."""
    claims = state.claims.get(name)
    return bool(claims) and name not in state.current and claims[-1].settled_by == call.number  # type: ignore[index]


def _likeliest(state: ModelState, candidates: list[tuple[Call, Meaning]], after: Job | None) -> tuple[Call, Meaning]:
    """Choose among several possible calls: first one with the right, then one that the row names, then the first."""
    if len(candidates) == 1:
        return candidates[0]
    return min(
        candidates,
        key=lambda candidate: (
            candidate[1] is _SETTLED and not state.is_current(candidate[0]),
            after is None or after.holder != candidate[0].worker,
        ),
    )


def _unique(state: ModelState, call: Call) -> bool:
    """Whether no other call without a known end has the same worker's name."""
    return state.in_flight.is_alone(call)


def _rewriter(state: ModelState, by: Sequence[Call], name: str, before: Job, after: Job) -> tuple[Call | None, Meaning]:
    """The call that changed a job's columns and kept its state, and what that means."""
    handed_over = before.holder != after.holder or before.attempt != after.attempt
    for call in by:
        if call.operation == CLAIM.name and handed_over and name not in call.took:
            if before.state is _RUNNING:
                return call, _TAKEN
            if before.state in UNHELD and state.moved_step and state.now > call.ran_at:
                return call, _CLAIMED  # the clock was moved before its commit: the row shows the job as free again
        if call.job == name:
            return call, _REWRITTEN
    return (by[0] if by else None), _REWRITTEN


def _suspect(by: Sequence[Call], name: str, before: Job | None) -> Call | None:
    """The call to blame for an unlawful difference: among those that just committed, one that is about this job."""
    return next((call for call in by if call.job == name), by[-1] if by else None)


def _own_job(state: ModelState, call: Call, observed: Observed, name: str, others: Sequence[Change]) -> bool:
    return name in call.jobs


def _one_job(state: ModelState, call: Call, observed: Observed, name: str, others: Sequence[Change]) -> bool:
    taken = len(call.took) + sum(other.call is call and other.meaning is _CLAIMED for other in others)
    return not taken or len(observed.by) == 1


def _own_claim(state: ModelState, call: Call, observed: Observed, name: str, others: Sequence[Change]) -> bool:
    claim = state.current.get(name)
    return claim is not None and claim.call == call.number


def _cascade(state: ModelState, call: Call, observed: Observed, name: str, others: Sequence[Change]) -> bool:
    """Whether a job that this one needs failed or was cancelled, before this commit or in it."""
    job = state.jobs.get(name)
    if job is None:
        return False
    if any(_has_failed(state, observed, needed) for needed in job.needs):
        return True
    if job.run is None or job.stage is None:
        return False
    tally = state.tallies.get(job.run)
    if tally is not None and tally.has_failed_before(job.stage):
        return True
    return any(_is_before(state, other, job) and _has_failed(state, observed, other) for other in observed.jobs)


def _is_before(state: ModelState, name: str, job: Job) -> bool:
    """Whether a known job is of an earlier stage of the same run."""
    known, stage = state.known(name), job.stage
    return known is not None and known.run == job.run and None not in {known.stage, stage} and known.stage < stage  # type: ignore[operator]


def _has_failed(state: ModelState, observed: Observed, name: str) -> bool:
    """Whether a job is failed, cancelled or removed after this commit."""
    now = observed.jobs.get(name, state.known(name))
    return (now is None and name in observed.jobs) or (now is not None and now.state in _BROKEN_STAGE)


def _cancelled(state: ModelState, call: Call, observed: Observed, name: str, others: Sequence[Change]) -> bool:
    return call.job == name or _cascade(state, call, observed, name, others)


def _always(state: ModelState, call: Call, observed: Observed, name: str, others: Sequence[Change]) -> bool:
    return True


_MAY: dict[Meaning, Callable[[ModelState, Call, Observed, str, Sequence[Change]], bool]] = {
    Meaning.ADDED: _always,
    Meaning.CLAIMED: _one_job,
    Meaning.TAKEN: _always,
    Meaning.UNDONE: _own_claim,
    Meaning.SETTLED: _own_job,
    Meaning.REWRITTEN: _own_job,
    Meaning.LAPSED: _own_job,
    Meaning.CANCELLED: _cancelled,
    Meaning.CASCADED: _cascade,
    Meaning.RECLAIMED: _always,
    Meaning.MOVED: _always,
    Meaning.REMOVED: _always,
}
"""The condition for each meaning, beside its row in the table."""
