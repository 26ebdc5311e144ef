"""Histories without commit order: verdicts are those of a trial of all orders, names are right, time is kept."""

from __future__ import annotations

import random
from collections import Counter
from itertools import count

import pytest

from checks.crowds import crowd, double, impossible
from checks.histories import LEASE_SECONDS, Played, crashes, exhaustive, play, spoil, written
from checks.instants import collapsed, shuffled
from pgqmodel.checks.linearize import Linearized, linearize
from pgqmodel.errors import UsageError
from pgqmodel.history import Event, Invoked, Restarted, Returned
from pgqmodel.operations import Status
from pgqmodel.promises import ANOMALIES
from pgqmodel.report import told as sentences

GENERATED = 2500
DIALECT = {"lost": Status.UNKNOWN, "refused": Status.REFUSED, "empty": Status.EMPTY, "error": Status.ERROR}


def judged(history: list[Event], *, lease: float | None = None, most: int | None = None) -> Linearized:
    """The verdict, with all the time in the world."""
    return linearize(history, lease_seconds=lease, attempts_max=most, clock=lambda: 0.0)


def told(*lines: str) -> list[Played]:
    """Calls in one line each: client, operation, job or -, begin, end, then `of CALL`, `attempt N`, `key` or a status.

    Calls are numbered from 1 in the order of the lines.
    """
    calls = []
    for number, line in enumerate(lines, 1):
        client, operation, job, begins, ends, *rest = line.split()
        pairs = dict(zip(rest, rest[1:], strict=False))
        calls.append(
            Played(
                number=number,
                client=client,
                operation=operation,
                begins=float(begins),
                ends=float(ends),
                job=None if job == "-" else job,
                claim=int(pairs["of"]) if "of" in pairs else None,
                attempt=int(pairs["attempt"]) if "attempt" in pairs else None,
                keyed="key" in rest,
                status=next((DIALECT[word] for word in rest if word in DIALECT), Status.OK),
            )
        )
    return calls


def test_verdicts_are_those_of_all_orders() -> None:
    """On thousands of small histories, right and wrong, trying every order and every fate finds the same."""
    chance = random.Random(3)
    verdicts: Counter[bool] = Counter()
    lost = 0
    for _ in range(GENERATED):
        calls = play(chance)
        if chance.random() < 0.85:
            spoil(chance, calls)
        timed, most = chance.random() < 0.3, chance.choice([None, None, 2])
        sessions = crashes(chance, calls) if chance.random() < 0.4 else []
        history = written(calls, sessions, timed=timed)
        lease = LEASE_SECONDS if timed else None
        expected = exhaustive(history, lease=lease, most=most)
        found = judged(history, lease=lease, most=most)
        assert found.verdict == ("held" if expected else "broken"), history
        verdicts[expected] += 1
        lost += any(call.status is Status.UNKNOWN for call in calls)
    assert min(verdicts.values()) >= GENERATED / 4, verdicts
    assert lost >= GENERATED / 4


