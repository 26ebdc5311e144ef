"""Client histories for the search: a recorder that plays a queue, what spoils its answers, and the trial of all orders.

`exhaustive` is the yardstick. It is written from the documentation, knows nothing of jobs taken one by one, and shares
no code with the search.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from attrs import define, evolve, field

from pgqmodel.history import Ended, Event, Invoked, Returned
from pgqmodel.operations import Status

__all__ = ["Played", "crashes", "exhaustive", "play", "spoil", "written"]

LEASE_SECONDS = 5.0
FINAL = ("completed", "failed", "cancelled")


@define
class Played:
    """One call as it was played: its interval, its effect's place in between, and what its client was told."""

    number: int
    client: str
    operation: str
    begins: float
    ends: float
    job: str | None = None
    claim: int | None = None
    keyed: bool = False
    attempt: int | None = None
    status: Status = Status.OK
    answered: bool = True


def written(calls: list[Played], sessions: list[tuple[float, str]] = (), *, timed: bool = False) -> list[Event]:  # type: ignore[assignment]
    """The history of these calls, and of sessions that ended."""
    found: list[tuple[float, Any]] = [(at, Ended(step=1, client=client)) for at, client in sessions]
    for call in calls:
        told = call.operation not in {"enqueue", "claim", "reclaim"}
        arguments = {"unique_key": "k"} if call.keyed else {}
        begun = Invoked(
            step=1,
            client=call.client,
            worker=call.client,
            call=call.number,
            operation=call.operation,
            job=call.job if told else None,
            claim=call.claim,
            arguments=arguments,
        )
        found.append((call.begins, begun))
        if call.answered:
            ok = call.status is Status.OK and not told and call.operation != "reclaim"
            over = Returned(
                step=1,
                client=call.client,
                call=call.number,
                status=call.status,
                job=call.job if ok else None,
                row={"attempt": call.attempt} if ok and call.attempt is not None else {},
            )
            found.append((call.ends, over))
    found.sort(key=lambda one: one[0])
    return [evolve(event, step=step, at=at if timed else None) for step, (at, event) in enumerate(found, 1)]


@define
class _Queue:
    """A right queue, one call at a time: job -> [state, claim, attempts]."""

    chance: random.Random
    jobs: dict[str, list[Any]] = field(factory=dict)
    claimed: list[Played] = field(factory=list)

    def perform(self, call: Played) -> None:
        """Let the call have its effect, and answer it."""
        getattr(self, f"_{call.operation}", self._settle)(call)

    def _enqueue(self, call: Played) -> None:
        live = [job for job, row in self.jobs.items() if row[0] in {"pending", "running"}]
        if call.keyed and live:
            call.job = self.chance.choice(live)
            return
        call.job = f"J{len(self.jobs) + 1}"
        self.jobs[call.job] = ["pending", None, 0]

    def _claim(self, call: Played) -> None:
        ready = [job for job, row in self.jobs.items() if row[0] == "pending"]
        if not ready:
            call.status = Status.EMPTY
            return
        call.job = self.chance.choice(ready)
        row = self.jobs[call.job]
        row[:] = ["running", call.number, row[2] + 1]
        call.attempt = row[2]
        self.claimed.append(call)

    def _settle(self, call: Played) -> None:
        row = self.jobs.get(call.job or "")
        if row is None or row[0] != "running" or row[1] != call.claim:
            call.status = Status.REFUSED
        elif call.operation != "heartbeat":
            after = {"complete": ["completed"], "fail": ["pending", "pending", "failed"], "retry": ["pending"]}
            row[0] = self.chance.choice(after[call.operation])

    def _cancel(self, call: Played) -> None:
        row = self.jobs.get(call.job or "")
        if row is None or row[0] not in {"pending", "running"}:
            call.status = Status.REFUSED
        else:
            row[0] = "cancelled"

    def _reclaim(self, call: Played) -> None:
        for row in self.jobs.values():
            if row[0] == "running" and self.chance.random() < 0.7:
                row[0] = self.chance.choice(["pending", "pending", "pending", "failed"])


