"""Judging what a commit changed: every difference is attributed to a call, and must be one that it may make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pgqmodel.history import Job, Observed
from pgqmodel.model.eligible import judge_stage
from pgqmodel.model.state import Call, Claim, ModelState, describe
from pgqmodel.model.transitions import ABSENT, CASCADING, allowed, wrong
from pgqmodel.model.verdicts import Verdicts
from pgqmodel.operations import FINAL, LIVE, SETTLEMENTS, State

__all__ = ["judge_changes", "start_claim"]


def judge_changes(state: ModelState, event: Observed, verdicts: Verdicts, settings: Mapping[str, Any]) -> None:
    """Judge every job that differs, then adopt what was observed: the model goes on from what is there."""
    committed = [state.calls[number] for number in event.by if number in state.calls]
    before = dict(state.jobs)
    for name, row in event.jobs.items():
        _judge_job(state, name, row, committed, verdicts, settings)
        _adopt(state, name, row)
    if len(event.jobs) > 1 or committed:
        _judge_enqueues(before, event, committed, verdicts)


def _judge_job(
    state: ModelState,
    name: str,
    row: Job | None,
    committed: list[Call],
    verdicts: Verdicts,
    settings: Mapping[str, Any],
) -> None:
    was, now = state.state_of(name), row.state if row is not None else ABSENT
    if was == now and was is not State.RUNNING:
        return
    if was is ABSENT and name in state.seen and state.seen[name].state in FINAL:
        was = state.seen[name].state
    call = _attribute(state, name, was, now, committed)
    if call is None:
        _judge_orphan(state, name, was, row, verdicts)
    elif was == now:
        if call.operation == "claim" and _changed(state.jobs.get(name), row):
            start_claim(state, call, name, verdicts, settings)
    elif call.operation in SETTLEMENTS and call.job == name:
        _judge_settlement(state, call, was, row, verdicts)
    else:
        _OTHERS.get(call.operation, _judge_rest)(state, call, name, was, row, verdicts, settings)


def _attribute(state: ModelState, name: str, was: State | None, now: State | None, committed: list[Call]) -> Call | None:
    """The call that made a change: one that committed, else one in flight whose locks show before it commits.

    A settlement is blamed for what happens to its own job whatever that is, as its fence may be missing.
    """
    running = [call for call in state.calls.values() if call.snapshots and call not in committed]
    for call in (*committed, *running):
        if call.operation in SETTLEMENTS and call.job == name:
            return call
        if call.job in {None, name} and call.operation != "cancel" and allowed(call.operation, was, now):
            return call
        if call.operation == "cancel" and call.job == name:
            return call
        if call.operation in CASCADING and (was, now) == (State.PENDING, State.CANCELLED) and _follows(state, call, name):
            return call
    return committed[0] if committed else None


def _follows(state: ModelState, call: Call, name: str) -> bool:
    """Whether a job is of a run in which the call settled or reclaimed one: a cascade may reach it."""
    run = state.jobs[name].run
    settled = state.seen.get(call.job) if call.job is not None else None
    return run is not None and (settled is None or settled.run == run)


def _changed(before: Job | None, row: Job | None) -> bool:
    return before is None or row is None or (before.holder, before.attempt) != (row.holder, row.attempt)


def _judge_orphan(state: ModelState, name: str, was: State | None, row: Job | None, verdicts: Verdicts) -> None:
    """A change that no call made: the end of a session may give back what it held."""
    claim = state.current.get(name)
    now = row.state if row is not None else ABSENT
    if claim is not None and claim.client in state.ended and allowed("session end", was, now):
        _end_claim(state, name, f"{claim.client}'s session ended")
    else:
        _name_wrong(state, "nobody", name, was, row, verdicts)


def _judge_settlement(state: ModelState, call: Call, was: State | None, row: Job | None, verdicts: Verdicts) -> None:
    name = call.job
    assert name is not None
    now = row.state if row is not None else ABSENT
    claim = state.claims.get(call.claim) if call.claim is not None else None
    story = _claim_story(claim, name)
    did = f"{call.client}'s {call.operation} took effect at step {state.step}: {name} went from {was or 'no row'} to {describe(row)}."
    if was in FINAL and now is not ABSENT:
        if verdicts.broken("resurrection", name, *story, f"{name} was {was}, which is final.", f"Yet {did}"):
            return
    if claim is None or not claim.current:
        verdicts.broken("stale-settlement", name, *story, *_present_story(state, name), f"Yet {did}")
    elif not allowed(call.operation, was, now):
        _name_wrong(state, f"{call.client}'s {call.operation}", name, was, row, verdicts)
    if was is State.RUNNING and claim is not None and claim.current:
        claim.settled_by = call.operation
        verdicts.witness("no-lost-job")
    if was is State.RUNNING:
        _end_claim(state, name, f"{call.client}'s {call.operation} settled it")


def _judge_claim(
    state: ModelState, call: Call, name: str, was: State | None, row: Job | None, verdicts: Verdicts, settings: Any
) -> None:
    if row is not None and row.state is State.RUNNING and was in {State.PENDING, State.RUNNING}:
        start_claim(state, call, name, verdicts, settings)
    else:
        _name_wrong(state, f"{call.client}'s claim", name, was, row, verdicts)


def _judge_reclaim(
    state: ModelState, call: Call, name: str, was: State | None, row: Job | None, verdicts: Verdicts, settings: Any
) -> None:
    now = row.state if row is not None else ABSENT
    if was is State.RUNNING and now in {State.PENDING, State.FAILED}:
        claim = state.current.get(name)
        if claim is not None:
            _judge_lease(state, claim, verdicts, settings, f"Yet a reclaim took {name} away at step {state.step}")
        _end_claim(state, name, "it was reclaimed")
    else:
        _name_wrong(state, "a reclaim", name, was, row, verdicts)


def _judge_lease(state: ModelState, claim: Claim, verdicts: Verdicts, settings: Any, yet: str) -> bool:
    """Whether the lease of a claim was alive when the job was taken; says so if it was."""
    timeout = float(settings.get("heartbeat_timeout_seconds") or 0)
    silent = state.now - claim.beat
    if silent >= timeout:
        return False
    return verdicts.broken(
        "early-reclaim",
        claim.job,
        f"{claim.client} claimed {claim.job} at step {claim.step}.",
        f"Its last accepted sign of life was {silent:g} s ago; the lease is {timeout:g} s.",
        f"{yet}.",
    )


def _judge_cancel(
    state: ModelState, call: Call, name: str, was: State | None, row: Job | None, verdicts: Verdicts, settings: Any
) -> None:
    now = row.state if row is not None else ABSENT
    if was in LIVE and now in {State.CANCELLED, ABSENT}:
        _end_claim(state, name, "it was cancelled")
    else:
        _name_wrong(state, f"{call.client}'s {call.operation}", name, was, row, verdicts)


def _judge_rest(
    state: ModelState, call: Call, name: str, was: State | None, row: Job | None, verdicts: Verdicts, settings: Any
) -> None:
    now = row.state if row is not None else ABSENT
    if allowed(call.operation, was, now) or (was is State.PENDING and now is State.CANCELLED):
        return
    if call.operation == "heartbeat" and now is State.RUNNING and not state.is_current(call):
        claim = state.claims.get(call.claim) if call.claim is not None else None
        yet = f"Yet {call.client}'s heartbeat made it running again at step {state.step}."
        if verdicts.broken("zombie-heartbeat", name, *_claim_story(claim, name), yet):
            return
    _name_wrong(state, f"{call.client}'s {call.operation}", name, was, row, verdicts)


def _judge_cascade(
    state: ModelState, call: Call, name: str, was: State | None, row: Job | None, verdicts: Verdicts, settings: Any
) -> None:
    """What a settlement does to other jobs than its own."""
    _judge_rest(state, call, name, was, row, verdicts, settings)
    _end_claim(state, name, f"{call.client}'s {call.operation} of {call.job} changed it")


_OTHERS = {
    "claim": _judge_claim,
    "reclaim": _judge_reclaim,
    "cancel": _judge_cancel,
    **dict.fromkeys(SETTLEMENTS, _judge_cascade),
}


def _name_wrong(
    state: ModelState, who: str, name: str, was: State | None, row: Job | None, verdicts: Verdicts
) -> None:
    """A change that nobody may make, by the name it has."""
    anomaly = wrong(was, row.state if row is not None else ABSENT)
    if anomaly is not None:
        verdicts.broken(
            anomaly,
            name,
            f"{name} was {was or 'not enqueued by any committed transaction'}.",
            f"Yet at step {state.step} {who} left {describe(row)}.",
        )
    if was is State.RUNNING:
        _end_claim(state, name, f"{who} changed it")


def start_claim(
    state: ModelState, call: Call, name: str, verdicts: Verdicts, settings: Mapping[str, Any]
) -> None:
    """A call has claimed a job: exclusive unless somebody's claim is current and its lease alive."""
    held = state.current.get(name)
    if held is not None and held.call == call.number:
        return
    if held is not None:
        timeout = float(settings.get("heartbeat_timeout_seconds") or 0)
        if state.now - held.beat < timeout:
            verdicts.broken(
                "double-claim",
                name,
                f"{held.client} claimed {name} at step {held.step} and holds it: its lease has not lapsed.",
                f"Yet {call.client}'s claim of {name} took effect at step {state.step}.",
            )
        _end_claim(state, name, f"{call.client} claimed it too")
    began = call.snapshots[0].now if call.snapshots else state.now
    claim = Claim(call=call.number, client=call.client, job=name, step=state.step, beat=began)
    state.claims[call.number] = state.current[name] = claim
    state.attempts[name] += 1
    judge_stage(state, call, name, verdicts)
    verdicts.witness("exclusive-claim")
    verdicts.witness("no-phantom-job")
    verdicts.witness("attempts", int(state.attempts[name] > 1))
    maximum = settings.get("max_attempts")
    if maximum and state.attempts[name] > int(maximum):
        verdicts.broken(
            "attempt-overrun",
            name,
            f"{name} was claimed {state.attempts[name] - 1} times, and the most allowed is {maximum}.",
            f"Yet {call.client} claimed it again at step {state.step}.",
        )


