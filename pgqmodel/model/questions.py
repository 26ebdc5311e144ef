"""Which rules and witnesses are asked about what happens: only those of declared promises that can have an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pgqmodel.model.promises import RULES
from pgqmodel.model.rule import Broken, Hook
from pgqmodel.model.state import ModelState
from pgqmodel.model.witness import WITNESSES
from pgqmodel.operations import SETTLEMENTS, Meaning

__all__ = ["Asked", "Questions"]

Asked = tuple[
    tuple[tuple[str, Callable[[ModelState, Any], bool]], ...],
    tuple[tuple[Callable[[ModelState, Any, Any], Broken | None], Any], ...],
]
"""Witnesses with their promises' names, rules with what the target says of their promise."""

_CLAIM = frozenset({"claim"})
_CLAIMS = frozenset({Meaning.CLAIMED, Meaning.TAKEN})
_SPEAKS_OF: dict[Hook, dict[str, frozenset[str]]] = {
    Hook.RETURNED: {
        **dict.fromkeys(("exclusive-claim", "no-phantom-job", "claim-complete", "stage-order", "live-limit"), _CLAIM),
        **dict.fromkeys(("no-lost-job", "unique-key"), frozenset({"enqueue"})),
        **dict.fromkeys(("one-deploy", "lock-release"), frozenset({"lock"})),
        "fenced-settlement": SETTLEMENTS,
        "fenced-heartbeat": frozenset({"heartbeat"}),
        "final-states": SETTLEMENTS | {"claim", "cancel", "reclaim"},
        "fenced-deploy": frozenset({"deploy"}),
        "lease": frozenset({"reclaim"}),
        "log-complete": frozenset({"log"}),
    },
    Hook.CHANGED: {
        **dict.fromkeys(("exclusive-claim", "attempts"), _CLAIMS),
        **dict.fromkeys(("stage-order", "claim-order"), frozenset({Meaning.CLAIMED})),
        "final-states": frozenset({Meaning.REVIVED, Meaning.CONJURED}),
        "fenced-settlement": frozenset(Meaning) - _CLAIMS - {Meaning.ADDED, Meaning.UNDONE, Meaning.RECLAIMED},
        "fenced-heartbeat": frozenset({Meaning.FORCED}),
        "no-lost-job": frozenset({Meaning.LOST, Meaning.FORCED, Meaning.SETTLED, Meaning.RECLAIMED})
        | {Meaning.RELEASED, Meaning.CANCELLED},
        "no-phantom-job": frozenset({Meaning.CONJURED}),
        "lease": frozenset({Meaning.RECLAIMED, Meaning.TAKEN, Meaning.FORCED}),
    },
}
"""The operations whose answers, and the meanings of changes, that can put a promise to the test or break it, where not
all of them can."""


class Questions:
    """What a judge asks, chosen once for each kind of event and each operation or meaning."""

    def __init__(self, declared: Mapping[str, Any]) -> None:
        self._declared = declared
        self.all: dict[Hook, Asked] = {hook: self._about(hook, None) for hook in Hook}
        self.changed: dict[str, Asked] = {meaning: self._about(Hook.CHANGED, meaning) for meaning in Meaning}
        self._returned: dict[str, Asked] = {}

    def returned(self, operation: str) -> Asked:
        """What is asked about a call of an operation that is over."""
        asked = self._returned.get(operation)
        if asked is None:
            asked = self._returned[operation] = self._about(Hook.RETURNED, operation)
        return asked

    def _about(self, hook: Hook, word: str | None) -> Asked:
        """Of what is asked at a hook, what an operation or a meaning can put to the test or break."""
        speaks = _SPEAKS_OF.get(hook, {})
        names = {name for name in self._declared if word is None or word in speaks.get(name, {word})}
        return (
            tuple((name, occurred) for name, (when, occurred) in WITNESSES.items() if when is hook and name in names),
            tuple(
                (rule.judge, self._declared[rule.promise])
                for rule in RULES
                if rule.hook is hook and rule.promise in names
            ),
        )
