"""`log-complete`: every accepted line of a job is there once, in the order in which the lines were committed."""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Observed
from pgqmodel.model.change import Call
from pgqmodel.model.rule import Broken, Hook, Rule, broken
from pgqmodel.model.state import ModelState
from pgqmodel.operations import Status

__all__ = ["RULES"]

_OK, _UNKNOWN = Status.OK, Status.UNKNOWN


def _logged(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A log call was accepted: look for its line among its job's."""
    line, job = call.arguments.get("line"), call.job
    if call.operation != "log" or call.status is not _OK or line is None or job is None:
        return None
    if state.recorded is not None:
        return _recorded(state, call, job, line) if state.recorded.shows_logs else None
    lines = [text for _, text in state.logs.get(job, ())]
    found = lines.count(line)
    told = f"{call.client}'s line {line!r} of {job} was accepted at step {state.step}."
    if not found:
        return broken(state, "lost-log", job, told, "Yet it is not among the job's lines.")
    written = [*state.logged.get(job, []), line]
    for each in dict.fromkeys(written):
        if lines.count(each) > written.count(each) + _uncertain(state, call, each):
            yet = f"Yet {each!r} is there {lines.count(each)} times."
            return broken(state, "duplicate-log", job, told, yet)
    return _reordered(state, job, line, told)


def _removed(state: ModelState, observed: Observed, value: Any) -> Broken | None:
    """A line that was accepted is not there any more, although its job is."""
    if state.recorded is not None:
        return None  # there an observation holds the lines that were added, and no others
    for job in observed.logs:
        present = {text for _, text in state.logs.get(job, ())}
        for line in state.logged.get(job, []) if job in state.jobs else ():
            if line not in present:
                told = f"The line {line!r} of {job} had been accepted."
                return broken(state, "lost-log", job, told, f"Yet it is gone after step {state.step}.")
    return None


def _recorded(state: ModelState, call: Call, job: str, line: str) -> Broken | None:
    """In a recorded history a commit shows the lines that it added, so each call is held against its own."""
    if call.committed_step is None:
        return None
    told = f"{call.client}'s line {line!r:.200} of {job} was accepted at step {state.step}."
    mine = [number for number, text in call.lines if text == line]
    if not mine:
        return broken(state, "lost-log", job, told, "Yet its commit added no such line.")
    if len(mine) > 1:
        return broken(state, "duplicate-log", job, told, f"Yet its commit added it {len(mine)} times.")
    if call.lines_before is not None and mine[0] < call.lines_before:
        yet = f"Yet it has sequence {mine[0]}, and a line accepted before it began has {call.lines_before}."
        return broken(state, "reordered-log", job, told, yet)
    return None


def _uncertain(state: ModelState, call: Call, line: str) -> int:
    """How many other calls may have written the same line: those in flight, and those whose answer was lost."""
    return sum(
        other.operation == "log"
        and other is not call
        and other.arguments.get("line") == line
        and other.status in {None, _UNKNOWN}
        for other in state.calls.values()
    )


def _reordered(state: ModelState, job: str, line: str, told: str) -> Broken | None:
    """A line committed before this one comes after it by sequence."""
    sequences = {text: number for number, text in state.logs.get(job, ())}
    for earlier in state.logged.get(job, []):
        if earlier != line and sequences.get(earlier, sequences[line]) > sequences[line]:
            yet = f"Yet {earlier!r}, which was committed before it, comes after it by sequence."
            return broken(state, "reordered-log", job, told, yet)
    return None


RULES = (Rule("log-complete", Hook.RETURNED, _logged), Rule("log-complete", Hook.OBSERVED, _removed))
