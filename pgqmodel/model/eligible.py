"""Which jobs a claim could have taken, which of them is best, and whether an answer of "nothing" is right.

Judged against the jobs committed before each of the claim's statements took its snapshot, and only where no other open
transaction could have had one of them locked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pgqmodel.history import Job
from pgqmodel.model.state import Call, ModelState, Snapshot
from pgqmodel.model.verdicts import Verdicts
from pgqmodel.operations import State

__all__ = ["column", "judge_answer", "judge_stage", "stage_open"]

Order = Sequence[tuple[str, str]]


def judge_answer(state: ModelState, call: Call, job: str | None, verdicts: Verdicts, settings: Mapping[str, Any]) -> None:
    """Judge what a claim answered: the job it took, or None for nothing."""
    if not call.snapshots:
        return
    if call.contended:
        verdicts.witness("claim-complete", int(job is not None))
        return
    choices = [_eligible(snapshot, verdicts.promises, settings) for snapshot in call.snapshots]
    if job is None:
        _judge_empty(state, call, choices, verdicts)
        return
    order = verdicts.promises.get("claim-order")
    if order is not None:
        _judge_order(state, call, job, choices, order, verdicts)


def _judge_empty(state: ModelState, call: Call, choices: list[list[Job]], verdicts: Verdicts) -> None:
    verdicts.witness("claim-complete")
    if all(choices):
        names = ", ".join(row.job for row in choices[-1])
        verdicts.broken(
            "false-empty",
            choices[-1][0].job,
            f"{names} could be claimed when {call.client}'s claim ran, and no other transaction was open.",
            f"Yet the claim answered at step {state.step} that there is nothing.",
        )


def _judge_order(
    state: ModelState, call: Call, job: str, choices: list[list[Job]], order: Order, verdicts: Verdicts
) -> None:
    better = [_better(job, rows, snapshot, order) for rows, snapshot in zip(choices, call.snapshots, strict=True)]
    verdicts.witness("claim-order", int(any(len(rows) > 1 for rows in choices)))
    if all(row is not None for row in better):
        best = better[-1]
        assert best is not None
        said = ", ".join(f"{name} {direction}" for name, direction in order)
        values = {name: column(best, name) for name, _ in order}
        taken = {name: column(state.seen[job], name) for name, _ in order} if job in state.seen else {}
        verdicts.broken(
            "order-inversion",
            job,
            f"The order is {said}; {best.job} ({_said(values)}) was there, eligible and unlocked.",
            f"Yet {call.client}'s claim took {job} ({_said(taken)}) at step {state.step}.",
        )


def _said(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _better(job: str, rows: list[Job], snapshot: Snapshot, order: Order) -> Job | None:
    """The best job that a claim should have preferred, or None if it took the best."""
    taken = snapshot.jobs.get(job)
    if taken is None:
        return None
    if all(row.job != job for row in rows):
        rows = [row for row in snapshot.jobs.values() if row.state is State.PENDING]
    best = min(rows, key=lambda row: _key(row, order), default=taken)
    return best if _key(best, order) < _key(taken, order) else None


class _Backwards:
    """Turns an order around."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Backwards) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Backwards) and bool(other.value == self.value)

    __hash__ = None  # type: ignore[assignment]


def _key(row: Job, order: Order) -> tuple[Any, ...]:
    """A job's place in the order, with NULLs where Postgres has them: last ascending, first descending."""
    key: list[Any] = []
    for name, direction in order:
        value = column(row, name)
        if direction == "desc":
            key.append((value is not None, _Backwards(value) if value is not None else 0))
        else:
            key.append((value is None, value if value is not None else 0))
    return tuple(key)


def column(row: Job, name: str) -> Any:
    """A column of a job's row, by the name it has in the observation."""
    return row.order[name] if name in row.order else getattr(row, name, None)


def _eligible(snapshot: Snapshot, promises: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Job]:
    limit = promises.get("live-limit")
    live = Counter(column(row, limit.column) for row in snapshot.jobs.values() if row.state is State.RUNNING) if limit else {}
    maximum = settings.get("max_attempts")
    return [
        row
        for row in snapshot.jobs.values()
        if row.state is State.PENDING
        and (row.eligible_at is None or row.eligible_at <= snapshot.now)
        and not (maximum and row.attempt is not None and row.attempt >= int(maximum))
        and stage_open(row, snapshot.jobs)
        and not (limit and column(row, limit.column) is not None and live[column(row, limit.column)] >= limit.limit)
    ]


def stage_open(row: Job, jobs: Mapping[str, Job]) -> bool:
    """Whether every job of the lower stages of its run has completed. One that is gone was finished and removed."""
    return not _before(row, jobs)


def _before(row: Job, jobs: Mapping[str, Job]) -> list[Job]:
    stage = row.stage
    if row.run is None or stage is None:
        return []
    return [
        other
        for other in jobs.values()
        if other.run == row.run
        and other.stage is not None
        and other.stage < stage
        and other.state is not State.COMPLETED
    ]


def judge_stage(state: ModelState, call: Call, job: str, verdicts: Verdicts) -> None:
    """A claim has taken a job: every job of the stages it needs must have completed, at its snapshot or by now."""
    row = state.seen.get(job)
    if row is None or row.run is None or row.stage is None:
        return
    verdicts.witness("stage-order")
    snapshots = [snapshot.jobs for snapshot in call.snapshots]
    if stage_open(row, state.jobs) or any(stage_open(row, jobs) for jobs in snapshots):
        return
    first = _before(row, state.jobs)[0]
    verdicts.broken(
        "stage-skip",
        job,
        f"{job} is of stage {row.stage} of run {row.run}, and {first.job} of stage {first.stage} must complete before.",
        f"{first.job} is {describe_state(first)}.",
        f"Yet {call.client} claimed {job} at step {state.step}.",
    )


def describe_state(row: Job) -> str:
    """A job's state in words."""
    return f"still {row.state}" if row.state in {State.PENDING, State.RUNNING} else str(row.state)
