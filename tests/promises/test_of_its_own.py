"""A promise is one file: ours stand in one module each, and a program can bring its own through the public names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from pgqmodel.history import Event, Invoked, Job, Observed, Ran, Returned
from pgqmodel.judge import Judge, Outcome, examine_all
from pgqmodel.model import Call, ModelState
from pgqmodel.operations import State, Status
from pgqmodel.promises import (
    ANOMALIES,
    PROMISES,
    BadValueError,
    Broken,
    Fact,
    Hook,
    Memory,
    Promise,
    Rule,
    Trial,
    Value,
)
from pgqmodel.report import SENTENCES, Sentence, told

PACKAGE = Path(__file__).parent.parent.parent / "pgqmodel"
CLAIM = frozenset({"claim"})


# -- ours --------------------------------------------------------------------------------------------------------------


def words(path: Path) -> Iterator[str]:
    """The texts in a file's code, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.value


@pytest.mark.parametrize("name", [name for name in (*PROMISES, *ANOMALIES) if name not in {"deadlock", "lease"}])
def test_an_identifier_stands_in_one_file(name: str) -> None:
    """The name of a promise or an anomaly is in the code of its own module alone.

    `deadlock` is a step's name, too, and `lease` that of a table of target files.
    """
    alone = re.compile(rf"(?<![\w-]){name}(?![\w-])" if "-" in name else rf"^{name}$")
    found = [path.name for path in sorted(PACKAGE.rglob("*.py")) if any(map(alone.search, words(path)))]
    promise = PROMISES[ANOMALIES.get(name, name)]
    assert found == [f"{promise.name.replace('-', '_')}.py"]


# -- one of another program --------------------------------------------------------------------------------------------


def _seconds(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadValueError(found=repr(value), expected="a number of seconds")
    return float(value)


SECONDS = Value(
    says="a number of seconds", plain=False, parse=_seconds, read=_seconds, to_json=float, columns=lambda value: ()
)


def _began(state: ModelState, call: Call, known: Any) -> float:
    return state.now


def _too_slow(state: ModelState, call: Call, value: float) -> Broken | None:
    took = state.now - PROMISE.fact(call)
    return PROMISE.broken(state, call.job, Slow(client=call.client, seconds=took)) if took > value else None


@frozen(kw_only=True)
class Slow(Fact):
    """A claim took so long: a fact that no promise of ours speaks of."""

    client: str
    seconds: float


SENTENCE = Sentence(Slow, lambda fact: f"{fact.client}'s claim took {fact.seconds:g} s")

PROMISE = Promise(
    name="quick-claim",
    says="a claim is answered within some seconds",
    anomalies=("slow-claim",),
    value=SECONDS,
    rules=(Rule(Hook.RETURNED, _too_slow, CLAIM),),
    trials=(Trial(Hook.RETURNED, lambda state, call: call.status is Status.OK, CLAIM),),
    memories=(Memory(Hook.MET, _began, CLAIM),),
)


@pytest.fixture
def _added() -> Iterator[None]:
    PROMISES.add(PROMISE)
    SENTENCES.add(SENTENCE)
    yield
    PROMISES.remove(PROMISE.name)
    SENTENCES.remove(SENTENCE.name)


def story(seconds: float) -> list[Event]:
    """A claim that is answered after so many seconds, as it would be recorded."""
    job = Job(job="1", state=State.PENDING)
    claimed = Job(job="1", state=State.RUNNING, holder="a")
    return [
        Observed(step=1, at=1.0, jobs={"1": job}),
        Invoked(step=2, at=2.0, client="a.1", worker="a", call=1, operation="claim"),
        Observed(step=3, at=2.5, by=(1,), jobs={"1": claimed}),
        Returned(step=4, at=2.0 + seconds, client="a.1", call=1, status=Status.OK, job="1"),
    ]


@pytest.mark.usefixtures("_added")
@pytest.mark.parametrize(("seconds", "outcome"), [(1.0, Outcome.HELD), (9.0, Outcome.BROKEN)])
def test_a_new_promise_is_judged_as_ours_are(seconds: float, outcome: Outcome) -> None:
    """Its rule, trial, memory and value are asked; it is named, counted and told."""
    verdicts = examine_all(story(seconds), promises={"quick-claim": 5, "exclusive-claim": True})
    verdict = verdicts.promises["quick-claim"]
    assert (verdict.outcome, verdict.exercised) == (outcome, 1)
    assert ANOMALIES["slow-claim"] == "quick-claim"
    assert verdict.first is None or verdict.first.facts == (Slow(client="a.1", seconds=9.0),)
    assert verdict.first is None or told(verdict.first.facts) == ("a.1's claim took 9 s.",)


@pytest.mark.usefixtures("_added")
def test_a_new_promise_is_judged_while_exploring() -> None:
    """The same rule is asked of an explored history, from the first statement on."""
    judge = Judge(promises={"quick-claim": 5}, settings={})
    events = (
        Invoked(step=1, client="A", worker="A", call=1, operation="claim"),
        Ran(step=1, client="A", call=1, sql="SELECT", tag="SELECT 0", open=False),
        Returned(step=1, client="A", call=1, status=Status.OK),
    )
    assert [judge.examine(event) for event in events] == [None, None, None]
    assert judge.exercised == {"quick-claim": 1}


def test_a_name_is_given_once() -> None:
    """A second promise of a name is refused; one that was taken out again leaves nothing."""
    other = Promise(name="lease", says="", anomalies=())
    with pytest.raises(ValueError, match="there is a 'lease' already"):
        PROMISES.add(other)
    assert "quick-claim" not in PROMISES
    assert "slow-claim" not in ANOMALIES
