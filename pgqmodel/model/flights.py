"""The calls in flight, and those whose end nobody knows: found by number, client, operation and job.

A mapping of numbers to calls, so that whoever wants them all can have them in the order in which they began.
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
    """Calls by what they are looked for by. `begun` counts every one that ever was."""

    kinds: Catalogue[Operation] = OPERATIONS
    """What may be in flight: the operations of the target."""
    begun: int = 0
    calls: dict[int, Call] = field(factory=dict)
    _orders: dict[int, int] = field(factory=dict)
    """How many calls had begun when each call in flight had."""
    _clients: dict[str, dict[int, Call]] = field(factory=dict)
    _operations: dict[str, dict[int, Call]] = field(factory=dict)
    lost: dict[int, Call] = field(factory=dict)
    """Calls that never ended, as far as anybody knows: their commit may be one that nobody claims."""
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
        """A call is in flight from now on."""
        self.begun += 1
        self._orders[call.number] = self.begun
        call.overlapped = bool(self.calls)
        self.calls[call.number] = call
        self._clients.setdefault(call.client, {})[call.number] = call
        self._operations.setdefault(call.operation, {})[call.number] = call

    def end(self, call: Call) -> None:
        """A call is over; whoever began while it was in flight overlapped it."""
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
        """Nobody will know how a call ended, but by what it did."""
        self.end(call)
        self.lost[call.number] = call
        self._lost_operations.setdefault(call.operation, {})[call.number] = call
        if call.job is not None:
            self._lost_jobs.setdefault(call.job, []).append(call)

    def find(self, call: Call) -> None:
        """A lost call has done what it can do."""
        if self.kinds[call.operation].names_job and self.lost.pop(call.number, None) is not None:
            del self._lost_operations[call.operation][call.number]

    def candidates(self, job: str, before: State | None, after: State | None) -> list[Call]:
        """Those that may have taken a job from one state to another by operation and job, oldest first."""
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
        """Whether no other call, in flight or lost, bears the same worker's name."""
        same = (other for other in (*self.calls.values(), *self.lost.values()) if other.worker == call.worker)
        return all(other is call for other in same)
