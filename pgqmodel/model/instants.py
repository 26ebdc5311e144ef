"""Numbers the instants of a history. Events of one instant are simultaneous: the order of their lines means nothing.

Time stamps order events only if they differ. Among events with equal stamps three orders remain: each client's own,
that of commits in the log, and every commit stands between its call's invocation and answer. Nothing else is known: if
a call was answered at the instant at which another began, it may have come after it. So code that asks which event came
first compares the numbers of instants; it compares places in the record only for these three orders.

A stamp that is earlier than a stamp before it belongs to the instant of the latest one: where clocks contradict the
record, there is no order either. Without stamps the record is the order, and every event is an instant of its own.
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
        """Whether the next event begins a later instant."""
        at = event.at
        if at is not None:
            if at <= self._latest:
                return False
            self._latest = at
        self.number += 1
        return True
