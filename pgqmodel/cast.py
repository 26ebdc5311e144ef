"""The clients of a story: their numbers and names, and the role for a name.

The letter tells the role. The second client of a role has a number after its letter, and so has a worker's twin (A2).
"""

from __future__ import annotations

from pgqmodel.operations import Role

__all__ = ["MAINTENANCE", "PRODUCERS", "WORKERS", "cast", "role_of"]

WORKERS, PRODUCERS, MAINTENANCE = 3, 2, 2
"""The default numbers: two of the clients of which a deployment has two, so that they can race."""
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
