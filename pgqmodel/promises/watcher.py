"""The memory that promises keep beside the model. The judge tells it every event; it is made anew for every story."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pgqmodel.history import Observed
from pgqmodel.model.change import Call, Change
from pgqmodel.model.state import ModelState
from pgqmodel.promises.broken import Broken

__all__ = ["Watcher"]


class Watcher:
    """The judge tells it each event after the model has taken the event over. Promises that ask for one kind share it.

    `count(promise)` says that a promise was put to the test.
    """

    WORDS = ("invoked", "ran", "observed", "returned", "instant_over", "lost", "doubted", "restarted")
    """The methods by which it is told."""

    def __init__(self, count: Callable[[str], None]) -> None:
        self.count = count

    @classmethod
    def hears(cls, word: str) -> bool:
        """Whether it does anything when it is told this."""
        return getattr(cls, word) is not getattr(Watcher, word)

    def invoked(self, state: ModelState, call: Call) -> None:
        """A call begins."""

    def ran(self, state: ModelState, call: Call) -> None:
        """A statement of a call has run; `call.ran` says whether one had before. Recorded histories do not show it."""

    def observed(self, state: ModelState, event: Observed, changes: Sequence[Change]) -> None:
        """A commit was taken over."""

    def returned(self, state: ModelState, call: Call) -> Iterable[Broken]:
        """A call is over and its effects are in the state; return the promises that are broken by now."""
        return ()

    def instant_over(self, state: ModelState) -> Iterable[Broken]:
        """An instant is over and all its events are known; return the broken promises. Only in recorded histories."""
        return ()

    def lost(self, state: ModelState, call: Call) -> None:
        """A call's answer was lost. Only in recorded histories."""

    def doubted(self, state: ModelState, client: str) -> None:
        """A client's session may have ended some time ago. Only in recorded histories."""

    def restarted(self, state: ModelState) -> None:
        """The server was killed: no statement of before goes on. Only in recorded histories."""