_WEIGHTS = {
    "enqueue": 2,
    "claim": 6,
    "heartbeat": 2,
    "complete": 2,
    "fail": 2,
    "retry": 2,
    "cancel": 1,
    "reclaim": 3,
}


def play(chance: random.Random, *, calls_max: int = 8, jobs_max: int = 3) -> list[Played]:
    """Calls of a right queue whose intervals overlap, some answers lost."""
    queue = _Queue(chance)
    width = chance.choice([0.5, 1.0, 2.0, 5.0])
    numbered = chance.random() < 0.7
    lost = chance.choice([0.03, 0.1, 0.3])
    calls: list[Played] = []
    for number in range(1, chance.choice([calls_max - 4, calls_max, calls_max, calls_max]) + 1):
        operation = "enqueue" if number == 1 else chance.choices(list(_WEIGHTS), [*_WEIGHTS.values()])[0]
        if operation == "enqueue" and len(queue.jobs) >= jobs_max:
            operation = "claim"
        call = Played(
            number=number,
            client=chance.choice("ABC"),
            operation=operation,
            begins=number - chance.random() * width,
            ends=number + chance.random() * width,
            keyed=operation == "enqueue" and chance.random() < 0.2,
        )
        if operation in {"heartbeat", "complete", "fail", "retry"}:
            if not queue.claimed:
                continue
            claim = chance.choice(queue.claimed[-2:])
            call.client, call.job, call.claim = claim.client, claim.job, claim.number
            if chance.random() < 0.05:
                call.claim = None
        elif operation == "cancel":
            call.job = chance.choice([*queue.jobs])
        queue.perform(call)
        if not numbered:
            call.attempt = None
        calls.append(call)
    for call in calls:
        if chance.random() < lost:
            call.answered, call.status = chance.random() < 0.5, Status.UNKNOWN
    return calls


def crashes(chance: random.Random, calls: list[Played]) -> list[tuple[float, str]]:
    """The end of a session in which something was claimed; its jobs come back, and one of them is claimed again."""
    claims = [call for call in calls if call.operation == "claim" and call.job is not None]
    if not claims:
        return []
    claim = chance.choice(claims)
    at = claim.ends + 0.01
    if chance.random() < 0.7:
        attempt = claim.attempt + 1 if claim.attempt is not None else None
        again = Played(number=99, client="D", operation="claim", begins=at + 0.1, ends=at + 0.2, job=claim.job)
        again.attempt = attempt
        calls.append(again)
    return [(at, claim.client)]


def spoil(chance: random.Random, calls: list[Played]) -> None:
    """Change what a few clients were told, or when."""
    for _ in range(chance.randint(2, 5)):
        _spoil_one(chance, calls)


def _spoil_one(chance: random.Random, calls: list[Played]) -> None:
    jobs = sorted({call.job for call in calls if call.job is not None} | {"J2"})
    claims = [call.number for call in calls if call.operation == "claim"]
    call = chance.choice([call for call in calls if call.status is not Status.UNKNOWN] or calls)
    how = chance.randrange(6)
    if how == 0 and call.status in {Status.REFUSED, Status.EMPTY} and (call.job or call.operation == "claim"):
        call.status, call.job = Status.OK, call.job or chance.choice(jobs)
    elif how == 1 and call.operation == "claim" and call.attempt is not None:
        call.attempt += chance.choice([-1, 1])
    elif how == 2 and call.job is not None:
        call.job = chance.choice(jobs)
    elif how == 3 and call.claim is not None and claims:
        call.claim = chance.choice(claims)
    elif how == 4:
        call.answered, call.status = False, Status.UNKNOWN
    else:
        length = chance.random()
        call.begins += chance.uniform(-4, 4)
        call.ends = call.begins + length


