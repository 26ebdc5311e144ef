"""The evidence of a verdict for its readers: a person who reads sentences, a program that reads JSON."""

from __future__ import annotations

from typing import Any

from pgqmodel.judge import Outcome, Verdict
from pgqmodel.phrases import often
from pgqmodel.report.sentences import told

__all__ = ["evidence", "heading", "verdict_json"]


def evidence(verdict: Verdict) -> tuple[str, ...]:
    """The evidence of the first violation in sentences, or the reason why there is no verdict."""
    if verdict.first is not None:
        return told(verdict.first.facts)
    return (verdict.unknown,) if verdict.unknown else ()


def heading(verdict: Verdict) -> str:
    """The verdict on a promise that did not hold, in one clause."""
    if verdict.outcome is Outcome.BROKEN:
        return f"{verdict.promise} is broken: {verdict.anomaly}, {often(verdict.violations)}"
    return f"{verdict.promise} is {verdict.outcome.value}"


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """The object that `--json` prints of one promise."""
    return {
        "verdict": verdict.outcome.value,
        "witnessed": verdict.exercised,
        "violations": verdict.violations,
        "anomaly": verdict.anomaly,
        "explanation": list(evidence(verdict)),
    }
