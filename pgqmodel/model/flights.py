"""The calls in flight, and the calls whose end is unknown: found by number, client, operation and job.

Calls are kept by their numbers, in the order in which they began.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from pgqmodel.catalogue import Catalogue
from pgqmodel.model.change import Call
from pgqmodel.model.transitions import doers
from pgqmodel.operations import OPERATIONS, Operation, State

__all__ = ["Flights"]


@define(eq=False)
class Flights:
    """Calls with indexes for each search. `begun` counts all calls that ever began."""

    kinds: Catalogue[Operation] = OPERATIONS
    """The operations of the target."""
    begun: int = 0
    calls: dict[int, Call] = field(factory=dict)
    _orders: dict[int, int] = field(factory=dict)
    """For each call in flight, the number of calls that had begun when it began."""
    _clients: dict[str, dict[int, Call]] = field(factory=dict)
    _operations: dict[str, dict[int, Call]] = field(factory=dict)
    lost: dict[int, Call] = field(factory=dict)
    """Calls whose answer was lost and whose end is unknown: they may have made a commit that no other call made."""
    _lost_operations: dict[str, dict[int, Call]] = field(factory=dict)
    _lost_jobs: dict[str, list[Call]] = field(factory=dict)

    def __len__(self) -> int:
        return len(self.calls)

    def values(self) -> Iterator[Call]:
        """Every call in flight, oldest first."""
        return iter(self.calls.values())

    def of_client(self, client: str) -> list[Call]:
        """The calls in flight of one client."""
        return list(self._clients.get(client, {}).values())

    def begin(self, call: Call) -> None:
        """Add a call that begins."""
        self.begun += 1
        self._orders[call.number] = self.begun
        call.overlapped = bool(self.calls)
        self.calls[call.number] = call
        self._clients.setdefault(call.client, {})[call.number] = call
        self._operations.setdefault(call.operation, {})[call.number] = call

    def end(self, call: Call) -> None:
        """Remove a call that is over; it overlapped others if any began meanwhile."""
        if self.calls.pop(call.number, None) is None:
            return
        if self.begun > self._orders.pop(call.number):
            call.overlapped = True
        mine = self._clients[call.client]
        del mine[call.number]
        if not mine:
            del self._clients[call.client]
        del self._operations[call.operation][call.number]

    def lose(self, call: Call) -> None:
        """The answer of a call is lost: only a change can still show its effect."""
        self.end(call)
        self.lost[call.number] = call
        self._lost_operations.setdefault(call.operation, {})[call.number] = call
        if call.job is not None:
            self._lost_jobs.setdefault(call.job, []).append(call)

    def find(self, call: Call) -> None:
        """A change shows the effect of a lost call, so it can have no other effect."""
        if self.kinds[call.operation].names_job and self.lost.pop(call.number, None) is not None:
            del self._lost_operations[call.operation][call.number]

    def candidates(self, job: str, before: State | None, after: State | None) -> list[Call]:
        """The calls that may have made this change, by their operation and job, oldest first."""
        found: dict[int, Call] = {}
        cascades = after is State.CANCELLED
        for operation in doers(self.kinds, before, after):
            bound = operation.holders and not cascades
            for call in self._operations.get(operation.name, {}).values():
                if not bound or call.job == job:
                    found[call.number] = call
            if not bound:
                found |= self._lost_operations.get(operation.name, {})
        found |= {call.number: call for call in self._lost_jobs.get(job, ())}
        return [found[number] for number in sorted(found)]

    def is_alone(self, call: Call) -> bool:
        """Whether no other call, in flight or lost, has the same worker's name."""
        same = (other for other in (*self.calls.values(), *self.lost.values()) if other.worker == call.worker)
        return all(other is call for other in same)
