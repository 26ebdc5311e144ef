"""Judging what a client was told: an accepted operation must have been its client's to do, a refused one not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pgqmodel.history import Returned
from pgqmodel.model.changes import start_claim
from pgqmodel.model.eligible import judge_answer
from pgqmodel.model.state import Call, Lock, ModelState
from pgqmodel.model.verdicts import Verdicts
from pgqmodel.operations import FINAL, SETTLEMENTS, Status

__all__ = ["judge_return"]

Settings = Mapping[str, Any]


def judge_return(state: ModelState, call: Call, event: Returned, verdicts: Verdicts, settings: Settings) -> None:
    """Judge one answer; an unknown one tells nothing."""
    if event.status is not Status.UNKNOWN and call.operation in _JUDGES:
        _JUDGES[call.operation](state, call, event, verdicts, settings)


def _judge_claim(state: ModelState, call: Call, event: Returned, verdicts: Verdicts, settings: Settings) -> None:
    if event.status is Status.EMPTY:
        judge_answer(state, call, None, verdicts, settings)
    elif event.status is Status.OK and event.job is not None:
        judge_answer(state, call, event.job, verdicts, settings)
        if call.number not in state.claims:
            _judge_unseen_claim(state, call, event.job, verdicts, settings)


def _judge_unseen_claim(state: ModelState, call: Call, job: str, verdicts: Verdicts, settings: Settings) -> None:
    """A claim was answered with a job that no commit of it had changed."""
    if job not in state.seen:
        verdicts.broken(
            "phantom-job",
            job,
            f"No committed transaction ever enqueued {job}.",
            f"Yet {call.client}'s claim answered with it at step {state.step}.",
        )
        return
    last = state.seen[job].state
    if job not in state.jobs or last in FINAL:
        what = "was finished and removed" if job not in state.jobs else f"was {last}, which is final"
        anomaly = "resurrection" if last in FINAL else "phantom-job"
        verdicts.broken(anomaly, job, f"{job} {what}.", f"Yet {call.client}'s claim answered with it at step {state.step}.")
        return
    start_claim(state, call, job, verdicts, settings)


def _judge_settlement(state: ModelState, call: Call, event: Returned, verdicts: Verdicts, settings: Settings) -> None:
    verdicts.witness("fenced-settlement", int(not call.held))
    if event.status is not Status.OK or call.held or call.job is None:
        return
    claim = state.claims.get(call.claim) if call.claim is not None else None
    if claim is None or claim.settled_by == call.operation:
        return
    verdicts.broken(
        "stale-settlement",
        call.job,
        f"{claim.client} claimed {call.job} at step {claim.step}.",
        f"It lost that claim at step {claim.end_step}: {claim.end_reason}.",
        f"Yet its {call.operation} was accepted at step {state.step}.",
    )


def _judge_heartbeat(state: ModelState, call: Call, event: Returned, verdicts: Verdicts, settings: Settings) -> None:
    verdicts.witness("fenced-heartbeat", int(not call.held))
    claim = state.claims.get(call.claim) if call.claim is not None else None
    if event.status is not Status.OK or claim is None:
        return
    if call.held:
        claim.beat = max(claim.beat, call.snapshots[0].now if call.snapshots else state.now)
        return
    verdicts.broken(
        "zombie-heartbeat",
        call.job,
        f"{claim.client} claimed {call.job} at step {claim.step}.",
        f"It lost that claim at step {claim.end_step}: {claim.end_reason}.",
        f"Yet its heartbeat was accepted at step {state.step}.",
    )


def _judge_enqueue(state: ModelState, call: Call, event: Returned, verdicts: Verdicts, settings: Settings) -> None:
    if event.status is Status.OK and event.job is not None and event.job not in state.seen:
        verdicts.broken(
            "lost-job",
            event.job,
            f"{call.client}'s enqueue was answered with {event.job} at step {state.step}, after its commit.",
            f"Yet no row of {event.job} is there.",
        )


def _judge_lock(state: ModelState, call: Call, event: Returned, verdicts: Verdicts, settings: Settings) -> None:
    environment = call.environment
    if environment is None:
        return
    held = state.locks.get(environment)
    valid = held is not None and _claim_is_current(state, held)
    verdicts.witness("one-deploy", int(held is not None and held.client != call.client))
    verdicts.witness("lock-release", int(environment in state.released or (held is not None and not valid)))
    if event.status is Status.OK:
        if held is not None and held.client != call.client and valid:
            verdicts.broken(
                "lock-overlap",
                call.job,
                f"{held.client} was given the deploy lock of {environment} at step {held.step}, and has not let it go.",
                f"Yet {call.client} was given it, too, at step {state.step}.",
            )
        state.locks[environment] = Lock(client=call.client, claim=call.claim, step=state.step)
    elif event.status is Status.REFUSED and not valid and state.is_current(call) and not call.overlapped:
        why = (
            f"{held.client}, which was given it at step {held.step}, has lost its job"
            if held is not None
            else "nobody's session holds it"
        )
        verdicts.broken(
            "lock-leak",
            call.job,
            f"The deploy lock of {environment} should be free: {why}.",
            f"Yet {call.client}, which holds {call.job}, was refused it at step {state.step}.",
        )


def _claim_is_current(state: ModelState, lock: Lock) -> bool:
    claim = state.claims.get(lock.claim) if lock.claim is not None else None
    return claim is None or claim.current


def _judge_unlock(state: ModelState, call: Call, event: Returned, verdicts: Verdicts, settings: Settings) -> None:
    if event.status is Status.OK and call.environment is not None and state.has_lock(call):
        del state.locks[call.environment]
        state.released.add(call.environment)


def _judge_deploy(state: ModelState, call: Call, event: Returned, verdicts: Verdicts, settings: Settings) -> None:
    verdicts.witness("fenced-deploy", int(not call.had_lock))
    if event.status is Status.OK and not call.had_lock:
        blame_deploy(state, call, verdicts)


def blame_deploy(state: ModelState, call: Call, verdicts: Verdicts) -> None:
    """A deploy took effect although its client did not hold the lock."""
    held = state.locks.get(call.environment or "")
    now = f"{held.client} has held it since step {held.step}." if held is not None else "Nobody holds it now."
    verdicts.broken(
        "stale-deploy",
        call.job,
        f"{call.client} does not hold the deploy lock of {call.environment} any more. {now}",
        f"Yet its deploy took effect at step {state.step}.",
    )


def _judge_log(state: ModelState, call: Call, event: Returned, verdicts: Verdicts, settings: Settings) -> None:
    if event.status is not Status.OK or call.job is None or call.line is None:
        return
    verdicts.witness("log-complete")
    written = state.written.setdefault(call.job, [])
    written.append(call.line)
    seen = [line for _, line in sorted(state.logs.get(call.job, ()))]
    said = f"{call.client} wrote {call.line!r} for {call.job}, and was told so at step {state.step}."
    count = seen.count(call.line)
    if count == 0:
        verdicts.broken("lost-log", call.job, said, "Yet the line is not there.")
    elif count > 1:
        verdicts.broken("duplicate-log", call.job, said, f"Yet the line is there {count} times.")
    elif [line for line in seen if line in written] != written:
        verdicts.broken("reordered-log", call.job, said, f"Yet by their sequence the lines are {seen}.")


_JUDGES: dict[str, Callable[[ModelState, Call, Returned, Verdicts, Settings], None]] = {
    "claim": _judge_claim,
    "heartbeat": _judge_heartbeat,
    "enqueue": _judge_enqueue,
    "lock": _judge_lock,
    "unlock": _judge_unlock,
    "deploy": _judge_deploy,
    "log": _judge_log,
    **dict.fromkeys(SETTLEMENTS, _judge_settlement),
}
