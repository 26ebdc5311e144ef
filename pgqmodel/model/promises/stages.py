"""`stage-order`: no job of a stage is claimed before every job of the stages it needs has completed."""

from __future__ import annotations

from typing import Any

from pgqmodel.model.change import Change
from pgqmodel.model.rule import Broken, Hook, Rule, broken
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import listed
from pgqmodel.operations import Meaning

__all__ = ["RULES"]

_CLAIMED = Meaning.CLAIMED


def _claimed(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A job was claimed while one of an earlier stage was unfinished, when the claim looked and when it committed."""
    job, call = change.before, change.call
    if change.meaning is not _CLAIMED or job is None or call is None or not state.is_gated(job):
        return None
    seen = call.ran_version if call.ran_version is not None else state.version
    missing = [other for other in state.missing_before(job) if state.born.get(other.job, 0) < seen]
    if not missing:
        return None
    needs = (
        f"{job.job} needs {', '.join(job.needs)}: each of them must complete first."
        if job.needs and missing[0].job in job.needs
        else f"{job.job} is of stage {job.stage} of run {job.run}: "
        "every job of the stages before it must complete first."
    )
    there = f"{listed(state, missing)} had not completed when {call.client}'s claim looked, nor when it committed."
    return broken(state, "stage-skip", job.job, needs, there, f"Yet {change.told(state.step)}.")


RULES = (Rule("stage-order", Hook.CHANGED, _claimed),)
