"""The figures of a history: each is taken from small hand-made ones, where everybody can see what it must be."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

import pytest

from pgqmodel.history import Event, Invoked, Job, Observed, Restarted, Returned
from pgqmodel.operations import State, Status
from pgqmodel.simulation.figures import Reader, fairness
from pgqmodel.simulation.measures import Measures

START = 1_790_000_000.0
_steps = count(1)


def asks(at: float, call: int, operation: str, client: str = "w1", **fields: Any) -> Invoked:
    """A call begins, so many seconds after the start."""
    told = {"step": next(_steps), "at": START + at, "client": client, "worker": client} | fields
    return Invoked(call=call, operation=operation, **told)


def hears(at: float, call: int, status: Status = Status.OK, client: str = "w1", **fields: Any) -> Returned:
    """A call is over."""
    return Returned(step=next(_steps), at=START + at, client=client, call=call, status=status, **fields)


def shows(at: float, job: str, state: State, by: int | None = None, **fields: Any) -> Observed:
    """A commit that leaves a job in a state."""
    row = Job(job=job, state=state, **fields)
    return Observed(step=next(_steps), at=START + at, by=() if by is None else (by,), jobs={job: row})


def read(events: Iterable[Event], **how: Any) -> Reader:
    """A reader that has read a history."""
    reader = Reader(measures=Measures(), **how)
    for event in events:
        reader.take(event)
    return reader


def value(reader: Reader, key: str) -> float:
    """A figure that was measured: histograms keep three digits of it."""
    found = reader.measures.value(key)
    assert found is not None, f"{key} was not measured"
    return found


def claimed(job: str, at: float, call: int = 100) -> list[Event]:
    """A job's commit as running, by a claim that began a tenth of a second before."""
    return [asks(at - 0.1, call, "claim"), shows(at, job, State.RUNNING, call), hears(at, call, job=job)]


def test_calls_are_counted_and_timed_by_how_they_ended() -> None:
    """Accepted, empty and refused calls have latencies apart; what failed or was never answered has none."""
    reader = read(
        [
            asks(0, 1, "claim"),
            hears(0.5, 1),
            asks(1, 2, "claim"),
            hears(1.25, 2, Status.EMPTY),
            asks(2, 3, "complete", job="7"),
            hears(2.125, 3, Status.REFUSED),
            asks(3, 4, "claim"),
            hears(9, 4, Status.UNKNOWN),
            asks(10, 5, "claim"),
            hears(19, 5, Status.ERROR),
            asks(20, 6, "claim"),
        ]
    )
    counters = {name: amount for name, amount in reader.measures.counters.items() if "_" in name}
    assert counters == {
        "claim_ok": 1,
        "claim_empty": 1,
        "complete_refused": 1,
        "claim_unknown": 1,
        "claim_error": 1,
    }
    assert value(reader, "claim.max") == pytest.approx(0.5, rel=0.01)
    assert value(reader, "claim_empty.max") == pytest.approx(0.25, rel=0.01)
    assert value(reader, "complete_refused.max") == pytest.approx(0.125, rel=0.01)
    assert "claim_unknown" not in reader.measures.latencies
    assert "claim_error" not in reader.measures.latencies


def test_a_start_delay_is_from_commit_to_commit_and_by_phase() -> None:
    """A job counts to the phase in which it was enqueued, whenever it starts; one of before the first, to none."""
    phases = ((START + 10, "burst"), (START + 20, "rest"))
    reader = read(
        [
            shows(5, "early", State.PENDING),
            shows(10, "first", State.PENDING),
            shows(19, "late", State.PENDING),
            shows(20, "other", State.PENDING),
            *claimed("early", 11, 1),
            *claimed("first", 12, 2),
            *claimed("late", 27, 3),
            *claimed("other", 24, 4),
        ],
        phases=phases,
    )
    assert reader.started == pytest.approx({"early": 6, "first": 2, "late": 8, "other": 4})
    assert value(reader, "start_delay.count") == 4
    assert value(reader, "start_delay: burst.count") == 2
    assert value(reader, "start_delay: burst.max") == pytest.approx(8, rel=0.01)
    assert value(reader, "start_delay: rest.max") == pytest.approx(4, rel=0.01)
    assert value(reader, "enqueued") == value(reader, "claimed") == 4


