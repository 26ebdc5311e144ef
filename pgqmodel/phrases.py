"""Small phrases that many sentences share: a counted noun, "3 times", the name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = ["counted", "meant", "often", "shown"]


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: "1 step", "2 steps", "1,200 steps"; `plural` is for nouns without a plural s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def often(number: int) -> str:
    """A number of times: "once", "2 times", "1,200 times"."""
    return "once" if number == 1 else counted(number, "time")


def meant(name: str, known: Iterable[str]) -> str:
    """A question with the known name that is nearest to a misspelt one, and a space; empty if none is near."""
    near = difflib.get_close_matches(name.lower(), list(known), n=1)
    return f"Did you mean {near[0]!r}? " if near else ""


def shown(value: Any) -> str:
    """A value for an error text. A whole number may have more digits than Python converts to text."""
    try:
        return repr(value)[:80]
    except ValueError:
        return "a number of some thousand digits"
