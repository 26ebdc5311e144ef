"""`final-states`, `no-lost-job`, `no-phantom-job`: jobs neither come from nowhere, nor vanish, nor rise again."""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Job
from pgqmodel.model.change import Call, Change
from pgqmodel.model.promises.settlements import is_rightful
from pgqmodel.model.rule import Broken, Hook, Rule, broken
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import tell_claims
from pgqmodel.operations import FINAL, SETTLEMENTS, Meaning, State, Status

__all__ = ["FINAL_STATES", "RULES"]

_FAILED, _RUNNING = State.FAILED, State.RUNNING
_OK = Status.OK
_CONJURED, _FORCED, _LOST, _REVIVED, _SETTLED = (
    Meaning.CONJURED,
    Meaning.FORCED,
    Meaning.LOST,
    Meaning.REVIVED,
    Meaning.SETTLED,
)


def _resurrected(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A job left a final state, or came back after its row was removed."""
    former = change.before or state.gone.get(change.job)
    returned = change.meaning is _CONJURED and change.job in state.gone
    if former is None or former.state not in FINAL or not (change.meaning is _REVIVED or returned):
        return None
    return _rose(state, former, f"Yet {change.told(state.step)}.")


def _handed_out(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A claim was answered with a job that was over."""
    job = call.returned_job
    if call.operation != "claim" or call.status is not _OK or job is None or job in call.took:
        return None
    former = state.known(job)
    if former is None or former.state not in FINAL:
        return None
    return _rose(state, former, f"Yet {call.client}'s claim was answered with {job} at step {state.step}.")


def _rose(state: ModelState, former: Job, yet: str) -> Broken:
    over = f"{former.job} was {former.state.value}, which is final."
    return broken(state, "resurrection", former.job, tell_claims(state, former.job), over, yet)


def _lost(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A live job was removed, or ended without anybody's having settled it."""
    if not _loses(state, change):
        return None
    before = change.before.state.value if change.before is not None else "absent"
    live = f"{change.job} was {before}: nobody had settled it."
    yet = f"Yet {change.told(state.step)}."
    return broken(state, "lost-job", change.job, tell_claims(state, change.job), live, yet)


def _loses(state: ModelState, change: Change) -> bool:
    settles = change.operation in SETTLEMENTS
    if change.meaning is _LOST:
        return True
    if change.meaning is _SETTLED and change.after is None:
        return not is_rightful(state, change)
    if change.meaning is not _FORCED or change.after is None or change.after.state not in FINAL:
        return False
    was_running = change.before is not None and change.before.state is _RUNNING
    taken_back = was_running and change.after.state is _FAILED
    return not taken_back and not (settles and is_rightful(state, change))


def _dropped(state: ModelState, call: Call, value: Any) -> Broken | None:
    """An enqueue was accepted, and the job that it answered with is not there."""
    job = call.returned_job
    if call.operation != "enqueue" or call.status is not _OK or job is None or state.known(job) is not None:
        return None
    told = f"{call.client}'s enqueue (begun at step {call.step}) was accepted with {job} at step {state.step}."
    return broken(state, "lost-job", job, told, f"Yet no row of {job} was ever there.")


def _conjured(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A job appeared without an enqueue."""
    if change.meaning is not _CONJURED or change.job in state.gone:
        return None
    told = f"No enqueue committed {change.job}."
    return broken(state, "phantom-job", change.job, told, f"Yet {change.told(state.step)}.")


def _unheard_of(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A claim was answered with a job that never existed."""
    job = call.returned_job
    if call.operation != "claim" or call.status is not _OK or job is None or state.known(job) is not None:
        return None
    told = f"No committed transaction ever enqueued {job}."
    yet = f"Yet {call.client}'s claim was answered with {job} at step {state.step}."
    return broken(state, "phantom-job", job, told, yet)


FINAL_STATES = (Rule("final-states", Hook.CHANGED, _resurrected), Rule("final-states", Hook.RETURNED, _handed_out))
RULES = (
    Rule("no-lost-job", Hook.CHANGED, _lost),
    Rule("no-lost-job", Hook.RETURNED, _dropped),
    Rule("no-phantom-job", Hook.CHANGED, _conjured),
    Rule("no-phantom-job", Hook.RETURNED, _unheard_of),
)
