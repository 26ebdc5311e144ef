"""What a report says of clients whose clocks are off: in a client's column, and as the reason of a finding."""

from __future__ import annotations

from collections.abc import Iterable

from pgqmodel.history import Connected, Event, Invoked

__all__ = ["clock_words", "clocks_told"]


def clock_words(ahead: float) -> str:
    """By how much a clock is off."""
    return f"its clock is {_off(ahead)}"


def clocks_told(history: Iterable[Event]) -> tuple[str, ...]:
    """One sentence that names the clients of a story whose clocks are off the server's; none if all are right."""
    ahead: dict[str, float] = {}
    acted: dict[str, None] = {}
    for event in history:
        if isinstance(event, Connected):
            ahead[event.client] = event.ahead
        elif isinstance(event, Invoked):
            acted[event.client] = None
    clocks = [f"{name}'s is {_off(ahead[name])}" for name in acted if ahead.get(name)]
    return (f"Clocks differ from the server's: {', '.join(clocks)}.",) if clocks else ()


def _off(ahead: float) -> str:
    return f"{abs(ahead):g} s {'ahead' if ahead > 0 else 'behind'}"
