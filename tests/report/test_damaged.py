"""Edited and damaged traces: each is refused with a sentence, or it is rendered; nothing else is ever raised."""

from __future__ import annotations

import contextlib
import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from pgqmodel.errors import UsageError
from pgqmodel.report import NotInSqlError, render_markdown, render_spec, render_text
from pgqmodel.trace import loads
from report.examples import EXAMPLES

Path = tuple[str | int, ...]
MUTATIONS = 150
VALUES = (
    None,
    True,
    0,
    -1,
    10**40,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "J1",
    "\ud800",
    [],
    {},
    ["a"],
    {"a": 1},
    [[[]]],
)


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """The way to every part of a JSON value but the whole."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*path, key)
        yield from places(part, (*path, key))


def mutate(record: Any, chance: random.Random) -> None:
    """Take a part out, put another value in its place, double it, or shuffle or rename it with its neighbours."""
    *way, last = chance.choice(list(places(record)))
    parent = record
    for key in way:
        parent = parent[key]
    how = chance.randrange(4)
    if how == 0:
        del parent[last]
    elif how == 1 and isinstance(parent, list):
        parent.insert(last, copy.deepcopy(parent[last]))
    elif how == 2 and isinstance(parent, list):
        chance.shuffle(parent)
    elif how == 2:
        parent["x"] = parent.pop(last)
    else:
        parent[last] = chance.choice(VALUES)


def render_all(text: str) -> None:
    """Read a trace and render it in every form."""
    trace = loads(text, "trace.json")
    render_text(trace)
    render_markdown(trace, path="trace.json", spec=False)
    with contextlib.suppress(NotInSqlError):
        render_spec(trace)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_mutated_trace_is_refused_or_rendered(name: str) -> None:
    """Whatever is changed in a trace, reading and rendering raise no error but our own."""
    text = EXAMPLES[name].dumps()
    for seed in range(MUTATIONS):
        record = json.loads(text)
        mutate(record, random.Random(seed))
        with contextlib.suppress(UsageError):
            render_all(json.dumps(record))
        with contextlib.suppress(UsageError):
            render_all(text[: random.Random(seed).randrange(len(text))])


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (
            lambda record: record | {"promise": "lease", "anomaly": "double-claim"},
            "which 'double-claim' does not break",
        ),
        (lambda record: record | {"history": record["history"][::-1]}, "found a 'history' that cannot be read"),
        (lambda record: record | {"history": record["history"][-3:]}, "which nobody invoked"),
        (lambda record: record | {"name": "\ud800"}, "half a character"),
    ],
)
def test_a_trace_that_cannot_be_is_refused_with_its_place(damage: Any, part: str) -> None:
    """A promise that its anomaly does not break, events in another order, calls of nobody, half a character."""
    record = json.loads(next(iter(EXAMPLES.values())).dumps())
    with pytest.raises(UsageError, match=part):
        loads(json.dumps(damage(record)), "trace.json")


def test_a_trace_that_is_nested_too_deep_is_refused() -> None:
    """JSON deeper than the reader goes is no crash."""
    with pytest.raises(UsageError, match="nested too deep"):
        loads("[" * 200_000, "trace.json")
