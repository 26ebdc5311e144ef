"""The facts that one promise alone speaks of. Those that several promises share are in `model.facts`.

Here are those about a job: its life, its claims, its turn, its key, its run. Those about locks, deadlocks and drains
are in `waiting_reasons`, those about log lines and wake-ups in `delivery_reasons`. They do not stand with their
promises, so that the author of a sentence, or of a program that reads facts, sees the vocabulary at a glance.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from pgqmodel.model.facts import Changed, Fact, JobSeen, JobsSeen, LeaseAge
from pgqmodel.operations import State

__all__ = [
    "AddedJobs",
    "AllRunning",
    "AtWork",
    "AttemptDue",
    "AttemptShown",
    "ChangedAnother",
    "Chose",
    "EnqueueAnswered",
    "EnqueueIsOne",
    "FoundNothing",
    "GivenFinished",
    "KeyIsOnce",
    "KeyShared",
    "KeyWasFree",
    "LeaseAlive",
    "LimitIs",
    "NeedsFirst",
    "NeverRun",
    "NoRow",
    "NotEnqueued",
    "NotGiven",
    "NothingElseOpen",
    "NothingHadIt",
    "OnceAtMost",
    "OverFromTheStart",
    "OverMaximum",
    "PassedOver",
    "RunHas",
    "RunShows",
    "Spent",
    "StageFirst",
    "Took",
    "Unfinished",
    "Unsettled",
    "WasFinal",
]


# -- a job and its claims ----------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class WasFinal(Fact):
    """A job was in a final state."""

    job: str
    state: State


@frozen(kw_only=True)
class Unsettled(Fact):
    """A job was in a state that no client had settled."""

    job: str
    state: State | None


@frozen(kw_only=True)
class AtWork(Fact):
    """A program began to run the body of a job."""

    client: str
    job: str
    step: int


@frozen
class NoRow(Fact):
    """No row of a job was ever there."""

    job: str


@frozen(kw_only=True)
class NotEnqueued(Fact):
    """No committed transaction enqueued a job. `shown` says whether its row was seen, or only its name in an answer."""

    job: str
    shown: bool


@frozen(kw_only=True)
class EnqueueAnswered(Fact):
    """An enqueue was accepted and answered with a job."""

    client: str
    begun: int
    job: str
    step: int


@frozen
class ChangedAnother(Fact):
    """A settlement changed a job that it was not about."""

    change: Changed


@frozen(kw_only=True)
class Took(Fact):
    """A claim took a job."""

    client: str
    job: str
    step: int


@frozen
class OnceAtMost(Fact):
    """A job may be run once at most, and its holder has not given it back."""

    job: str


@frozen(kw_only=True)
class NotGiven(Fact):
    """A claim that took a job and ended it at once was answered, and not with that job."""

    client: str
    job: str
    step: int


@frozen(kw_only=True)
class LeaseAlive(LeaseAge):
    """A lease's age, as the reason why a second claim takes the job from a holder."""


@frozen(kw_only=True)
class OverMaximum(Fact):
    """This claim of a job was one more than `max_attempts` allows."""

    job: str
    number: int
    most: int


@frozen(kw_only=True)
class Spent(Fact):
    """A job was claimed as often as `max_attempts` allows."""

    job: str
    claims: int


@frozen(kw_only=True)
class AttemptDue(Fact):
    """The attempt number that follows from the number of claims."""

    job: str
    claims: int
    attempt: int


@frozen(kw_only=True)
class AttemptShown(Fact):
    """The attempt number that a job showed."""

    job: str
    attempt: int
    state: State
    step: int


# -- what a claim could take -------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class PassedOver(Fact):
    """Jobs that a claim could have had. `taken` and `order`: the job that it took, and the order that puts it last.

    `begun` is the step at which the claim began, in a recorded history, where they could be had all the while.
    """

    client: str
    jobs: JobsSeen
    begun: int | None = None
    taken: JobSeen | None = None
    order: tuple[tuple[str, str], ...] = ()


@frozen
class NothingElseOpen(Fact):
    """No other transaction was open, so none had a job locked."""


@frozen
class NothingHadIt(Fact):
    """No call in flight meanwhile had the job locked: each ended, and shows what it took."""


@frozen(kw_only=True)
class Chose(Fact):
    """A claim took this job of several. `answered` says that the step is that of its answer."""

    client: str
    job: str
    step: int
    answered: bool = False


@frozen(kw_only=True)
class FoundNothing(Fact):
    """A claim was answered with no job."""

    client: str
    step: int


@frozen(kw_only=True)
class NeedsFirst(Fact):
    """The jobs that must complete before a job is claimed, by name."""

    job: str
    needs: tuple[str, ...]


@frozen(kw_only=True)
class StageFirst(Fact):
    """The stage of a job: the stages before it must complete first."""

    job: str
    stage: int | None
    run: str | None


@frozen(kw_only=True)
class Unfinished(Fact):
    """Jobs that had not completed when a claim looked, nor when it committed."""

    jobs: JobsSeen
    client: str


@frozen(kw_only=True)
class LimitIs(Fact):
    """How many jobs with a value in a column may run at an instant."""

    limit: int
    column: str
    key: Any


@frozen(kw_only=True)
class AllRunning(Fact):
    """Jobs that run at the same instant."""

    jobs: tuple[str, ...]
    step: int


# -- keys and runs -----------------------------------------------------------------------------------------------------


@frozen
class KeyIsOnce(Fact):
    """A unique key, which one live job may have."""

    key: str


@frozen(kw_only=True)
class KeyShared(Fact):
    """The live jobs that have one key."""

    step: int
    jobs: JobsSeen


@frozen(kw_only=True)
class EnqueueIsOne(Fact):
    """An enqueue was to add one job."""

    client: str
    step: int


@frozen
class AddedJobs(Fact):
    """The jobs that an enqueue added."""

    jobs: tuple[str, ...]


@frozen(kw_only=True)
class KeyWasFree(Fact):
    """An enqueue was accepted, and no live job had its key."""

    client: str
    step: int


@frozen(kw_only=True)
class GivenFinished(Fact):
    """An enqueue was answered with a job that was final already."""

    job: str
    state: State


@frozen(kw_only=True)
class RunHas(Fact):
    """A run's jobs, or where a snapshot shows no more, their states; and every status that follows from them."""

    run: str
    jobs: JobsSeen | tuple[State, ...]
    due: tuple[State, ...]


@frozen(kw_only=True)
class RunShows(Fact):
    """The status that a run showed after a step, or in the snapshot that showed its jobs."""

    status: State | None
    step: int | None = None


@frozen
class OverFromTheStart(Fact):
    """A job was added in a final state."""

    added: Changed


@frozen
class NeverRun(Fact):
    """No claim ever had a job, so no client ever ran it."""
