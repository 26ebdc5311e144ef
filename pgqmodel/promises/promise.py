"""The form of a promise: what it says, what judges it, and what puts it to the test. One module beside this one each.

A promise is asked at *hooks*, when something has happened. A `Rule` answers with the evidence that the promise is
broken; a `Trial` says that it was put to the test, that is, could have been broken just now; a `Memory` keeps a fact
about a call in flight for its own rules. Rules, trials and memories name the operations or meanings that they speak
of, so the judge looks up what to ask and names no promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from attrs import frozen

from pgqmodel.history import Observed
from pgqmodel.model.change import Call, Change
from pgqmodel.model.state import ModelState
from pgqmodel.promises.value import FLAG, Value

__all__ = ["Broken", "Hook", "Memory", "Promise", "Rule", "Source", "Trial", "Watch", "Watcher"]


@frozen(kw_only=True)
class Broken:
    """A broken promise and the evidence: sentences that name clients, jobs and steps."""

    promise: str
    anomaly: str
    job: str | None
    step: int
    explanation: tuple[str, ...]


class Hook(StrEnum):
    """When something is asked, and what about. The state is the one before the event, but for OBSERVED."""

    MET = "a call takes its first snapshot"
    """A `Call`; in a recorded history, where snapshots are not known, just before it."""
    RAN = "a statement of a call has run"
    """A `Call`."""
    WAITED = "a call waits for somebody's lock"
    """A `Call`."""
    COMMITTED = "a call has committed"
    """A `Call`."""
    CHANGED = "a job changed"
    """A `Change`, before the state takes it over."""
    OBSERVED = "an observation is taken over"
    """An `Observed` that shows jobs or runs, after the state has taken it over."""
    RETURNED = "a call is over"
    """A `Call` with its status."""
    BLOCKED = "somebody waits"
    """A `Blocked`."""
    DEADLOCKED = "a deadlock was broken"
    """A `Deadlocked`."""
    DRAINED = "a drain is over"
    """A `Draining`."""


class Source(StrEnum):
    """Where a history comes from, which decides what is known of a call's snapshot and times."""

    EXPLORED = "explored"
    """The order of commits was ours, so each snapshot is known."""
    RECORDED = "recorded"
    """The order of commits comes from the write-ahead log, and of a call only its times are known."""


_BOTH = frozenset(Source)


@frozen
class Rule:
    """One judgement: `judge(state, subject, value)`; `value` is what the target says of the promise.

    `about` are the operations (at RETURNED) or meanings (at CHANGED) that can break it; None: all of them.
    """

    hook: Hook
    judge: Callable[[ModelState, Any, Any], Broken | None]
    about: frozenset[str] | None = None
    sources: frozenset[Source] = _BOTH


@frozen
class Trial:
    """One way to be put to the test: `occurred(state, subject)` says that the promise could have been broken now."""

    hook: Hook
    occurred: Callable[[ModelState, Any], bool]
    about: frozenset[str] | None = None
    sources: frozenset[Source] = _BOTH


@frozen
class Memory:
    """One fact about a call of one of the operations `about`: `look(state, call, known)` gives it, `known` is the last.

    It lies in `call.facts` under the promise's name.
    """

    hook: Hook
    look: Callable[[ModelState, Call, Any], Any]
    about: frozenset[str]
    sources: frozenset[Source] = _BOTH


class Watcher:
    """What promises keep of a recorded history beside the model. It is told what happened, in this order, and may be
    shared by several promises: `count(promise)` says that one of them was put to the test.
    """

    def __init__(self, count: Callable[[str], None]) -> None:
        self.count = count

    def invoked(self, state: ModelState, call: Call) -> None:
        """A call begins."""

    def observed(self, state: ModelState, event: Observed, changes: Sequence[Change]) -> None:
        """A commit was taken over."""

    def returned(self, state: ModelState, call: Call) -> Iterable[Broken]:
        """A call is over, and its effects are in the state; what is broken by now."""
        return ()

    def lost(self, state: ModelState, call: Call) -> None:
        """A call's answer was lost."""

    def doubted(self, state: ModelState, client: str) -> None:
        """A client's session may have ended some time ago."""

    def restarted(self, state: ModelState) -> None:
        """The server was killed: no statement of before goes on."""


@frozen
class Watch:
    """A watcher that a promise wants in recorded histories, and how the promise enters itself there."""

    kind: type[Watcher]
    enter: Callable[[Any, Any], None] = lambda watcher, value: None


@frozen(kw_only=True)
class Promise:
    """One promise: `operations` and `columns` (as "query.column") are what judging it needs from the target.

    `checked` is false for a promise that only simulations put to the test: a target may declare it, and `check` reports
    it as not exercised. `options` are what the model's state has to know of the value.
    """

    name: str
    says: str
    anomalies: tuple[str, ...]
    operations: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    value: Value = FLAG
    checked: bool = True
    rules: tuple[Rule, ...] = ()
    trials: tuple[Trial, ...] = ()
    memories: tuple[Memory, ...] = ()
    watch: Watch | None = None
    options: Callable[[Any], Mapping[str, Any]] = lambda value: {}

    def broken(self, state: ModelState, job: str | None, *sentences: str, anomaly: str = "") -> Broken:
        """This promise is broken now; `anomaly` says how, where there are several ways."""
        return Broken(
            promise=self.name,
            anomaly=anomaly or self.anomalies[0],
            job=job,
            step=state.step,
            explanation=tuple(sentence for sentence in sentences if sentence),
        )

    def fact(self, call: Call) -> Any:
        """What its memory keeps of a call, or None."""
        return call.facts.get(self.name)
