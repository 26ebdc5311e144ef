"""The jobs, keys and environments of the calls in flight: the calls may have them locked.

This is kept for recorded histories, where no snapshot is known. If no other call was about a job, a key or an
environment meanwhile, no other call can have locked it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from attrs import define, field

from pgqmodel.history import Job
from pgqmodel.operations import CANCEL, DEPLOY, LOCK, SETTLEMENTS, UNLOCK

if TYPE_CHECKING:
    from pgqmodel.model.change import Call
    from pgqmodel.model.state import ModelState

__all__ = ["Interests", "of_environment", "of_job"]

_OF_LOCKS = frozenset({*SETTLEMENTS, LOCK.name, UNLOCK.name, DEPLOY.name, CANCEL.name})


def of_environment(environment: str | None) -> str:
    """The subject for an environment."""
    return f"environment {environment}"


def of_job(job: Job) -> tuple[str, ...]:
    """The subjects of a job: the job itself and its unique key. A call about either may have the job locked."""
    return (f"job {job.job}",) if job.unique_key is None else (f"job {job.job}", f"key {job.unique_key}")


@define(eq=False)
class _Interest:
    """One subject: the number of calls in flight about it, and when the last of them began or ended."""

    inside: int = 0
    instant: int = 0
    step: int = 0


@define(eq=False)
class Interests:
    """The subjects of all calls."""

    _of: dict[str, _Interest] = field(factory=dict)
    _subjects: dict[int, Sequence[str]] = field(factory=dict)

    def begin(self, state: ModelState, call: Call) -> None:
        """A call begins."""
        self._subjects[call.number] = subjects = _subjects(state, call)
        for subject in subjects:
            interest = self._of.get(subject)
            if interest is None:
                interest = self._of[subject] = _Interest()
            interest.inside += 1
            interest.instant, interest.step = call.instant, call.step

    def end(self, state: ModelState, call: Call) -> None:
        """A call is over."""
        for subject in self._subjects.pop(call.number, ()):
            interest = self._of.get(subject)
            if interest is not None:
                interest.inside -= 1
                interest.instant, interest.step = state.instant, state.step

    def lose(self, call: Call) -> None:
        """The end of a call is unknown: it keeps its subjects."""
        self._subjects.pop(call.number, None)

    def restart(self, instant: int) -> None:
        """The server was killed: every statement that began before the present instant has ended."""
        self._of = {
            subject: interest
            for subject, interest in self._of.items()
            if not interest.inside or interest.instant == instant
        }

    def of_call(self, call: Call) -> Sequence[str]:
        """The subjects of a call in flight."""
        return self._subjects.get(call.number, ())

    def is_quiet(self, subjects: Iterable[str], instant: int) -> bool:
        """Whether no call is about any of these subjects now, and none was since before `instant`."""
        for subject in subjects:
            interest = self._of.get(subject)
            if interest is not None and (interest.inside or interest.instant >= instant):
                return False
        return True

    def is_last(self, subject: str, step: int, inside: int) -> bool:
        """Whether exactly `inside` calls are about a subject, and the last of them began or ended at `step`."""
        interest = self._of.get(subject)
        return interest is not None and interest.inside == inside and interest.step == step


def _subjects(state: ModelState, call: Call) -> list[str]:
    subjects = []
    if call.job is not None:
        subjects.append(f"job {call.job}")
    key = call.arguments.get("unique_key") if call.arguments else None
    if key is not None:
        subjects.append(f"key {key}")
    if call.operation in _OF_LOCKS:
        environment = state.environment(call)
        if environment is not None:
            subjects.append(of_environment(environment))
    return subjects
