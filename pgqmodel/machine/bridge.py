"""The one place where synchronous code waits for Trio: Hypothesis' machine is synchronous, the world is not.

Two greenlets share a thread: the machine runs in the child, and hands every awaitable to the Trio task that is its
parent (the way SQLAlchemy runs its synchronous core on asyncio). A switch costs about a microsecond, where a thread
with a portal costs a hundred.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

__all__ = ["run_sync", "wait"]

T = TypeVar("T")


async def run_sync(function: Callable[[], T]) -> T:
    """Run `function`, which may call `wait`, and return what it returns; what it raises is raised here."""
    child = greenlet(function)
    asked: Any = child.switch()
    while not child.dead:
        try:
            answer = await asked
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the child
            asked = child.throw(error)
        else:
            asked = child.switch(answer)
    result: T = asked
    return result


def wait(awaitable: Awaitable[T]) -> T:
    """Wait, in synchronous code under `run_sync`, for something asynchronous."""
    parent = getcurrent().parent
    assert parent is not None, "wait() was called outside run_sync()"
    answer: T = parent.switch(awaitable)
    return answer