@define
class _Trial:
    """All orders and all fates, on all jobs at once: job -> (state, claim, settled, attempts, beat).

    Of each call `places` has where it began and ended, and `former` the answered calls that its client had made before.
    Lost calls, reclaims and the ends of sessions are left free within their instant, as the search leaves them.
    """

    calls: dict[int, tuple[Invoked, Returned | None]]
    places: dict[int, tuple[float, float]]
    former: dict[int, frozenset[int]]
    releases: list[tuple[float, int]]
    names: list[str]
    lease: float | None
    most: int | None
    failed: set[Any] = field(factory=set)

    def explains(self, left: frozenset[int], released: frozenset[int], jobs: tuple[Any, ...]) -> bool:
        """Whether what is left of the calls can go on from here."""
        if all(self.places[number][1] == float("inf") for number in left):
            return True
        if (left, released, jobs) in self.failed:
            return False
        if any(self.explains(*point) for point in self.nexts(left, released, jobs)):
            return True
        self.failed.add((left, released, jobs))
        return False

    def nexts(self, left: frozenset[int], released: frozenset[int], jobs: tuple[Any, ...]) -> Iterator[Any]:
        """Whatever may come next: a call that began before any left one was answered, or a session's end."""
        soonest = min(self.places[number][1] for number in left)
        for number in left:
            if self.places[number][0] < soonest and not self.former[number] & left:
                for after in self.effects(number, jobs):
                    yield left - {number}, released, after
        for place, claim in self.releases:
            for name, row in enumerate(jobs):
                if place < soonest and claim not in released and row[:2] == ("running", claim):
                    yield left, released | {claim}, _with(jobs, name, ("pending", *row[1:]))

    def effects(self, number: int, jobs: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        """Every state that the call may leave, its answer being what it is."""
        begun, over = self.calls[number]
        lost = over is None or over.status is Status.UNKNOWN
        if lost or (over is not None and over.status is not Status.OK):
            yield jobs
        if over is not None and over.status in {Status.REFUSED, Status.EMPTY, Status.ERROR}:
            return
        until = None if begun.at is None else float("inf") if lost or over is None else over.at
        if begun.operation == "reclaim":
            yield from self.reclaimed(jobs, 0, until)
            return
        job = over.job if over is not None and over.job is not None else begun.job
        for name in range(len(jobs)) if job is None else [self.names.index(job)]:
            since = jobs[name][4]
            if until is None or since is None or until >= since - 1e-5:
                for row in self.rows(begun, over, until, jobs[name]):
                    yield _with(jobs, name, row)

    def reclaimed(self, jobs: tuple[Any, ...], name: int, until: float | None) -> Iterator[tuple[Any, ...]]:
        """Every choice of running jobs, each made pending or failed."""
        if name == len(jobs):
            yield jobs
            return
        yield from self.reclaimed(jobs, name + 1, until)
        row = jobs[name]
        if row[0] == "running" and (self.lease is None or row[4] is None or until - row[4] >= self.lease - 1e-5):  # type: ignore[operator]
            since = None if row[4] is None else row[4] + (self.lease or 0.0)
            for state in ("pending", "failed"):
                yield from self.reclaimed(_with(jobs, name, (state, *row[1:4], since)), name + 1, until)

    def rows(self, begun: Invoked, over: Returned | None, until: float | None, row: Any) -> Iterator[Any]:
        """What may become of the one job that the call is about."""
        if begun.operation == "enqueue":
            if row[0] is None:
                yield ("pending", *row[1:])
            elif begun.arguments.get("unique_key") and row[0] in {"pending", "running"}:
                yield row
        elif begun.operation == "claim":
            yield from self.claimed(begun, over, until, row)
        else:
            yield from self.held(begun, row)

    def claimed(self, begun: Invoked, over: Returned | None, until: float | None, row: Any) -> Iterator[Any]:
        """A pending job, or one whose lease can have lapsed, under the right number."""
        state, _, _, attempts, beat = row
        told = over.row.get("attempt") if over is not None else None
        timed = self.lease is not None and beat is not None and until is not None
        takes = state == "running" and timed and until - beat >= self.lease - 1e-5
        enough = self.most is not None and attempts >= self.most
        if (state == "pending" or takes) and told in {None, attempts + 1} and not enough:
            known = [at for at in (begun.at, beat + self.lease if takes else beat) if at is not None]
            since = max(known, default=None)
            yield ("running", begun.call, False, attempts + 1, since)

    def held(self, begun: Invoked, row: Any) -> Iterator[Any]:
        """What a holder, or one who cancels, makes of a job."""
        state, claim, settled, attempts, beat = row
        own = begun.claim is None or begun.claim == claim
        if begun.operation == "heartbeat":
            if state == "running" and own:
                yield (*row[:4], None if beat is None else max(beat, begun.at))
        elif begun.operation == "cancel":
            if state in {"pending", "running", "cancelled"}:
                yield ("cancelled", *row[1:])
        elif state == "running" and own:
            after = {"complete": ["completed"], "fail": ["pending", "failed"], "retry": ["pending", "failed"]}
            for one in after[begun.operation]:
                yield (one, claim, True, attempts, beat)
        elif settled and own:
            yield row


def _with(jobs: tuple[Any, ...], name: int, row: Any) -> tuple[Any, ...]:
    return (*jobs[:name], row, *jobs[name + 1 :])


def _laid_out(history: list[Event]) -> tuple[dict[int, int], dict[int, int]]:
    """Each line's place in an order that forbids the least, all that begins at an instant first; where that begins."""
    untimed = all(event.at is None for event in history)
    keys = [(line, 0) if untimed else (event.at, isinstance(event, Returned)) for line, event in enumerate(history)]
    order = sorted(range(len(history)), key=lambda line: keys[line])
    place = {line: number for number, line in enumerate(order)}
    firsts: dict[object, int] = {}
    for line in order:
        firsts.setdefault(keys[line][0], place[line])
    return place, {line: firsts[keys[line][0]] for line in order}


def _former(begun: dict[int, Invoked], lines: dict[int, tuple[float, float]], number: int) -> Iterator[int]:
    """The calls that the client of an answered call had been answered before."""
    asked, answered = lines[number]
    for other, call in begun.items():
        mine = call.client == begun[number].client and call.operation != "reclaim"
        if mine and lines[other][1] < asked and answered < float("inf"):
            yield other


def _is_lost(over: dict[int, Returned], number: int) -> bool:
    return number not in over or over[number].status is Status.UNKNOWN


def exhaustive(history: list[Event], *, lease: float | None = None, most: int | None = None) -> bool:
    """Whether any order and any fates explain the history, by trying them all."""
    begun = {event.call: event for event in history if isinstance(event, Invoked)}
    over = {event.call: event for event in history if isinstance(event, Returned)}
    place, starts = _laid_out(history)
    places, lines = {}, {}
    for number, event in begun.items():
        lost = _is_lost(over, number)
        lines[number] = (history.index(event), float("inf") if lost else history.index(over[number]))
        first, last = lines[number]
        places[number] = (place[first], float("inf") if lost else place[last])

    releases = []
    for line, event in enumerate(history):
        if isinstance(event, Ended):
            mine = [n for n, one in enumerate(history[:line]) if getattr(one, "client", None) == event.client]
            for call in begun.values():
                if call.client == event.client and mine and starts[lines[call.call][0]] <= starts[mine[-1]]:
                    releases.append((starts[mine[-1]], call.call))
    names = sorted({e.job for e in history if isinstance(e, Invoked | Returned) and e.job is not None})
    trial = _Trial(
        calls={number: (event, over.get(number)) for number, event in begun.items()},
        places=places,
        former={number: frozenset(_former(begun, lines, number)) for number in begun},
        releases=releases,
        names=names,
        lease=lease,
        most=most,
    )
    return trial.explains(frozenset(begun), frozenset(), ((None, None, False, 0, None),) * len(names))
