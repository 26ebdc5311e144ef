"""The documentation of the promises says what the code says."""

from __future__ import annotations

from pathlib import Path

from pgqmodel.model.transitions import life
from pgqmodel.operations import State
from pgqmodel.promises import ANOMALIES, PROMISES

PAGE = (Path(__file__).parent.parent.parent / "docs" / "promises.md").read_text(encoding="utf-8")


def test_every_promise_is_explained() -> None:
    """Every identifier that is public stands on the page, with the words of the code."""
    for promise in PROMISES.values():
        assert f"| `{promise.name}` | {promise.says} |" in PAGE
    for anomaly in ANOMALIES:
        assert f"`{anomaly}`" in PAGE


def test_the_life_of_a_job_is_the_models() -> None:
    """The table on the page is the table that the model looks up, row by row."""

    def word(state: State | None) -> str:
        return state.value if state is not None else "(no row)"

    rows = [f"| {row.operation} | {word(row.before)} | {word(row.after)} |" for row in life()]
    assert "\n".join(rows) in PAGE
