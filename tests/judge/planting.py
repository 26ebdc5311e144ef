"""Plants one violation in a right history, as a broken queue would have recorded it. Judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from attrs import evolve, frozen

from pgqmodel.history import Committed, Ended, Event, Invoked, Job, Observed, Returned
from pgqmodel.operations import State, Status

__all__ = ["PLANTS", "Plant", "plant"]

CALM_SECONDS = 31.0
MOMENT_SECONDS = 1e-6
"""Stamps must differ: what is simultaneous is unordered."""


@frozen
class Plant:
    """A violation: the anomaly that it is, and what makes it out of a history (a list of events, changed in place)."""

    anomaly: str
    make: Callable[[list[Event]], None]
    follows: frozenset[str] = frozenset()
    """Anomalies that follow from it in the same history, and may be named too."""


def plant(events: Sequence[Event], violation: Plant) -> list[Event]:
    """The history with the violation in its middle, numbered anew."""
    history = list(events)
    violation.make(history)
    return [evolve(event, step=number) for number, event in enumerate(history, 1)]


class _Place:
    """Somewhere in the middle of a history, with what is known there."""

    def __init__(self, history: list[Event]) -> None:
        self.history = history
        self.call = 10_000_000
        self.moments = 1

    def find(self, want: Callable[[int, Event], bool]) -> int:
        """The index of the first event from the middle on that is wanted."""
        return next(
            index for index in range(len(self.history) // 2, len(self.history)) if want(index, self.history[index])
        )

    def change(self, to: State, where: Callable[[Job], bool] = lambda job: True) -> tuple[int, str, Job]:
        """Where a job turned to a state by a call that is known: the index, the job, its row."""

        def want(index: int, event: Event) -> bool:
            return isinstance(event, Observed) and bool(event.by) and _turned(event, to, where) is not None

        index = self.find(want)
        row = _turned(self.history[index], to, where)
        assert row is not None
        return index, row.job, row

    def calm(self) -> int:
        """Where a job completed and no client had died for long enough that what it left behind is over."""
        died = float("-inf")
        for index, event in enumerate(self.history):
            died = event.at or 0.0 if isinstance(event, Ended) else died
            quiet = (event.at or 0.0) > died + CALM_SECONDS
            if index > len(self.history) // 4 and quiet and _turned(event, State.COMPLETED, _first) is not None:
                return index
        raise AssertionError

    def claimed_by(self, index: int, job: str) -> Invoked:
        """The claim call that gave a job its holder."""
        for event in reversed(self.history[: index + 1]):
            if isinstance(event, Observed) and event.by and (row := event.jobs.get(job)) is not None:
                call = self.invocation(event.by[0])
                if row.state is State.RUNNING and call.operation == "claim":
                    return call
        raise AssertionError(job)

    def invocation(self, number: int) -> Invoked:
        """How a call began."""
        return next(event for event in self.history if isinstance(event, Invoked) and event.call == number)

    def answer(self, number: int) -> int:
        """Where a call was answered."""
        return next(
            index for index, event in enumerate(self.history) if isinstance(event, Returned) and event.call == number
        )

    def whole(
        self,
        index: int,
        operation: str,
        client: str = "x.1",
        jobs: dict[str, Job | None] | None = None,
        returned: str | None = None,
        status: Status = Status.OK,
        environments: dict[str, Any] | None = None,
        **about: Any,
    ) -> list[Event]:
        """All events of one call that nobody overlaps, moments after an event; to be put in wherever one likes."""
        at, number = (self.history[index].at or 0.0) + self.moments * MOMENT_SECONDS, self.call
        self.call += 1
        self.moments += 3
        call = {"client": client, "call": number}
        return [
            Invoked(step=0, at=at, worker=client[:-2], operation=operation, **call, **about),
            Committed(step=0, at=at + MOMENT_SECONDS, **call),
            Observed(step=0, at=at + MOMENT_SECONDS, by=(number,), jobs=jobs or {}, environments=environments or {}),
            Returned(step=0, at=at + 2 * MOMENT_SECONDS, status=status, job=returned, **call),
        ]

    def put(self, index: int, events: Iterable[Event]) -> None:
        """Put events in behind another."""
        self.history[index + 1 : index + 1] = events


def _turned(event: Event, to: State, where: Callable[[Job], bool]) -> Job | None:
    rows = event.jobs.values() if isinstance(event, Observed) else ()
    return next((row for row in rows if row is not None and row.state is to and where(row)), None)


def _first(row: Job) -> bool:
    return row.attempt == 1


def _double_claim(history: list[Event]) -> None:
    place = _Place(history)
    index, job, row = place.change(State.RUNNING, _first)
    again = evolve(row, holder="x", attempt=2)
    place.put(index, place.whole(index, "claim", jobs={job: again}, returned=job))


def _late(operation: str) -> Callable[[list[Event]], None]:
    def make(history: list[Event]) -> None:
        place = _Place(history)
        index, job, _ = place.change(State.COMPLETED)
        claim = place.claimed_by(index, job)
        number = history[index].by[0] if isinstance(history[index], Observed) else 0  # type: ignore[attr-defined]
        over = place.answer(number)
        other = claim.call - 1 if operation != "heartbeat" else claim.call
        place.put(over, place.whole(over, operation, client=claim.client, job=job, claim=other))

    return make


def _gone(history: list[Event]) -> None:
    place = _Place(history)
    index, job, _ = place.change(State.RUNNING, lambda row: row.run is None)
    place.put(index, place.whole(index, "heartbeat", jobs={job: None}, job=job, claim=0, status=Status.REFUSED))


def _resurrection(history: list[Event]) -> None:
    place = _Place(history)
    index, job, row = place.change(State.COMPLETED, lambda row: row.run is None)
    again = evolve(row, state=State.RUNNING, holder="x", attempt=2)
    place.put(index, place.whole(index, "claim", jobs={job: again}, returned=job))


def _phantom(history: list[Event]) -> None:
    place = _Place(history)
    index, _, _ = place.change(State.COMPLETED)
    ghost = Job(job="ghost", state=State.RUNNING, holder="x", attempt=1, order={"priority": 9, "id": 0})
    place.put(index, place.whole(index, "claim", jobs={"ghost": ghost}, returned="ghost"))


def _skip(history: list[Event]) -> None:
    place = _Place(history)
    index, job, row = place.change(State.PENDING, lambda row: row.stage == 3)
    over = place.answer(history[index].by[0])  # type: ignore[attr-defined]
    claimed = evolve(row, state=State.RUNNING, holder="x", attempt=1)
    place.put(over, place.whole(over, "claim", jobs={job: claimed}, returned=job))


def _needs(history: list[Event]) -> None:
    place = _Place(history)
    index, _, _ = place.change(State.COMPLETED)
    one = Job(job="needed", state=State.PENDING, attempt=0, order={"priority": -9, "id": 10**9})
    other = evolve(one, job="needing", needs=("needed",))
    claimed = evolve(other, state=State.RUNNING, holder="x", attempt=1)
    place.put(
        index,
        [
            *place.whole(index, "enqueue", jobs={"needed": one}, returned="needed"),
            *place.whole(index, "enqueue", jobs={"needing": other}, returned="needing"),
            *place.whole(index, "claim", jobs={"needing": claimed}, returned="needing"),
        ],
    )


def _attempts(to: int) -> Callable[[list[Event]], None]:
    def make(history: list[Event]) -> None:
        place = _Place(history)
        index, _, _ = place.change(State.COMPLETED)
        row = Job(job="counted", state=State.PENDING, attempt=0, order={"priority": 10**6, "id": 0})
        events = place.whole(index, "enqueue", jobs={"counted": row}, returned="counted")
        for attempt in range(1, 5):
            shown = to if to and attempt == 1 else attempt
            running = evolve(row, state=State.RUNNING, holder="x", attempt=shown)
            claim = place.whole(index, "claim", jobs={"counted": running}, returned="counted")
            last = attempt == 4 or bool(to)
            done = evolve(running, state=State.COMPLETED if last else State.PENDING, holder=None)
            settle = place.whole(
                index,
                "complete" if last else "retry",
                jobs={"counted": done},
                job="counted",
                claim=claim[0].call,  # type: ignore[attr-defined]
            )
            events += [*claim, *settle]
            if last:
                break
        place.put(index, events)

    return make


def _early(history: list[Event]) -> None:
    place = _Place(history)
    index, job, row = place.change(State.RUNNING, _first)
    back = evolve(row, state=State.PENDING, holder=None)
    place.put(index, place.whole(index, "reclaim", client="m9.1", jobs={job: back}))


def _key(history: list[Event]) -> None:
    place = _Place(history)
    index, _, _ = place.change(State.COMPLETED)
    for name in ("one", "two"):
        row = Job(job=name, state=State.PENDING, attempt=0, unique_key="same", order={"priority": -9, "id": 10**9})
        place.put(index, place.whole(index, "enqueue", jobs={name: row}, returned=name))


def _status(history: list[Event]) -> None:
    place = _Place(history)
    index, _, row = place.change(State.COMPLETED, lambda row: row.run is not None and row.stage == 1)
    event = history[index]
    assert isinstance(event, Observed)
    assert row.run is not None
    history[index] = evolve(event, runs={row.run: State.FAILED})


def _ready_job(place: _Place, index: int, priority: int) -> list[Event]:
    row = Job(job="best", state=State.PENDING, attempt=0, order={"priority": priority, "id": 0})
    return place.whole(index, "enqueue", jobs={"best": row}, returned="best")


def _taken_last(place: _Place, index: int) -> list[Event]:
    """The job that was passed over is claimed and completed after all."""
    running = Job(job="best", state=State.RUNNING, holder="x", attempt=1, order={"priority": 10**6, "id": 0})
    claim = place.whole(index, "claim", jobs={"best": running}, returned="best")
    done = evolve(running, state=State.COMPLETED, holder=None)
    return [
        *claim,
        *place.whole(index, "complete", jobs={"best": done}, job="best", claim=claim[0].call),  # type: ignore[attr-defined]
    ]


def _inversion(history: list[Event]) -> None:
    place = _Place(history)
    index = place.calm()
    row = Job(job="worse", state=State.PENDING, attempt=0, order={"priority": 0, "id": 10**9})
    running = evolve(row, state=State.RUNNING, holder="y", attempt=1)
    place.put(
        index,
        [
            *_ready_job(place, index, 10**6),
            *place.whole(index, "enqueue", jobs={"worse": row}, returned="worse"),
            *place.whole(index, "claim", client="y.1", jobs={"worse": running}, returned="worse"),
            *_taken_last(place, index),
        ],
    )


def _empty(history: list[Event]) -> None:
    place = _Place(history)
    index = place.calm()
    place.put(
        index,
        [
            *_ready_job(place, index, 10**6),
            *place.whole(index, "claim", client="y.1", status=Status.EMPTY),
            *_taken_last(place, index),
        ],
    )


def _deploys(place: _Place, index: int, steps: Sequence[tuple[str, str]]) -> Iterator[Event]:
    """Two workers with a job each in one environment of their own, and what they do: (client, operation)."""
    claims = {}
    for client in ("x.1", "y.1"):
        name = f"deploy {client}"
        row = Job(job=name, state=State.PENDING, attempt=0, environment="lab", order={"priority": 10**6, "id": 0})
        yield from place.whole(index, "enqueue", jobs={name: row}, returned=name)
        running = evolve(row, state=State.RUNNING, holder=client[:-2], attempt=1)
        claim = place.whole(index, "claim", client=client, jobs={name: running}, returned=name)
        claims[client] = claim[0].call  # type: ignore[attr-defined]
        yield from claim
    for client, operation in steps:
        about = {"job": f"deploy {client}", "claim": claims[client], "arguments": {"environment": "lab"}}
        yield from place.whole(index, operation, client=client, **about)


def _deploy(*steps: tuple[str, str]) -> Callable[[list[Event]], None]:
    def make(history: list[Event]) -> None:
        place = _Place(history)
        index, _, _ = place.change(State.COMPLETED)
        place.put(index, list(_deploys(place, index, steps)))

    return make


_LEFT = frozenset({"stuck-job"})
PLANTS = (
    Plant("double-claim", _double_claim, frozenset({"stale-settlement", "zombie-heartbeat", "attempt-miscount"})),
    Plant("stale-settlement", _late("complete")),
    Plant("zombie-heartbeat", _late("heartbeat")),
    Plant("lost-job", _gone, frozenset({"stale-settlement", "zombie-heartbeat", "resurrection", "phantom-job"})),
    Plant("resurrection", _resurrection, frozenset({"stuck-job", "attempt-miscount"})),
    Plant("phantom-job", _phantom, _LEFT),
    Plant("stage-skip", _skip, _LEFT | {"double-claim", "attempt-miscount", "early-reclaim", "status-divergence"}),
    Plant("stage-skip", _needs, _LEFT | {"false-empty"}),
    Plant("lock-overlap", _deploy(("x.1", "lock"), ("y.1", "lock"), ("x.1", "unlock")), _LEFT),
    Plant("stale-deploy", _deploy(("x.1", "lock"), ("y.1", "deploy"), ("x.1", "unlock")), _LEFT),
    Plant("early-reclaim", _early, frozenset({"stale-settlement", "zombie-heartbeat", "attempt-miscount"})),
    Plant("attempt-miscount", _attempts(7)),
    Plant("attempt-overrun", _attempts(0)),
    Plant("duplicate-key", _key, _LEFT | {"false-empty"}),
    Plant("status-divergence", _status),
    Plant("order-inversion", _inversion, _LEFT),
    Plant("false-empty", _empty),
)
