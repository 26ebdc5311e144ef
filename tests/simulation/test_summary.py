"""The summary and the verdict: what a run came to is told in full, in 100 columns of ASCII, and never too well."""

from __future__ import annotations

import json

import pytest
from attrs import evolve
from rich.console import Console

from pgqmodel.cli.live import figures, simulating
from pgqmodel.judge import Outcome, Verdict
from pgqmodel.promises import Broken
from pgqmodel.promises.reasons import NoRow
from pgqmodel.report import told
from pgqmodel.simulation.measures import Measures
from pgqmodel.simulation.result import Check, Overall, Result
from pgqmodel.simulation.summary import render_all, render_summary
from pgqmodel.simulation.thresholds import Threshold
from pgqmodel.simulation.wording import duration, number, phrase, size
from simulation.examples import EXAMPLES, SKIP, broken, held, unknown

HELD = Verdict.of("no-lost-job", exercised=3)
BROKEN = Verdict.of("no-lost-job", exercised=3, violations=2, anomaly="lost-job", facts=(NoRow("J1"),))
UNKNOWN = Verdict.of("lease", exercised=3, unknown="the log ended early")
UNTRIED = Verdict.of("live-limit", exercised=0)
PASSED = Check(name="it is so", passed=1, failed=0)
FAILED = Check(name="it is so", passed=9, failed=1)
NEVER = Check(name="it is so", passed=0, failed=0)
KEPT = Threshold(name="limit", measured=lambda measures: 1.0, comparison="<", limit=2)
MISSED = Threshold(name="limit", measured="claim.p99", comparison="<", limit=2, unit="s")


def result(
    promises: tuple[Verdict, ...], *, check: Check = PASSED, threshold: Threshold = KEPT, unknown: str = ""
) -> Result:
    """A run that came to this."""
    return Result(
        name="sim",
        target="reference",
        postgres="18.4",
        started_at=0.0,
        seconds=1.0,
        promises=promises,
        checks=(check,),
        thresholds=(threshold,),
        unknown=unknown,
    )


@pytest.mark.parametrize(
    ("run", "verdict", "exit_code"),
    [
        (result((HELD,)), Overall.HELD, 0),
        (result((HELD, UNTRIED)), Overall.HELD, 0),
        (result((HELD, BROKEN)), Overall.BROKEN, 1),
        (result((BROKEN, UNKNOWN)), Overall.BROKEN, 1),
        (result((HELD,), check=FAILED), Overall.MISSED, 1),
        (result((HELD,), check=NEVER), Overall.MISSED, 1),
        (result((HELD,), threshold=MISSED), Overall.MISSED, 1),
        (result((UNKNOWN,), threshold=MISSED), Overall.MISSED, 1),
        (result((HELD, UNKNOWN)), Overall.UNKNOWN, 3),
        (result((HELD,), unknown="the server stayed away"), Overall.UNKNOWN, 3),
        (result((UNTRIED,)), Overall.UNKNOWN, 3),
        (result(()), Overall.UNKNOWN, 3),
    ],
)
def test_verdict_is_never_better_than_what_was_shown(run: Result, verdict: Overall, exit_code: int) -> None:
    """What is unknown, untried, unmeasured or never checked does not come out as held."""
    assert (run.verdict, run.exit_code) == (verdict, exit_code)
    assert (run.to_json()["verdict"], run.to_json()["exit_code"]) == (verdict.value, exit_code)


def test_too_few_samples_are_neither_kept_nor_missed() -> None:
    """The 99th percentile of two is no such thing: the threshold is `not measured`, and the first line says so."""
    measures = Measures()
    measures.record("claim", 0.001)
    measures.record("claim", 0.002)
    (outcome,) = evolve(result((HELD,), threshold=MISSED), measures=measures).outcomes
    assert (outcome.passed, outcome.open, outcome.word) == (False, True, "not measured")
    assert outcome.figure == "not measured: 2 of 100 samples"
    run = evolve(result((HELD,), threshold=MISSED), measures=measures)
    assert (run.verdict, run.missed) == (Overall.HELD, ())
    assert render_summary(run).splitlines()[0] == "sim on reference: held, but 1 threshold was not measured"


def test_a_verdict_that_contradicts_itself_is_refused() -> None:
    """Held and not exercised, held with violations, broken without any: none of them can be made."""
    for outcome, exercised, violations, anomaly in (
        (Outcome.HELD, 0, 0, None),
        (Outcome.HELD, 3, 1, "lost-job"),
        (Outcome.BROKEN, 3, 0, None),
        (Outcome.BROKEN, 3, 1, None),
        (Outcome.NOT_EXERCISED, 0, 1, "lost-job"),
    ):
        first = Broken.beside("no-lost-job", anomaly, (NoRow("J1"),)) if anomaly is not None else None
        with pytest.raises(ValueError, match="expected"):
            Verdict(promise="no-lost-job", outcome=outcome, exercised=exercised, violations=violations, first=first)