@pytest.mark.parametrize("width_seconds", [1.0, 2.5, 5.0])
def test_simultaneous_verdicts_are_those_of_all_orders(width_seconds: float) -> None:
    """With many calls at one instant, in whatever order their lines stand, trying every order finds the same."""
    chance = random.Random(7)
    verdicts: Counter[bool] = Counter()
    for _ in range(GENERATED // 5):
        calls = play(chance)
        if chance.random() < 0.85:
            spoil(chance, calls)
        sessions = crashes(chance, calls) if chance.random() < 0.4 else []
        lease, most = chance.choice([None, LEASE_SECONDS]), chance.choice([None, None, 2])
        history = shuffled(collapsed(written(calls, sessions, timed=True), width_seconds), chance)
        expected = exhaustive(history, lease=lease, most=most)
        assert judged(history, lease=lease, most=most).verdict == ("held" if expected else "broken"), history
        verdicts[expected] += 1
    assert min(verdicts.values()) >= GENERATED / 25, verdicts


def test_two_calls_of_a_client_at_once_precede_its_next() -> None:
    """A client's own order holds within an instant, also where it had two calls in flight at once."""
    calls = told(P1, "A complete J1 2.0 2.3 of 3", "A claim J1 2.1 2.4", "A heartbeat J1 2.5 2.6 of 3")
    assert judged(list(collapsed(written(calls, timed=True), 1.0))).anomaly == "zombie-heartbeat"
    free = told(P1, "A complete J1 2.0 2.6 of 3", "A claim J1 2.1 2.4", "A heartbeat J1 2.5 2.7 of 3")
    assert judged(list(collapsed(written(free, timed=True), 1.0))).verdict == "held"


P1, P2 = "P enqueue J1 0 1", "P enqueue J2 0 1"
A1 = "A claim J1 2 3"
RIGHT = {
    "nothing": (),
    "one life": (P1, A1, "A heartbeat J1 4 5 of 2", "A complete J1 6 7 of 2"),
    "two claims with a retry between": (P1, A1, "A retry J1 4 9 of 2", "B claim J1 5 6"),
    "a claim before its enqueue was answered": ("P enqueue J1 0 9", "A claim J1 1 2"),
    "a lost enqueue was one": ("P enqueue J1 0 1 lost", A1),
    "a lost retry was one": (P1, A1, "A retry J1 4 5 of 2 lost", "B claim J1 6 7"),
    "a reclaim in time": (P1, A1, "M reclaim - 4 9", "B claim J1 5 6", "A complete J1 10 11 of 2 refused"),
    "a lost claim counts": (P1, "A claim - 2 3 lost", "M reclaim - 4 5", "B claim J1 6 7 attempt 2"),
    "a lost reclaim was one": (P1, A1, "M reclaim - 4 5 lost", "B claim J1 6 7"),
    "a holder rests on its lost claim": (P1, "A claim - 2 3 lost", "A complete J1 4 5 of 2"),
    "settled twice by the same": (P1, A1, "A complete J1 4 5 of 2", "A complete J1 6 7 of 2"),
    "a key that is live": ("P enqueue J1 0 1 key", "Q enqueue J1 2 3 key"),
    "refusals and errors": (
        P1,
        A1,
        "B claim - 4 5 empty",
        "A complete J1 6 7 of 2 error",
        "A fail J1 8 9 of 2 refused",
    ),
    "two lost enqueues for two jobs": (
        "P enqueue - 0 1 lost",
        "P enqueue - 0 1 lost",
        "A claim J1 2 3",
        "B claim J2 2 3",
    ),
}
WRONG = {
    "two claims": ("double-claim", (P1, A1, "B claim J1 4 5")),
    "two claims at once": ("double-claim", (P1, "A claim J1 2 5", "B claim J1 3 4")),
    "a reclaim too late": ("double-claim", (P1, A1, "B claim J1 4 5", "M reclaim - 6 7")),
    "the retry came after": ("double-claim", (P1, A1, "B claim J1 4 5", "A retry J1 6 7 of 2")),
    "no enqueue": ("phantom-job", ("A claim J1 2 3",)),
    "an enqueue too late": ("phantom-job", (A1, "P enqueue J1 4 5")),
    "an enqueue that failed": ("phantom-job", ("P enqueue - 0 1 error", A1)),
    "one lost enqueue for two jobs": ("phantom-job", ("P enqueue - 0 1 lost", A1, "B claim J2 2 3")),
    "one lost enqueue came too late": (
        "phantom-job",
        ("P enqueue - 0 1 lost", "P enqueue - 4 5 lost", A1, "B claim J2 2 3"),
    ),
    "settled by a former holder": (
        "stale-settlement",
        (P1, A1, "M reclaim - 4 5", "B claim J1 6 7", "A complete J1 8 9 of 2"),
    ),
    "settled after a cancel": ("stale-settlement", (P1, A1, "P cancel J1 4 5", "A complete J1 6 7 of 2")),
    "two jobs rest on one lost claim": (
        "stale-settlement",
        (P1, P2, "A claim - 2 3 lost", "A complete J1 4 5 of 3", "A complete J2 6 7 of 3"),
    ),
    "a heartbeat of a former holder": (
        "zombie-heartbeat",
        (P1, A1, "A retry J1 4 5 of 2", "A heartbeat J1 6 7 of 2"),
    ),
    "claimed after it completed": ("resurrection", (P1, A1, "A complete J1 4 5 of 2", "B claim J1 6 7")),
    "cancelled after it completed": ("resurrection", (P1, A1, "A complete J1 4 5 of 2", "P cancel J1 6 7")),
    "an attempt skipped": ("attempt-miscount", (P1, "A claim J1 2 3 attempt 2")),
    "one lost claim for two jobs": (
        "attempt-miscount",
        (P1, P2, "A claim - 2 3 lost", "M reclaim - 4 5", "B claim J1 6 7 attempt 2", "C claim J2 6 7 attempt 2"),
    ),
    "one job for two enqueues": ("lost-job", (P1, "Q enqueue J1 2 3")),
    "a key that is done with": (
        "duplicate-key",
        ("P enqueue J1 0 1 key", A1, "A complete J1 4 5 of 2", "Q enqueue J1 6 7 key"),
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_histories_are_held(name: str) -> None:
    """What some order explains is held, and nothing is said against it."""
    found = judged(written(told(*RIGHT[name])))
    assert (found.verdict, found.anomaly, found.job, found.facts) == ("held", None, None, ())
    assert exhaustive(written(told(*RIGHT[name])))


@pytest.mark.parametrize("name", WRONG)
def test_wrong_histories_are_named(name: str) -> None:
    """What no order explains is broken, has its public name, and is explained by facts that can be told."""
    anomaly, lines = WRONG[name]
    found = judged(written(told(*lines)))
    assert (found.verdict, found.anomaly) == ("broken", anomaly)
    assert anomaly in ANOMALIES
    assert found.job in {"J1", "J2"}
    assert sentences(found.facts)
    assert not exhaustive(written(told(*lines)))


def test_more_claims_than_allowed() -> None:
    """With a limit of attempts, one claim more is an anomaly of its own."""
    history = written(told(P1, A1, "A retry J1 4 5 of 2", "B claim J1 6 7"))
    assert judged(history, most=2).verdict == "held"
    assert judged(history, most=1).anomaly == "attempt-overrun"


@pytest.mark.parametrize(
    ("lines", "lease", "verdict"),
    [
        ((P1, A1, "M reclaim - 5 7", "B claim J1 6 6.5"), 4.5, "held"),
        ((P1, A1, "M reclaim - 5 7", "B claim J1 6 6.5"), 4.6, "broken"),
        ((P1, A1, "A heartbeat J1 4 5 of 2", "M reclaim - 6 8.5", "B claim J1 7 8"), 4.1, "broken"),
        ((P1, A1, "A heartbeat J1 4 5 of 2", "M reclaim - 6 8.5", "B claim J1 7 8"), 4.0, "held"),
        ((P1, A1, "M reclaim - 3 4 lost", "B claim J1 8 9"), 7.0, "held"),
        ((P1, A1, "M reclaim - 3 4 lost", "B claim J1 8 9"), 60.0, "broken"),
        ((P1, A1, "B claim J1 8 9"), 7.0, "held"),
        ((P1, A1, "B claim J1 8 9"), 7.1, "broken"),
        ((P1, A1, "B claim J1 8 9", "C claim J1 10 11"), 4.6, "broken"),
    ],
)
def test_times_tell_leases(lines: tuple[str, ...], lease: float, verdict: str) -> None:
    """With times, only a claim whose last accepted heartbeat began a timeout ago can be taken back or over."""
    history = written(told(*lines), timed=True)
    assert judged(history, lease=lease).verdict == verdict
    assert exhaustive(history, lease=lease) == (verdict == "held")


def test_without_times_a_takeover_needs_a_reclaim() -> None:
    """Nobody can say that a lease has lapsed, so two claims in a row are two."""
    assert judged(written(told(P1, A1, "B claim J1 8 9")), lease=1.0).anomaly == "double-claim"


def test_sessions_that_ended_give_their_jobs_back() -> None:
    """A claim whose session has ended, by itself or with the server, may be released; another's may not."""
    calls = told(P1, A1, "B claim J1 6 7")
    assert judged(written(calls, [(4.0, "A")])).verdict == "held"
    assert judged(written(calls, [(4.0, "B")])).verdict == "broken"
    restarted = written(calls)
    restarted.insert(4, Restarted(step=0))
    assert judged(restarted).verdict == "held"


@pytest.mark.parametrize("seed", range(3))
def test_crowds_are_judged(seed: int) -> None:
    """2,000 calls of 50 clients at 50 jobs, lost answers among them; one more claim than right is found in its job."""
    calls = crowd(random.Random(seed))
    assert len(calls) == 2000
    assert sum(call.status is Status.UNKNOWN for call in calls) > 30
    assert judged(written(calls)).verdict == "held"
    job = double(calls)
    found = judged(written(calls))
    assert (found.verdict, found.job) == ("broken", job)


def test_crowds_share_lost_answers() -> None:
    """Twenty lost enqueues for twenty jobs, lost claims whose clients crashed; one enqueue too few is found."""
    calls = crowd(random.Random(1))
    lost = [call for call in calls if call.operation == "claim" and call.status is Status.UNKNOWN]
    sessions = [(call.ends + 0.5, call.client) for call in lost]
    enqueues = [call for call in calls if call.operation == "enqueue"]
    for call in enqueues[:20]:
        call.status = Status.UNKNOWN
    assert judged(written(calls, sessions)).verdict == "held"
    enqueues[0].status = Status.ERROR
    found = judged(written(calls, sessions))
    assert (found.verdict, found.anomaly) == ("broken", "phantom-job")


def test_out_of_time_is_unknown() -> None:
    """A case too hard for its time is neither held nor broken, and the time is kept."""
    ticks = count()
    found = linearize(written(impossible(20)), seconds_max=100.0, clock=lambda: float(next(ticks)))
    assert (found.verdict, found.anomaly, found.job) == ("unknown", None, None)
    assert next(ticks) <= 105
    assert found.explored > 1000
    assert "100 s" in sentences(found.facts)[0]


def test_a_hard_job_hides_no_other() -> None:
    """What is broken elsewhere is found although one job's search has no end."""
    calls = impossible(20)
    for line in ("P enqueue J2 0 1", "A claim J2 200 201", "B claim J2 202 203"):
        [call] = told(line)
        call.number = len(calls) + 1
        calls.append(call)
    ticks = count()
    found = linearize(written(calls), seconds_max=10_000.0, clock=lambda: float(next(ticks)))
    assert (found.verdict, found.job) == ("broken", "J2")


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([Returned(step=1, client="A", call=1, status=Status.OK)], "call 1, which is not in flight"),
        ([Invoked(step=n, client="A", worker="A", call=1, operation="claim") for n in (1, 2)], "begins a second time"),
        ([Invoked(step=1, client="A", worker="A", call=1, operation="dance")], "'dance'"),
    ],
)
def test_what_is_no_history_is_refused(events: list[Event], said: str) -> None:
    """An answer to nothing, a number used twice and an unknown operation are told to the caller."""
    with pytest.raises(UsageError, match=said):
        judged(events)


def test_the_same_history_gives_the_same() -> None:
    """Judging twice gives one result, facts included."""
    history = written(told(*WRONG["settled by a former holder"][1]))
    first, second = judged(history), judged(history)
    assert first == second
    assert "B's claim" in sentences(first.facts)[0]
    assert "call 2, was not current: the job was held by call 4" in sentences(first.facts)[2]
