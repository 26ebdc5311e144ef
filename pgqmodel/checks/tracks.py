"""A short record of each job and each deploy lock in a recorded history. `paths` makes its graphs of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import define, field

from pgqmodel.checks.waits import waiting_in_cycles
from pgqmodel.history import Blocked, Committed, Connected, Ended, Event, Invoked, Job, Observed, Restarted, Returned
from pgqmodel.model.instants import Instants
from pgqmodel.operations import DEPLOY, HEARTBEAT, LOCK, RECLAIM, SETTLEMENTS, UNLOCK, State, Status

__all__ = ["ClaimTrack", "Grant", "Track", "Tracks"]

_COMPLETED, _RUNNING = State.COMPLETED, State.RUNNING
_OK = Status.OK
_LOST = frozenset({Status.ERROR, Status.UNKNOWN})

_HOLDERS = frozenset({*SETTLEMENTS, HEARTBEAT.name})
_LOCKS = frozenset({LOCK.name, UNLOCK.name, DEPLOY.name})


@define(eq=False)
class ClaimTrack:
    """One claim as its commit showed it. `accepted` has the commit and name of its holder's accepted operations."""

    call: int | None
    client: str
    step: int
    begun: int
    """The instant at which its call began."""
    attempt: int | None
    settled: int | None = None
    taken_back: int | None = None
    accepted: list[tuple[int, str]] = field(factory=list)


@define(eq=False)
class Track:
    """One job: its run and stage, the instant when it was first seen, its completion and its claims."""

    name: str
    born: int
    run: str | None
    stage: int | None
    needs: tuple[str, ...]
    state: State
    completed: int | None = None
    claims: list[ClaimTrack] = field(factory=list)


@define(eq=False)
class Grant:
    """One grant of a deploy lock. The operation `proof` shows that the client held it until the step `shown`.

    `since` and `until` are the instants of the grant and of that step.
    """

    environment: str
    client: str
    job: str | None
    step: int
    shown: int
    since: int
    until: int
    proof: str = "lock"


