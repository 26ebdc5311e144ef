"""The one place where synchronous code waits for a caller: Hypothesis' machine is synchronous, the world is not.

Two greenlets share a thread: the machine runs in the child, and hands each of its questions to its parent, who sends
the answer when there is one (the way SQLAlchemy runs its synchronous core on asyncio). A switch costs about a
microsecond, where a thread with a portal costs a hundred.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet

__all__ = ["Dialogue", "ask"]


class Dialogue:
    """Runs `function`, which may call `ask`, in turns."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._child = greenlet(function)

    @property
    def over(self) -> bool:
        """Whether the function has come to its end, or was never begun and never will be."""
        return bool(self._child.dead)

    def send(self, *answer: object) -> Any:
        """Answer the last question, or begin: the next question, or what the function returns.

        What it raises is raised here.
        """
        return self._child.switch(*answer)

    def throw(self, error: BaseException) -> Any:
        """Raise an error where the last question was asked: the next question, or what the function returns."""
        return self._child.throw(error)


def ask(question: object) -> Any:
    """Ask, in a function that a `Dialogue` runs, and wait for the answer."""
    parent = getcurrent().parent
    assert parent is not None, "ask() was called outside a Dialogue"
    return parent.switch(question)
