"""The clients of a story: how many there are of each role, what they are called, and which role a name tells.

The letter tells the role. The second of a role has a number behind its letter, and so has a worker's twin (A2).
"""

from __future__ import annotations

from pgqmodel.operations import Role

__all__ = ["MAINTENANCE", "PRODUCERS", "WORKERS", "cast", "role_of"]

WORKERS, PRODUCERS, MAINTENANCE = 3, 2, 2
"""How many there are where nobody says a number: two of what a deployment has two of, so that they can race."""
_WORKER_LETTERS = "ABCDEFGHJKLNQRSTUVWXYZ"
_LETTERS = {"P": Role.PRODUCER, "M": Role.MAINTENANCE}


def cast(*, workers: int, producers: int, maintenance: int) -> dict[str, Role]:
    """The clients that every story starts with, by name."""
    names = [*_numbered("P", producers), *_numbered("M", maintenance), *_WORKER_LETTERS[:workers]]
    return {name: role_of(name) for name in names}


def role_of(name: str) -> Role:
    """The role of the client that has a name in a story."""
    return _LETTERS.get(name[:1], Role.WORKER)


def _numbered(letter: str, count: int) -> list[str]:
    return [letter if number == 1 else f"{letter}{number}" for number in range(1, count + 1)]