class Tracks:
    """The records of a history; they are filled while the events pass by."""

    def __init__(self) -> None:
        self.jobs: dict[str, Track] = {}
        self.runs: dict[str, list[str]] = {}
        self.grants: dict[str, list[Grant]] = {}
        self._instants = Instants()
        self._calls: dict[int, tuple[Invoked, int]] = {}
        """The invocation of each call, and its instant."""
        self._commits: dict[int, int] = {}
        self._holds: dict[tuple[str, str], Grant] = {}
        self._waits: dict[str, tuple[str, ...]] = {}
        self._suspects: list[tuple[int, str]] = []
        """Clients that began to wait in a cycle at the present instant, with the step. It is no deadlock if one of the
        waits ends at the same instant."""
        self.deadlocks: list[tuple[int, dict[str, tuple[str, ...]]]] = []

    def passing(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass the events on and record them."""
        looks = {
            Invoked: self._invoked,
            Blocked: self._blocked,
            Committed: self._committed,
            Observed: self._observed,
            Returned: self._returned,
            Ended: self._ended,
            Connected: self._ended,
            Restarted: self._restarted,
        }
        for event in events:
            if self._instants.has_moved(event) and self._suspects:
                self._end_instant()
            look = looks.get(type(event))
            if look is not None:
                look(event)  # type: ignore[operator]
            yield event
        self._end_instant()

    def _end_instant(self) -> None:
        """All events of the instant are known: the suspects that still wait in a cycle are in a deadlock."""
        cycles = waiting_in_cycles(self._waits) if self._suspects else set()
        self.deadlocks.extend((step, dict(self._waits)) for step, client in self._suspects if client in cycles)
        self._suspects.clear()

    def _invoked(self, event: Invoked) -> None:
        self._calls[event.call] = event, self._instants.number

    def _blocked(self, event: Blocked) -> None:
        self._waits[event.client] = event.by
        if event.client in waiting_in_cycles(self._waits):
            self._suspects.append((event.step, event.client))

    def _committed(self, event: Committed) -> None:
        self._commits[event.call] = event.step
        self._waits.pop(event.client, None)

    def _observed(self, event: Observed) -> None:
        for name, row in event.jobs.items():
            track = self.jobs.get(name)
            if track is None:
                if row is not None:
                    self._first_seen(event, name, row)
                continue
            was, track.state = track.state, row.state if row is not None else track.state
            if row is not None and row.state is not was:
                self._changed(event, track, row)

    def _first_seen(self, event: Observed, name: str, row: Job) -> None:
        born = self._instants.number
        track = Track(name=name, born=born, run=row.run, stage=row.stage, needs=row.needs, state=row.state)
        self.jobs[name] = track
        if row.state is _COMPLETED:
            track.completed = event.step
        if row.run is not None and row.stage is not None:
            self.runs.setdefault(row.run, []).append(name)

    def _changed(self, event: Observed, track: Track, row: Job) -> None:
        """Record the change of a job's state."""
        none = (None, self._instants.number)
        call, begun = self._calls.get(event.by[0], none) if len(event.by) == 1 else none
        if row.state is _RUNNING:
            track.claims.append(
                ClaimTrack(
                    call=call.call if call is not None else None,
                    client=call.client if call is not None else row.holder or "somebody",
                    step=event.step,
                    begun=begun,
                    attempt=row.attempt,
                )
            )
            return
        if row.state is _COMPLETED and track.completed is None:
            track.completed = event.step
        last = track.claims[-1] if track.claims else None
        if last is None or last.settled is not None or last.taken_back is not None or call is None:
            return
        if call.operation == RECLAIM.name:
            last.taken_back = event.step
        elif call.claim == last.call:
            last.settled = event.step

    def _returned(self, event: Returned) -> None:
        call, begun = self._calls.pop(event.call, (None, 0))
        step = self._commits.pop(event.call, None)
        self._waits.pop(event.client, None)
        if call is None or event.status is not _OK:
            if event.status in _LOST:
                self._forget(event.client)
            return
        if call.operation in _HOLDERS and step is not None and call.job is not None:
            self._accept(call, step)
        elif call.operation in _LOCKS:
            self._lock(call, event, begun)

    def _accept(self, call: Invoked, step: int) -> None:
        track = self.jobs.get(call.job or "")
        for claim in track.claims if track is not None else ():
            if claim.call == call.claim and claim.call is not None:
                claim.accepted.append((step, call.operation))
                del claim.accepted[:-2]

    def _lock(self, call: Invoked, event: Returned, begun: int) -> None:
        environment = call.arguments.get("environment")
        if environment is None:
            return
        if call.operation == LOCK.name:
            track = self.jobs.get(call.job or "")
            claim = track.claims[-1] if track is not None and track.claims else None
            if claim is None or claim.call != call.claim or track is None or track.state is not _RUNNING:
                return
            now = self._instants.number
            grant = Grant(
                environment=environment,
                client=call.client,
                job=call.job,
                step=event.step,
                shown=event.step,
                since=now,
                until=now,
            )
            self.grants.setdefault(environment, []).append(grant)
            self._holds[call.client, environment] = grant
            return
        held = self._holds.get((call.client, environment))
        if held is not None and held.job == call.job:
            held.shown, held.until, held.proof = call.step, begun, call.operation
            if call.operation == UNLOCK.name:
                del self._holds[call.client, environment]

    def _ended(self, event: Ended | Connected) -> None:
        self._forget(event.client)

    def _forget(self, client: str) -> None:
        """Forget a client's locks and waits, because it is no longer known whether they go on."""
        self._waits.pop(client, None)
        for key in [key for key in self._holds if key[0] == client]:
            del self._holds[key]

    def _restarted(self, event: Restarted) -> None:
        self._holds.clear()
        self._waits.clear()
