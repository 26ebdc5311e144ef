"""Numbers in sentences: one step, two steps; once, twice as often."""

from __future__ import annotations

__all__ = ["counted", "times"]


def counted(number: int, noun: str) -> str:
    """A number of things: "1 step", "1,200 steps"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def times(number: int) -> str:
    """How often: "once", "12 times"."""
    return "once" if number == 1 else f"{number:,} times"
