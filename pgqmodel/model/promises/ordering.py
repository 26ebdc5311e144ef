"""`claim-order` and `claim-complete`: a claim takes the best job it could have, and one if there is one.

Judged only where it is known what the claim saw: nobody else had a transaction open, nothing was committed meanwhile.
"""

from __future__ import annotations

from typing import Any

from pgqmodel.model.change import Call, Change
from pgqmodel.model.eligible import Order, best, can_judge, eligible, is_better
from pgqmodel.model.rule import Broken, Hook, Rule, broken
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import listed, tell_job
from pgqmodel.operations import Meaning, Status

__all__ = ["RULES"]

_EMPTY = Status.EMPTY
_CLAIMED = Meaning.CLAIMED

_ALONE = "No other transaction was open."


def _claimed(state: ModelState, change: Change, value: Order) -> Broken | None:
    """A claim took a job although a better one was there."""
    job, call = change.before, change.call
    if change.meaning is not _CLAIMED or job is None or call is None or not can_judge(state, call):
        return None
    pool = eligible(state, call, taken=job)
    if job not in pool:
        pool = eligible(state, call, staged=False, taken=job)
    if not pool:
        return None
    first = best(pool, value)
    if not is_better(first, job, value):
        return None
    order = ", ".join(f"{column} {direction}" for column, direction in value)
    better = f"{tell_job(state, first)}, which comes before {tell_job(state, job)} by {order}"
    told = f"{call.client}'s claim could have had {better}."
    return broken(state, "order-inversion", job.job, told, _ALONE, f"Yet it took {job.job} at step {state.step}.")


def _returned(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A claim found nothing although something was there."""
    if call.operation != "claim" or call.status is not _EMPTY or not call.passed_over:
        return None
    told = f"{call.client}'s claim could have had {listed(state, call.passed_over)}."
    return broken(
        state, "false-empty", call.passed_over[0].job, told, _ALONE, f"Yet it found nothing at step {state.step}."
    )


RULES = (Rule("claim-order", Hook.CHANGED, _claimed), Rule("claim-complete", Hook.RETURNED, _returned))
