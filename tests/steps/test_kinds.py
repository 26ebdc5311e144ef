"""What a trace says of each kind of step, and how the kinds compare."""

from __future__ import annotations

from typing import Any

import pytest

from pgqmodel.explore.simplifying import cost
from pgqmodel.steps import (
    KINDS,
    Advance,
    Begin,
    Connect,
    Continue,
    Crash,
    Cut,
    CutLine,
    Deadlock,
    Drain,
    End,
    Fate,
    Finish,
    Go,
    Kill,
    Proceed,
    Restart,
    Start,
    Step,
    Stop,
    Twin,
    Wait,
    fault_words,
    from_json,
)

WRITTEN: list[tuple[Step, dict[str, Any]]] = [
    (
        Begin(client="P", operation="cancel", arguments={"job": "J1"}, stop=2),
        {"action": "begin", "client": "P", "operation": "cancel", "arguments": {"job": "J1"}, "stop": 2},
    ),
    (Begin(client="A", operation="claim"), {"action": "begin", "client": "A", "operation": "claim"}),
    (Go(client="A"), {"action": "go", "client": "A"}),
    (Go(client="A", stop=1), {"action": "go", "client": "A", "stop": 1}),
    (Cut(client="A"), {"action": "cut", "client": "A", "fate": "before"}),
    (Crash(client="A", fate=Fate.AFTER), {"action": "crash", "client": "A", "fate": "after"}),
    (Twin(client="A"), {"action": "twin", "client": "A"}),
    (Connect(client="A"), {"action": "connect", "client": "A"}),
    (Advance(seconds=31.0), {"action": "advance", "seconds": 31.0}),
    (Deadlock(client="A"), {"action": "deadlock", "client": "A"}),
    (Restart(), {"action": "restart"}),
    (Drain(), {"action": "drain"}),
    (Drain(poison="J1"), {"action": "drain", "arguments": {"poison": "J1"}}),
    (Drain(poison="J1", over=True), {"action": "drain", "arguments": {"over": True, "poison": "J1"}}),
    (Start(client="A"), {"action": "start", "client": "A"}),
    (Proceed(client="A", stop=2, line=3), {"action": "proceed", "client": "A", "stop": 2, "line": 3}),
    (
        Finish(client="A", job="J1", fails=True, stop=1),
        {"action": "finish", "client": "A", "stop": 1, "job": "J1", "fails": True},
    ),
    (Wait(), {"action": "wait"}),
    (CutLine(client="A"), {"action": "cut-line", "client": "A", "line": 1, "fate": "before"}),
    (Stop(client="A"), {"action": "stop", "client": "A"}),
    (Continue(client="A"), {"action": "continue", "client": "A"}),
    (Kill(client="A"), {"action": "kill", "client": "A"}),
    (End(client="A", stop=1), {"action": "end", "client": "A", "stop": 1}),
]


@pytest.mark.parametrize(("step", "record"), WRITTEN, ids=[str(record) for _, record in WRITTEN])
def test_a_trace_stays_as_it_was(step: Step, record: dict[str, Any]) -> None:
    """The JSON of each kind, key by key in its order, is what traces have had since the first; and it is read back."""
    assert list(step.to_json().items()) == list(record.items())
    assert from_json(record) == step


def test_every_kind_stands_in_the_table() -> None:
    """A kind that is added must say here what a trace has of it."""
    assert {step.action for step, _ in WRITTEN} == set(KINDS)


def test_the_words_of_faults() -> None:
    """The words of `--faults`, in their order, are those of the kinds that are faults."""
    assert fault_words() == ("cut", "crash", "stall", "twin", "restart")


def test_a_milder_fault_is_simpler() -> None:
    """A wait is simpler than a cut, that than a lost answer, a crash, and a restart."""
    lost = Cut(client="A", fate=Fate.AFTER)
    order = [Go(client="A"), Cut(client="A"), lost, Crash(client="A", fate=Fate.AFTER)]
    assert sorted(order, key=lambda step: cost([step])) == order
    assert Restart.severity > Crash.severity