@pytest.mark.parametrize("held_back", [{"stage": 2, "run": "r"}, {"needs": ("other",)}])
def test_who_has_to_wait_for_others_has_no_start_delay(held_back: dict[str, Any]) -> None:
    """A job of a stage, or with needs, was not free to start when it was enqueued."""
    reader = read([shows(0, "7", State.PENDING, **held_back), *claimed("7", 9)])
    assert reader.started == {}
    assert reader.measures.value("start_delay.count") is None
    assert value(reader, "claimed") == 1


def test_only_the_first_claim_is_a_start() -> None:
    """What was given back and taken again has a pick-up delay instead, from the commit that gave it back."""
    reader = read(
        [
            shows(0, "7", State.PENDING),
            *claimed("7", 1, 1),
            asks(2, 2, "retry", job="7", claim=1),
            shows(3, "7", State.PENDING, 2),
            hears(3, 2),
            *claimed("7", 5, 3),
        ]
    )
    assert value(reader, "start_delay.count") == 1
    assert value(reader, "pick_up_delay.count") == 1
    assert value(reader, "pick_up_delay.max") == pytest.approx(2, rel=0.01)
    assert reader.measures.value("silence_before_return.count") is None, "nobody was silent: it was given back"


def test_silence_is_counted_from_the_last_accepted_beat() -> None:
    """From when that heartbeat began, since it is no earlier; a refused or lost one after it does not count."""
    reader = read(
        [
            shows(0, "7", State.PENDING),
            *claimed("7", 1, 1),
            asks(4, 2, "heartbeat", job="7", claim=1),
            hears(4.5, 2),
            asks(6, 3, "heartbeat", job="7", claim=1),
            hears(7, 3, Status.UNKNOWN),
            asks(34, 4, "reclaim", client="m1"),
            shows(35, "7", State.PENDING, 4),
            hears(35, 4, client="m1"),
        ]
    )
    assert value(reader, "silence_before_return.max") == pytest.approx(31, rel=0.01)
    assert value(reader, "reclaimed") == 1
    assert value(reader, "heartbeats") == 1
    assert value(reader, "beat_interval.max") == pytest.approx(3.1, rel=0.01)


def test_silence_without_a_beat_is_counted_from_the_claim() -> None:
    """Whoever never beat lived when it asked for the job."""
    reader = read(
        [
            shows(0, "7", State.PENDING),
            *claimed("7", 1, 1),
            asks(30, 4, "reclaim", client="m1"),
            shows(31, "7", State.PENDING, 4),
        ]
    )
    assert value(reader, "silence_before_return.max") == pytest.approx(30.1, rel=0.01)


@pytest.mark.parametrize("end", sorted({State.COMPLETED, State.FAILED, State.CANCELLED}))
def test_a_jobs_times_end_with_it(end: State) -> None:
    """Its run time is from its last claim, its whole time from its birth, and its end is counted by name."""
    reader = read(
        [
            shows(0, "7", State.PENDING),
            *claimed("7", 1, 1),
            shows(2, "7", State.PENDING),
            *claimed("7", 4, 2),
            shows(6, "7", end),
            shows(0, "8", State.PENDING),
            shows(3, "8", State.CANCELLED),
        ]
    )
    assert value(reader, "run_time.count") == 1, "job 8 never ran"
    assert value(reader, "run_time.max") == pytest.approx(2, rel=0.01)
    assert value(reader, "job_time.count") == 2
    assert value(reader, "job_time.max") == pytest.approx(6, rel=0.01)
    assert value(reader, end.value) == (2 if end is State.CANCELLED else 1)


def lock(at: float, call: int, claim: int, client: str, status: Status, environment: str = "prod") -> list[Event]:
    """A try for a deploy lock that takes a tenth of a second."""
    arguments = {"environment": environment}
    return [
        asks(at, call, "lock", client, claim=claim, arguments=arguments),
        hears(at + 0.1, call, status, client),
    ]


