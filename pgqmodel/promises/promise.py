"""The form of a promise: its rules, its trials, its memories, and its needs. Each promise has a module beside this one.

A promise is asked at *hooks*, when something has happened. A `Rule` answers with the evidence that the promise is
broken; a `Trial` says that it was put to the test, that is, could have been broken just now; a `Memory` keeps a fact
about a call for its own rules. Rules, trials and memories name the operations or meanings that they speak of, so the
judge looks up what to ask and names no promise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from enum import IntEnum, StrEnum
from typing import Any

from attrs import frozen

from pgqmodel.model.change import Call
from pgqmodel.model.facts import Fact
from pgqmodel.model.state import ModelState
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.outline import Outline
from pgqmodel.promises.value import FLAG, Value
from pgqmodel.promises.watcher import Watcher

__all__ = ["Hook", "Memory", "Precedence", "Promise", "Rule", "Source", "Trial", "Watch"]


class Hook(StrEnum):
    """The moments at which promises are asked. The state is that before the event, except at OBSERVED."""

    MET = "a call takes its first snapshot"
    """A `Call`; in a recorded history, where snapshots are not known, just before it. Only memories are asked."""
    RAN = "a statement of a call has run"
    """A `Call`. Only memories are asked; recorded histories do not show it."""
    WAITED = "a call waits for a lock"
    """A `Call`. Only memories are asked; recorded histories do not show it."""
    COMMITTED = "a call has committed"
    """A `Call`. Only memories are asked."""
    CHANGED = "a job changed"
    """A `Change`, before the state takes it over."""
    OBSERVED = "an observation is taken over"
    """An `Observed` that shows jobs, runs or logs, after the state has taken it over."""
    RETURNED = "a call is over"
    """A `Call` with its status."""
    BLOCKED = "a client waits"
    """A `Blocked`."""
    DEADLOCKED = "a deadlock was broken"
    """A `Deadlocked`."""
    DRAINED = "a drain is over"
    """A `Draining`."""
    WORKING = "the body of a job begins"
    """A `Working` of a program."""


class Source(StrEnum):
    """Where a history comes from, which decides what is known of a call's snapshot and times."""

    EXPLORED = "explored"
    """The order of commits was ours, so each snapshot is known."""
    RECORDED = "recorded"
    """The order of commits comes from the write-ahead log, and of a call only its times are known."""


class Precedence(IntEnum):
    """If one event breaks several promises, it bears the name of the lowest; among equals, of the first in the list."""

    LIFE = 0
    """The states that a job may go through."""
    OWNER = 1
    """The client that holds the job."""
    PLACE = 2
    """The order in which jobs have their turn."""
    OTHER = 3
    END = 4
    """Named only if no other promise explains the event."""


_BOTH = frozenset(Source)


@frozen
class Rule:
    """One judgement: `judge(state, subject, value)`; `value` is what the target says of the promise.

    `about` are the operations (at RETURNED) or meanings (at CHANGED) that can break it; None: all of them.
    """

    hook: Hook
    judge: Callable[[ModelState, Any, Any], Broken | None]
    about: AbstractSet[str] | None = None
    sources: frozenset[Source] = _BOTH


@frozen
class Trial:
    """One way to be put to the test: `occurred(state, subject)` says that the promise could have been broken now."""

    hook: Hook
    occurred: Callable[[ModelState, Any], bool]
    about: AbstractSet[str] | None = None
    sources: frozenset[Source] = _BOTH


@frozen
class Memory:
    """A fact about a call, kept in `call.facts` under the promise's name: `look(state, subject, known)` gives it.

    `known` is the fact so far. The subject is a call of one of the operations `about`; at CHANGED, a change of one of
    the meanings `about`, and the fact is about the call that made it.
    """

    hook: Hook
    look: Callable[[ModelState, Any, Any], Any]
    about: AbstractSet[str]
    sources: frozenset[Source] = _BOTH


@frozen
class Watch:
    """A watcher that a promise wants in histories of some sources, and how the promise enters itself there."""

    kind: type[Watcher]
    sources: frozenset[Source] = _BOTH
    enter: Callable[[Any, Any], None] = lambda watcher, value: None


@frozen(kw_only=True)
class Promise:
    """One promise: `operations` and `columns` (as "query.column") are what judging it needs from the target.

    `checked` is false for a promise that only simulations put to the test: a target may declare it, and `check` reports
    it as not exercised. `channel` is the field of a target that has the channel of notifications that the promise is
    about. `inferred`: it can be judged where a worker is a program, whose operations are inferred from what it commits;
    `needs_ends`: there only if the rows show the end of each lease.
    `options` are the fields of the model's state that follow from the value. `allowed` says whether a target of
    some shape could make it, beside what it needs; `unasked` whether it may be judged where it is not declared.
    """

    name: str
    says: str
    anomalies: tuple[str, ...]
    precedence: Precedence = Precedence.OTHER
    operations: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    value: Value = FLAG
    checked: bool = True
    channel: str = ""
    inferred: bool = False
    needs_ends: bool = False
    rules: tuple[Rule, ...] = ()
    trials: tuple[Trial, ...] = ()
    memories: tuple[Memory, ...] = ()
    watches: tuple[Watch, ...] = ()
    options: Callable[[Any], Mapping[str, Any]] = lambda value: {}
    allowed: Callable[[Outline], bool] = lambda outline: True
    unasked: Callable[[Outline], bool] = lambda outline: True

    @property
    def anomaly(self) -> str:
        """The way in which it is broken, or the first where there are several."""
        return self.anomalies[0]

    def broken(
        self, state: ModelState, job: str | None, *facts: Fact | None, anomaly: str = "", step: int | None = None
    ) -> Broken:
        """This promise is broken, now or at `step`; `anomaly` says how, where there are several ways.

        The facts show it, in the order in which they are told; None among them says nothing.
        """
        return Broken(
            promise=self.name,
            anomaly=anomaly or self.anomaly,
            job=job,
            step=state.step if step is None else step,
            facts=tuple(fact for fact in facts if fact is not None),
        )

    def fact(self, call: Call) -> Any:
        """The fact that its memory keeps about a call, or None."""
        return call.facts.get(self.name)
