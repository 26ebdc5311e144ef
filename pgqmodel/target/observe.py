"""Turning the rows of `observe.jobs` into the model's words."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Iterable, Mapping
from typing import Any

from pgqmodel.errors import TargetError
from pgqmodel.history import Job
from pgqmodel.operations import State
from pgqmodel.target.target import Limit, Target

__all__ = ["read_jobs", "read_state"]

_TEXTS = ("holder", "unique_key", "run", "environment")
_NUMBERS = ("attempt", "priority", "stage")


def read_jobs(rows: Iterable[Mapping[str, Any]], target: Target) -> list[Job]:
    """The jobs in the rows of an observation, under the queue's own identifiers.

    TargetError for a state that no word maps to, and for a job that is there twice.
    """
    jobs = [_read(row, target) for row in rows]
    if len({job.job for job in jobs}) < len(jobs):
        message = (
            f"{target.source}: observe.jobs: found the same job in two rows; expected one row a job. "
            "Mend the query: a join may multiply its rows"
        )
        raise TargetError(message)
    return jobs


def read_state(word: Any, target: Target, query: str) -> State:
    """The state that one of the queue's own words stands for."""
    state = target.observe.states.get(word)
    if state is None:
        message = (
            f"{target.source}: observe.{query}: found the state {word!r}, which observe.states does not map; "
            f"expected it under one of {', '.join(State)}. Add the word there"
        )
        raise TargetError(message)
    return state


def _read(row: Mapping[str, Any], target: Target) -> Job:
    found: dict[str, Any] = {name: str(row[name]) for name in _TEXTS if row.get(name) is not None}
    found |= {name: int(row[name]) for name in _NUMBERS if row.get(name) is not None}
    return Job(
        job=str(row["job"]),
        state=read_state(row["state"], target, "jobs"),
        eligible_at=_plain(row.get("eligible_at")),
        needs=tuple(str(job) for job in row.get("needs") or ()),
        order={name: _plain(row[name]) for name in _named(target)},
        **found,
    )


def _named(target: Target) -> list[str]:
    """The columns that promises name."""
    order = [column for column, _ in target.promises.get("claim-order", ())]
    limit = target.promises.get("live-limit")
    return [*order, limit.column] if isinstance(limit, Limit) else order


def _plain(value: Any) -> Any:
    """A value that JSON can say and that compares as it did: times in seconds since the epoch."""
    if isinstance(value, dt.datetime):
        return value.timestamp()
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