def test_a_lock_is_waited_for_from_the_first_try() -> None:
    """The wait goes from the first refused try to the grant; the tries between are retries; orders are kept."""
    reader = read(
        [
            *lock(0, 1, 11, "w1", Status.OK),
            *lock(1, 2, 12, "w2", Status.REFUSED),
            *lock(2, 3, 13, "w3", Status.REFUSED),
            *lock(3, 4, 13, "w3", Status.OK),
            *lock(4, 5, 12, "w2", Status.REFUSED),
            *lock(5, 6, 12, "w2", Status.OK),
            *lock(6, 7, 14, "w4", Status.OK, "test"),
            *lock(7, 8, 15, "w5", Status.REFUSED),
        ]
    )
    assert value(reader, "lock_grants") == 4
    assert value(reader, "lock_retries") == 3, "w5's try had no end"
    assert value(reader, "lock_wait.count") == 4
    assert value(reader, "lock_wait.max") == pytest.approx(4.1, rel=0.01)
    assert reader.asked == {"prod": [11, 12, 13, 15], "test": [14]}
    assert reader.grants == {"prod": [11, 13, 12], "test": [14]}


def down(at: float) -> Restarted:
    """The server was killed."""
    return Restarted(step=next(_steps), at=START + at)


def test_recovery_is_from_the_kill_to_the_next_job_that_is_done() -> None:
    """A second kill before anything was done belongs to the first; jobs done without a kill recover from nothing."""
    reader = read(
        [
            *(shows(0, name, State.PENDING) for name in "abcd"),
            *(event for number, name in enumerate("abcd") for event in claimed(name, 1, number)),
            shows(2, "a", State.COMPLETED),
            down(10),
            down(11),
            shows(14, "b", State.COMPLETED),
            shows(15, "c", State.COMPLETED),
            down(20),
            shows(21, "d", State.COMPLETED),
        ]
    )
    assert value(reader, "recovery_time.count") == 2
    assert value(reader, "recovery_time.max") == pytest.approx(4, rel=0.01)
    assert value(reader, "recovery_time.min") == pytest.approx(1, rel=0.01)


def test_every_completed_job_is_its_workers() -> None:
    """Completions are counted for who was told that they took effect, and for nobody else."""
    reader = read(
        [
            *(event for call in (1, 2) for event in (asks(call, call, "complete"), hears(call, call))),
            asks(3, 3, "complete", "w2"),
            hears(3, 3, client="w2"),
            asks(4, 4, "complete", "w2"),
            hears(4, 4, Status.REFUSED, "w2"),
        ]
    )
    assert reader.completed_by == {"w1": 2, "w2": 1}


def test_jobs_that_are_gone_and_events_without_time_say_nothing() -> None:
    """A row that vanished is the judge's business; an explored history's events have no time to measure."""
    gone = Observed(step=1, at=START, jobs={"7": None})
    timeless = Observed(step=2, jobs={"8": Job(job="8", state=State.PENDING)})
    assert read([gone, timeless]).measures == read([]).measures


@pytest.mark.parametrize("curves", [True, False])
def test_curves_only_where_time_is_real(curves: bool) -> None:
    """On a clock that is moved by hand the same figures are taken, and none of them is shown over time."""
    reader = read([shows(0, "7", State.PENDING), *claimed("7", 1, 1)], curves=curves)
    assert value(reader, "start_delay.count") == 1
    assert bool(reader.measures.trails) is curves
    assert bool(reader.measures.rates) is curves


@pytest.mark.parametrize(
    ("shares", "index"),
    [((5, 5, 5, 5), 1.0), ((8, 0, 0, 0), 0.25), ((1, 3), 0.8), ((0, 0), None), ((), None)],
    ids=str,
)
def test_fairness_is_jains_index(shares: tuple[int, ...], index: float | None) -> None:
    """1 where all shares are the same, 1/n where one has everything, and none where there is nothing to share."""
    assert fairness(shares) == index