@pytest.mark.parametrize("name", EXAMPLES)
def test_summary_fits_a_terminal(name: str) -> None:
    """Every line is plain ASCII of at most 100 columns, without blanks at its end."""
    for line in (render_summary(EXAMPLES[name]()) + render_all([held(), broken(), unknown()])).splitlines():
        assert len(line) <= 100
        assert line.isascii()
        assert line == line.rstrip()


def test_summary_tells_everything() -> None:
    """Figures, failed checks, missed thresholds, broken promises with their sentences: all are there."""
    text = render_summary(broken())
    flat = " ".join(text.split())
    assert text.startswith("mixed-load on baseline: broken\n")
    for words in (
        "ok every webhook became exactly one run 1,000 0",
        "FAIL every line reached its subscriber once, in order 16,200 2",
        "latencies count p50 p90 p95 p99 max",
        "gauges samples mean max last",
        "cpu_percent.workers 184",
        "rss_bytes.workers 184 420.6 MiB",
        "lock_waits 163 1.2 5.0",
        "FAIL wake-up by NOTIFY < 100 ms not measured",
        "BROKEN stage-order 1,310 14",
        "unknown lease 0 0",
        "not exercised live-limit 0 0",
        "stage-order is broken: stage-skip, 14 times; one of them",
        "again pgqmodel sim mixed-load baseline --jobs 5000 --workers 10",
        *told(SKIP),
    ):
        assert words in flat


def test_figures_stand_below_each_other() -> None:
    """In a table, every row ends in the column in which its heading ends."""
    lines = render_summary(held()).splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("latencies"))
    assert len({len(line) for line in lines[start : start + 4]}) == 1


def test_the_line_of_a_run_and_the_total() -> None:
    """All runs together are one line each and a total, which counts only those that held."""
    lines = render_all([held(), broken(), unknown()]).splitlines()
    assert [line.split()[2] for line in lines[1:4]] == ["held", "BROKEN", "UNKNOWN"]
    assert lines[-1] == "1 of 3 simulations held, 95.2 s"


def test_hostile_text_stays_in_its_line() -> None:
    """A control character or a letter beyond ASCII is written as an escape; a long name is cut, not the table."""
    measures = Measures()
    measures.count("a\x1b[31m\nb\u202e" * 30)
    text = render_summary(
        Result(
            name="x\n",
            target="\x07",
            postgres="18",
            started_at=0.0,
            seconds=1.0,
            measures=measures,
            notes=("\u5de5\r",),
        )
    )
    assert text.isascii()
    assert all(each.isprintable() for each in text.replace("\n", ""))
    assert max(map(len, text.splitlines())) <= 100
    assert "..." in text


def test_json_is_json_and_always_in_the_same_order() -> None:
    """It can be written strictly, twice the same, with every measured figure and what was not exercised in it."""
    text = json.dumps(broken().to_json(), allow_nan=False)
    assert text == json.dumps(broken().to_json(), allow_nan=False)
    record = json.loads(text)
    assert list(record)[:4] == ["simulation", "target", "verdict", "exit_code"]
    assert record["not_exercised"] == ["live-limit"]
    assert record["promises"]["stage-order"]["explanation"] == list(told(SKIP))
    assert record["latencies"]["claim"].keys() >= {"count", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms"}
    assert record["thresholds"][4]["reason"] == "not measured"
    assert record["marks"][0] == [2.0, "kill w0"]
    assert json.loads(json.dumps(unknown().to_json(), allow_nan=False))["unknown"]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (number(0), "0"),
        (number(12_345), "12,345"),
        (number(1_234.56), "1,235"),
        (number(83.4189), "83.42"),
        (number(0.0213), "0.02130"),
        (phrase(True), "True"),
        (phrase("many"), "many"),
        (duration(None), "-"),
        (duration(0.0), "0 us"),
        (duration(0.00085), "850 us"),
        (duration(0.00124), "1.24 ms"),
        (duration(12.34), "12.3 s"),
        (duration(0.9999), "1,000 ms"),
        (size(12.34 * 1024 * 1024), "12.3 MiB"),
    ],
)
def test_figures_in_words(written: str, words: str) -> None:
    """Figures are written with the digits that count."""
    assert written == words


def test_live_display_is_silent_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal nothing is written at all; with one, names and counters are, as they are."""
    for console in (None, Console(force_terminal=True, width=120, stderr=True)):
        with simulating(console) as live:
            show = live.start("mixed-load[red]", expected=10)
            show({"enqueued": 7, "completed": 5})
            live.phase("mixed-load[red]", "draining")
            live.end("mixed-load[red]", "held")
        assert bool(capsys.readouterr().err) is (console is not None)
    assert (
        figures({"completed": 50, "enqueued": 1_000, "faults": 2}, 10.0)
        == "1,000 enqueued, 50 completed, 2 faults, 5/s"
    )
