"""The changes of the database between two observations, in words: one line for each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pgqmodel.history import Job
from pgqmodel.operations import FINAL

__all__ = ["CHANGES", "claimed"]

_JOB_DETAILS = ("priority", "unique_key", "run", "stage", "environment")


def _job_change(name: str, before: Job | None, now: Job | None) -> list[str]:
    if before is None or now is None:
        return [f"{name}: {_described(now)} (new)" if now else f"{name}: {before and before.state} -> gone"]
    changed = [detail for detail in _JOB_DETAILS if getattr(before, detail) != getattr(now, detail)]
    details = [f"{detail} {getattr(before, detail)} -> {getattr(now, detail)}" for detail in changed]
    was, became = claimed(before), claimed(now)
    if was == became:
        was, became = f"{was}, {_whose(before)}", f"{became}, {_whose(now)}"
    told = [f"{was} -> {became}"] if was != became else []
    return [f"{name}: {', '.join(told + details)}"] if told or details else []


def claimed(job: Job) -> str:
    """A job's state, and its holder unless the job is over."""
    whose = "" if job.state in FINAL else _whose(job)
    return f"{job.state} ({whose})" if whose else str(job.state)


def _whose(job: Job) -> str:
    return ", ".join([*([job.holder] if job.holder else []), *([f"attempt {job.attempt}"] if job.attempt else [])])


def _described(job: Job) -> str:
    """A new job, with the columns that distinguish it."""
    details = [(name, getattr(job, name)) for name in _JOB_DETAILS]
    told = [f"{name} {value}" for name, value in details if value is not None and (name, value) != ("priority", 0)]
    return ", ".join([claimed(job), *told])


def _run_change(name: str, before: Any, now: Any) -> list[str]:
    return [f"run {name}: {_from_to(before, now)}"]


def _environment_change(name: str, before: Any, now: Any) -> list[str]:
    return [f"{name}: version {_from_to(before, now)}"]


def _from_to(before: Any, now: Any) -> str:
    after = "gone" if now is None else str(now)
    return after if before is None else f"{before} -> {after}"


def _log_change(job: str, before: Sequence[Any] | None, now: Sequence[Any]) -> list[str]:
    return [f"{job}'s log: {number} {line!r:.60}" for number, line in now if (number, line) not in (before or ())]


CHANGES: dict[str, Callable[[str, Any, Any], list[str]]] = {
    "jobs": _job_change,
    "runs": _run_change,
    "environments": _environment_change,
    "logs": _log_change,
}
