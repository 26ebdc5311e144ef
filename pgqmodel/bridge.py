"""The one place where synchronous code waits for a caller that runs in Trio.

Two kinds of code are synchronous and the world is not: the machines of Hypothesis, and the functions of an application.
Two greenlets share a thread. The synchronous code runs in the child and hands each of its questions to its parent,
which sends the answer when there is one (the way SQLAlchemy runs its synchronous core on asyncio). A switch costs about
a microsecond, where a thread with a portal costs a hundred.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet

__all__ = ["Dialogue", "ask"]


class Dialogue:
    """Runs `function`, which may call `ask`, question by question."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._child = greenlet(function)

    @property
    def over(self) -> bool:
        """Whether the function has returned, or was broken off."""
        return bool(self._child.dead)

    def send(self, *answer: object) -> Any:
        """Answer the last question, or begin. Return the next question, or the result of the function.

        An error of the function is raised here.
        """
        return self._child.switch(*answer)

    def throw(self, error: BaseException) -> Any:
        """Raise an error where the last question was asked. Return the next question, or the function's result."""
        return self._child.throw(error)


def ask(question: object) -> Any:
    """Ask a question from inside the function that a `Dialogue` runs, and wait for the answer."""
    parent = getcurrent().parent
    assert parent is not None, "ask() was called outside a Dialogue"
    return parent.switch(question)
