"""What a subscriber received of a job's log: right streams pass, and each way to be wrong has its name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqmodel.promises.received import flaws
from pgqmodel.report.sentences import clause

COMMITTED = {3: "a", 5: "b", 6: "c", 9: "d"}


@given(st.dictionaries(st.integers(1, 50), st.text(max_size=3)))
def test_whole_streams_pass(committed: dict[int, str]) -> None:
    """Every committed line once, in its order, with its text, is nothing to complain about."""
    assert list(flaws(committed, sorted(committed.items()), "s1", "7")) == []


@pytest.mark.parametrize(
    ("received", "anomalies"),
    [
        ([(3, "a"), (5, "b"), (9, "d")], {"lost-log": 6}),
        ([(3, "a"), (5, "b"), (5, "b"), (6, "c"), (9, "d")], {"duplicate-log": 5}),
        ([(3, "a"), (6, "c"), (5, "b"), (9, "d")], {"reordered-log": 5}),
        ([(3, "a"), (5, "?"), (6, "c"), (9, "d")], {"mangled-log": 5}),
        ([(3, "a"), (4, "x"), (5, "b"), (6, "c"), (9, "d")], {"mangled-log": 4}),
        ([], {"lost-log": 3}),
    ],
)
def test_each_flaw_has_its_name(received: list[tuple[int, str]], anomalies: dict[str, int]) -> None:
    """One planted flaw is named, and told with the line that it is about."""
    found = list(flaws(COMMITTED, received, "s1", "7"))
    assert {flaw.anomaly for flaw in found} == set(anomalies)
    assert found[0].fact.sequence == anomalies[found[0].anomaly]
    assert all(f"line {flaw.fact.sequence} of 7" in clause(flaw.fact) for flaw in found)
