"""Chance and time as a function of an application finds them in a story: both are the story's.

While such a function runs, from one wait to the next, `random`, `os.urandom`, and so `uuid4` and `secrets`, draw from a
stream of the story's seed, and `time.sleep` returns at once: time stands still until a step moves it. In between all is
as it was. Without a seed, as in a simulation, chance and time are real.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from types import coroutine
from typing import Any, SupportsIndex, TypeVar

from attrs import define, field

__all__ = ["Turns"]

T = TypeVar("T")


@define
class Turns:
    """The turns of one call of a function. No two of them draw the same values."""

    seed: str | None
    _taken: int = 0
    _stream: random.Random = field(factory=random.Random)

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a piece of the function."""
        with self._turn():
            return function(*arguments)

    @coroutine
    def drive(self, running: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Await an asynchronous function, in turns."""
        step: Callable[[Any], Any] = running.send
        given: Any = None
        try:
            while True:
                asked = self.run(step, given)
                try:
                    step, given = running.send, (yield asked)
                except BaseException as error:  # noqa: BLE001 - a cancellation, too, is for what is awaited
                    step, given = running.throw, error
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if self.seed is None:
            yield
            return
        self._taken += 1
        random.seed(f"{self.seed}/{self._taken}")
        self._stream.seed(f"{self.seed}/{self._taken}/bytes")
        kept = os.urandom, random._urandom, time.sleep  # type: ignore[attr-defined]
        os.urandom = random._urandom = self._stream.randbytes  # type: ignore[attr-defined]
        time.sleep = _go_on
        try:
            yield
        finally:
            os.urandom, random._urandom, time.sleep = kept  # type: ignore[attr-defined]


def _go_on(seconds: float | SupportsIndex) -> None:
    """Sleep for no time of the story."""
