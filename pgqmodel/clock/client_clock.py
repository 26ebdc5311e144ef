"""The clocks of clients: by how much each may be off the server's, and a moment as a parameter has it. Pure.

Clients that start with a story are not left to luck: the first two of a role are off by the whole bound, one ahead and
one behind, so that every seed has two that are as far apart as they may be. Which is which is of the seed.
"""

from __future__ import annotations

import datetime as dt
import hashlib

__all__ = ["moment", "offset_seconds"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def offset_seconds(name: str, *, bound: float, seed: int = 0, role: str = "", place: int | None = None) -> float:
    """By how much a client's clock is ahead of the server's, to a millisecond; less than 0 is behind.

    `place` is its number among the clients of its role, from 0; None for one that came later.
    """
    if place is not None and place < 2:
        ahead = (place + _drawn(seed, role)) % 2
        return round(bound if ahead else -bound, 3)
    return round(bound * (_drawn(seed, name) / 2**31 - 1), 3)


def _drawn(seed: int, name: str) -> int:
    """A number below 2 ** 32 of the seed and a name."""
    return int.from_bytes(hashlib.sha256(f"{seed}/clock/{name}".encode()).digest()[:4], "big")


def moment(us: int) -> dt.datetime:
    """Microseconds since the epoch as `%(now)s` has them: exact, and of a time zone."""
    return _EPOCH + dt.timedelta(microseconds=us)
