"""Traces as values and as files."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pgqmodel.errors import UsageError
from pgqmodel.trace import FORMAT, Trace, loads
from report.examples import DOUBLE_CLAIM, EXAMPLES


@pytest.mark.parametrize("trace", EXAMPLES.values(), ids=EXAMPLES)
def test_text_form_is_whole(trace: Trace) -> None:
    """What `dumps` wrote, `loads` reads: the same value, and from it the same bytes."""
    text = trace.dumps()
    assert loads(text, "trace.json") == trace
    assert loads(text, "trace.json").dumps() == text


def test_text_form_is_for_people_too() -> None:
    """A trace is indented, ends with a newline, keeps letters as they are and says its format first."""
    text = Trace.from_json(DOUBLE_CLAIM.to_json() | {"name": "Aufträge"}).dumps()
    assert text.startswith(f'{{\n  "format": "{FORMAT}",\n')
    assert text.endswith("}\n")
    assert "Aufträge" in text


def test_an_old_trace_has_one_of_each() -> None:
    """A trace that names no number of producers and maintenance clients was recorded with one of each."""
    record = DOUBLE_CLAIM.to_json()
    old = {key: value for key, value in record.items() if key not in {"producers", "maintenance"}}
    assert (Trace.from_json(old).producers, Trace.from_json(old).maintenance) == (1, 1)
    assert Trace.from_json(record | {"producers": 2, "maintenance": 3}).maintenance == 3


def _without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda record: {name: value for name, value in record.items() if name != key}


def _with(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda record: record | changes


SPOILT: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a list": (lambda record: [record], "names no format"),
    "a number": (lambda record: 7, "names no format"),
    "another tool's file": (_without("format"), "names no format"),
    "another format": (_with(format="other/1"), "the format 'other/1'"),
    "a format that is no text": (_with(format=["pgqmodel-trace/1"]), "the format ['pgqmodel-trace/1']"),
    "a missing key": (_without("steps"), "no 'steps'"),
    "an unknown key": (_with(extra=1), "an unknown 'extra'"),
    "an unknown action": (
        _with(steps=[{"action": "explode"}]),
        "item 1: 'explode' is no kind of step",
    ),
    "a step without action": (_with(steps=[{"action": "go", "client": "A"}, {}]), "item 2: no 'action'"),
    "a step with an unknown field": (_with(steps=[{"action": "go", "speed": 2}]), "speed"),
    "an unknown event": (_with(history=[{"event": "miracle", "step": 1}]), "item 1: no 'miracle'"),
    "an event that is no object": (_with(history=["went well"]), "item 1"),
    "an unknown anomaly": (_with(anomaly="bad-luck"), "'bad-luck' is no anomaly"),
    "a seed that is text": (_with(seed="seven"), "'seven' is not a whole number"),
    "steps that are no list": (_with(steps={}), "{} is not a list"),
    "a schema without set-up": (_with(schema={}), "no 'setup'"),
}


@pytest.mark.parametrize(("spoil", "found"), SPOILT.values(), ids=SPOILT)
def test_what_is_no_trace_is_refused(spoil: Callable[[dict[str, Any]], Any], found: str) -> None:
    """Anything but a trace is a usage error that names the file, says what was found, what was expected, what to do."""
    text = json.dumps(spoil(DOUBLE_CLAIM.to_json()))
    with pytest.raises(UsageError) as caught:
        loads(text, "somewhere/trace.json")
    message = str(caught.value)
    assert message.startswith("somewhere/trace.json: found ")
    assert found in message
    assert "expected" in message


@pytest.mark.parametrize("text", ["", "{", "# a report", '{"a": 1} x'])
def test_what_is_no_json_is_refused(text: str) -> None:
    """A file that is not JSON is a usage error that says so."""
    with pytest.raises(UsageError, match="not JSON"):
        loads(text, "report.md")


def test_a_later_format_is_refused_by_name() -> None:
    """A trace of a later pgqmodel is refused with the version to install."""
    text = json.dumps({"format": "pgqmodel-trace/2", "version": "3.1.0"})
    with pytest.raises(UsageError, match=r"'pgqmodel-trace/2', written by pgqmodel 3\.1\.0.*Install pgqmodel 3\.1\.0"):
        loads(text, "trace.json")
