"""The deploy lock of each environment: the client that was granted it last, and whether it still holds it."""

from __future__ import annotations

from enum import StrEnum

from attrs import define

from pgqmodel.model.change import Call
from pgqmodel.model.facts import Fact

__all__ = ["Hold", "HoldState", "others"]


class HoldState(StrEnum):
    """The state of a deploy lock that was granted at least once."""

    HELD = "held"
    LAPSED = "lapsed"
    """Its job was taken from the holder, or its session has ended and no promise says what follows: it may be held
    or free, and both are legal."""
    FREE = "free"


@define(kw_only=True, eq=False)
class Hold:
    """The last grant of one environment's deploy lock, and its end."""

    environment: str
    client: str
    job: str | None
    claim: int | None
    step: int
    state: HoldState = HoldState.HELD
    freed: Fact | None = None
    """Why it is no longer held, or None while it is held."""
    released: bool = False
    """Its holder released it, by an unlock or by settling its job."""
    since: int = 0
    """The instant at which the grant was answered."""
    rivals: frozenset[str] = frozenset()
    """Clients that were granted the lock at the same instant; it is not known which of these grants was the last."""
    former: frozenset[str] = frozenset()
    """Clients that may have held it up to that instant."""


def others(hold: Hold | None, call: Call, instant: int) -> tuple[frozenset[str], frozenset[str]]:
    """The other clients that may hold a lock when it is granted to `call` now; `hold` is its last grant.

    First the clients that were granted it at the same instant, because each of these grants may be the last one; then
    the clients that may have held it up to now.
    """
    if hold is None:
        return frozenset(), frozenset()
    last = frozenset() if hold.state is HoldState.FREE else frozenset({hold.client})
    if hold.since < instant:
        return frozenset(), last - {call.client}
    return (hold.rivals | last) - {call.client}, (hold.former | last) - {call.client}
