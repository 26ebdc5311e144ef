"""The zoo: real bugs of real libraries, each with the steps that show it and the versions with and without it."""

from __future__ import annotations

from attrs import frozen

from pgqmodel.steps import Advance, Begin, Continue, Finish, Go, Kill, Proceed, Start, Step, Stop

__all__ = ["ZOO", "Specimen"]


@frozen(kw_only=True)
class Specimen:
    """One bug: `bad` has it and `good` has not; where no version is without it, `good` is empty."""

    name: str
    bad: str
    good: str
    anomaly: str
    steps: tuple[Step, ...]


def _enqueue(environment: str | None = None) -> Step:
    return Begin(client="P", operation="enqueue", arguments={"environment": environment})


_STALE = (
    _enqueue(),
    Start(client="A"),
    Stop(client="A"),
    Advance(seconds=31.0),
    Begin(client="M", operation="reclaim"),
    Start(client="B"),
    Continue(client="A"),
    Finish(client="A"),
)
"""A holds a job, stands still past its lease, the job is retried and run by B, and A finishes it."""

_RETRIED_TWICE = (
    _enqueue(),
    Start(client="A"),
    Kill(client="A"),
    Advance(seconds=31.0),
    Begin(client="M", operation="reclaim", stop=2),
    Begin(client="M2", operation="reclaim"),
    Start(client="B"),
    Go(client="M"),
)
"""A dies, M and M2 both find its job, M2 retries it, B runs it, and M retries it as well."""

ZOO = (
    Specimen(
        name="pgqueuer-concurrency-limit",
        bad="pgqueuer==1.3.2",
        good="pgqueuer==1.4.0",
        anomaly="limit-exceeded",
        steps=(
            Start(client="A"),
            Start(client="B"),
            _enqueue("prod"),
            _enqueue("prod"),
            Proceed(client="A", stop=3),
            Proceed(client="B"),
            Proceed(client="A"),
        ),
    ),
    Specimen(
        name="procrastinate-late-finish",
        bad="procrastinate==3.2.2",
        good="",
        anomaly="stale-settlement",
        steps=_STALE,
    ),
    Specimen(
        name="procrastinate-late-finish-newest",
        bad="procrastinate==3.10.0",
        good="",
        anomaly="stale-settlement",
        steps=_STALE,
    ),
    Specimen(
        name="procrastinate-retried-twice",
        bad="procrastinate==3.10.0",
        good="",
        anomaly="early-reclaim",
        steps=_RETRIED_TWICE,
    ),
)
