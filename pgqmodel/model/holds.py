"""What is known of each environment's deploy lock: who was granted it last, and what became of that."""

from __future__ import annotations

from enum import StrEnum

from attrs import define

from pgqmodel.model.change import Call
from pgqmodel.model.facts import Fact

__all__ = ["Hold", "HoldState", "others"]


class HoldState(StrEnum):
    """What is known of a deploy lock that was once granted."""

    HELD = "held"
    LAPSED = "lapsed"
    """Its job was taken from the holder, or its session has ended and no promise says what that does: it may be held
    or free, and both are legal."""
    FREE = "free"


@define(kw_only=True, eq=False)
class Hold:
    """The last grant of one environment's deploy lock, and what became of it."""

    environment: str
    client: str
    job: str | None
    claim: int | None
    step: int
    state: HoldState = HoldState.HELD
    freed: Fact | None = None
    """Why it is no longer held, or None while it is."""
    released: bool = False
    """It is free because its holder let go of it, by unlocking or by settling its job."""
    since: int = 0
    """The instant at which the grant was answered."""
    rivals: frozenset[str] = frozenset()
    """Clients that were granted it at the same instant: nobody knows who of them all was the last."""
    former: frozenset[str] = frozenset()
    """Clients that may have held it up to that instant."""


def others(hold: Hold | None, call: Call, instant: int) -> tuple[frozenset[str], frozenset[str]]:
    """Who else may hold a lock, last held as `hold`, that is granted to `call` now.

    First those who were granted it at this very instant, so that each of them may be the last; then those who may have
    held it up to now.
    """
    if hold is None:
        return frozenset(), frozenset()
    last = frozenset() if hold.state is HoldState.FREE else frozenset({hold.client})
    if hold.since < instant:
        return frozenset(), last - {call.client}
    return (hold.rivals | last) - {call.client}, (hold.former | last) - {call.client}
