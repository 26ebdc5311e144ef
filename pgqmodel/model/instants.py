"""Which events of a history are simultaneous, so that the order of their lines says nothing.

Time stamps order a history only where they differ. Where they are equal, three orders remain: each client's own, that
of commits in the log, and every commit between its call's invocation and its answer. Nothing else is known: a call that
was answered at the instant at which another began may have come after it. Whoever asks what preceded what therefore
compares the numbers of instants, and places in the record only for these three.

A stamp that is earlier than one before it belongs to the instant of the latest: where clocks and the record disagree,
nothing is ordered either. Without stamps the record itself is the order, and every event is an instant of its own.
"""

from __future__ import annotations

from attrs import define

from pgqmodel.history import Event

__all__ = ["Instants"]


@define(eq=False)
class Instants:
    """Numbers the instants of a history from 1, while its events go by."""

    number: int = 0
    _latest: float = float("-inf")

    def has_moved(self, event: Event) -> bool:
        """Whether a later instant begins with the next event."""
        at = event.at
        if at is not None:
            if at <= self._latest:
                return False
            self._latest = at
        self.number += 1
        return True
