"""The steps of a schedule. Each kind of step has a module of its own; they are listed here once.

The module of a kind holds all about it: when the step is possible, its effect in a world, its severity, simpler steps,
its JSON form and its words in a story. `add` makes another kind known, such as a fault of your own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pgqmodel.steps.advance import Advance
from pgqmodel.steps.begin import Begin, can_begin
from pgqmodel.steps.connect import Connect
from pgqmodel.steps.crash import Crash
from pgqmodel.steps.cut import Cut
from pgqmodel.steps.cut_line import CutLine
from pgqmodel.steps.deadlock import Deadlock
from pgqmodel.steps.drain import Drain
from pgqmodel.steps.finish import Finish
from pgqmodel.steps.go import Go
from pgqmodel.steps.kill import End, Kill
from pgqmodel.steps.kind import Fate, Step, Weight
from pgqmodel.steps.proceed import Proceed
from pgqmodel.steps.restart import Restart
from pgqmodel.steps.start import Start
from pgqmodel.steps.stop import Continue, Stop
from pgqmodel.steps.twin import Twin
from pgqmodel.steps.wait import Wait

__all__ = [
    "KINDS",
    "Advance",
    "Begin",
    "Connect",
    "Continue",
    "Crash",
    "Cut",
    "CutLine",
    "Deadlock",
    "Drain",
    "End",
    "Fate",
    "Finish",
    "Go",
    "Kill",
    "Proceed",
    "Restart",
    "Start",
    "Step",
    "Stop",
    "Twin",
    "Wait",
    "Weight",
    "add",
    "can_begin",
    "fault_words",
    "from_json",
]

KindT = TypeVar("KindT", bound=type[Step])

KINDS: dict[str, type[Step]] = {
    kind.action: kind
    for kind in (
        *(Begin, Go, Connect, Cut, Crash, Advance, Twin, Deadlock, Restart, Drain),
        *(Start, Proceed, Finish, Wait, CutLine, Stop, Continue, Kill, End),
    )
}
"""Every known kind, by its word in a trace."""


def add(kind: KindT) -> KindT:
    """Make another kind of step known, so that traces can hold it; also a decorator. ValueError for a wrong name."""
    if not kind.action or kind.action in KINDS:
        found = f"the action {kind.action!r}, which {KINDS[kind.action].__name__} has" if kind.action else "no action"
        message = f"found {found} in {kind.__name__}; expected a word of its own. Give it another `action`"
        raise ValueError(message)
    KINDS[kind.action] = kind
    return kind


def fault_words() -> tuple[str, ...]:
    """The words of `--faults`: the faults that can be switched on and off."""
    return tuple(dict.fromkeys(kind.fault for kind in KINDS.values() if kind.fault))


def from_json(record: Mapping[str, Any]) -> Step:
    """Read the step that `to_json` wrote; KeyError, ValueError or TypeError for anything else."""
    action = record["action"]
    if action not in KINDS:
        message = f"{action!r:.60} is no kind of step that is known here"
        raise ValueError(message)
    return KINDS[action].from_json(record)