def _end_claim(state: ModelState, name: str, reason: str) -> None:
    claim = state.current.pop(name, None)
    if claim is not None:
        claim.current, claim.end_step, claim.end_reason = False, state.step, reason


def _adopt(state: ModelState, name: str, row: Job | None) -> None:
    if row is None:
        state.jobs.pop(name, None)
        return
    if name not in state.seen:
        state.first_attempt[name] = (row.attempt or 0) - (row.state is State.RUNNING)
    state.jobs[name] = state.seen[name] = row


def _judge_enqueues(
    before: Mapping[str, Job], event: Observed, committed: Iterable[Call], verdicts: Verdicts
) -> None:
    """One accepted enqueue adds one job."""
    added = [name for name, row in event.jobs.items() if row is not None and name not in before]
    enqueues = [call for call in committed if call.operation == "enqueue"]
    if enqueues and len(added) > len(enqueues):
        verdicts.broken(
            "duplicate-key",
            added[-1],
            f"{enqueues[0].client} enqueued once at step {verdicts.step}.",
            f"Yet {len(added)} jobs came of it: {', '.join(added)}.",
        )


def _claim_story(claim: Claim | None, name: str) -> list[str]:
    if claim is None:
        return []
    story = [f"{claim.client} claimed {name} at step {claim.step}."]
    if not claim.current:
        story.append(f"It lost that claim at step {claim.end_step}: {claim.end_reason}.")
    return story


def _present_story(state: ModelState, name: str) -> list[str]:
    held = state.current.get(name)
    return [f"{held.client} has held {name} since step {held.step}."] if held is not None else []
