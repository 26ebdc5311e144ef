"""What is measured: nothing is lost in merging, memory stays bounded, and what was not measured is not zero."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from pgqmodel.errors import UsageError
from pgqmodel.simulation.latency import Latency
from pgqmodel.simulation.machine_load import Sampler
from pgqmodel.simulation.measures import MARKS_MAX, Measures, read_measures, write_measures
from pgqmodel.simulation.series import BUCKETS_MAX, Series
from pgqmodel.simulation.thresholds import NOT_MEASURED, Threshold

START = 1_790_000_000.0


@pytest.mark.parametrize("seed", range(5))
def test_percentiles_are_exact_to_three_digits(seed: int) -> None:
    """A percentile lies within a thousandth of the true one, from microseconds to minutes."""
    chance = random.Random(seed)
    values = sorted(chance.lognormvariate(-5, 2.5) + 1e-5 for _ in range(3_000))
    latency = Latency()
    for value in values:
        latency.record(value)
    for name, percent in {"p50": 50, "p90": 90, "p95": 95, "p99": 99}.items():
        true = values[round(len(values) * percent / 100) - 1]
        assert latency.statistics()[name] == pytest.approx(true, rel=2e-3, abs=2e-6)
    assert latency.statistics()["max"] == values[-1]
    assert latency.mean == pytest.approx(sum(values) / len(values))


def test_latencies_beyond_the_range_are_counted_and_not_lost() -> None:
    """A clock that went backwards or a wait of hours is recorded at the end of the range, and told."""
    latency = Latency()
    for seconds in (-0.5, 0.0, 1.0, 7_200.0):
        latency.record(seconds)
    assert (latency.count, latency.outside, latency.max) == (4, 2, 7_200.0)
    with pytest.raises(ValueError, match="expected a finite number"):
        latency.record(math.nan)


def test_percentiles_never_exceed_what_was_seen() -> None:
    """A histogram's bucket ends beyond its values; no percentile is reported above the maximum or below the minimum."""
    latency = Latency()
    for _ in range(3):
        latency.record(1.2344)
    assert set(latency.statistics().values()) == {1.2344}


def filled(seed: int) -> Measures:
    """Some measures of everything."""
    chance, measures = random.Random(seed), Measures()
    for _ in range(400):
        at = START + chance.random() * 300
        measures.count("completed", at=at)
        measures.record("claim", chance.expovariate(20), at=at)
        measures.sample("lock_waits", chance.randrange(4), at=at)
    measures.mark(f"server killed by {seed}", at=START + chance.random())
    return measures


def test_merging_files_loses_nothing(tmp_path: Path) -> None:
    """What several processes measured and wrote is, read together, what one would have measured."""
    paths = [tmp_path / f"{seed}.json" for seed in range(3)]
    for seed, path in enumerate(paths):
        write_measures(path, filled(seed))
    merged = read_measures(paths)
    alone = [filled(seed) for seed in range(3)]
    assert merged.counters == {"completed": 1_200}
    assert merged.latencies["claim"].count == 1_200
    assert merged.value("claim.max") == max(one.value("claim.max") or 0 for one in alone)
    assert sum(rate for _, rate in merged.rates["completed"].rates()) * merged.rates["completed"].width == 1_200
    assert [mark.at for mark in merged.marks] == sorted(mark.at for one in alone for mark in one.marks)


def test_measures_survive_writing() -> None:
    """What was written reads back the same."""
    measures = filled(1)
    assert Measures.from_json(measures.to_json()).to_json() == measures.to_json()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"counters": 3}', '{"counters": {}, "latencies": {"a": {}}}', "\x00"]
)
def test_a_file_that_holds_no_measures_is_named(tmp_path: Path, text: str) -> None:
    """Whatever is wrong with a file, the error names it and says what was expected."""
    path = tmp_path / "measures.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"measures\.json holds no measures: .*; expected"):
        read_measures([path])


def test_memory_is_bounded() -> None:
    """There are no more buckets and marks than allowed, however long a run is; and none goes uncounted."""
    measures = Measures()
    for second in range(20_000):
        measures.sample("lock_waits", 1, at=START + second)
        measures.mark("kill", at=START + second)
    series = measures.series["lock_waits"]
    assert len(series.buckets) <= BUCKETS_MAX
    assert series.statistics()["count"] == 20_000
    assert len(measures.marks) + measures.marks_dropped == 20_000
    assert len(measures.marks) == MARKS_MAX


def test_series_of_different_widths_merge() -> None:
    """A long run and a short one come together, in either order, to the same."""
    long, short = Series(), Series()
    for second in range(1_000):
        long.add(START + second, second)
    for second in range(10):
        short.add(START + second, 7)
    assert long.width > short.width
    one, other = Series(), Series()
    for into, order in ((one, (long, short)), (other, (short, long))):
        for each in order:
            into.merge(each)
    assert one == other
    assert one.statistics()["count"] == 1_010


def test_quantiles_of_a_bucket_are_near() -> None:
    """The sketch behind a curve is right within an eighth, and never beyond the greatest value."""
    series = Series()
    for value in range(1, 1_001):
        series.add(START, value)
    (_, bucket), *rest = series.points()
    assert not rest
    for fraction in (0.5, 0.9, 0.99, 1.0):
        assert bucket.quantile(fraction) == pytest.approx(1_000 * fraction, rel=0.13)
    assert bucket.quantile(1.0) == 1_000


@pytest.mark.parametrize("key", ["claim.p99", "completed", "completed.rate", "lock_waits.max", "claim.p98", "", "."])
def test_what_was_never_measured_has_no_value(key: str) -> None:
    """An empty set of measures answers no key, and a threshold on it fails with the reason."""
    outcome = Threshold(name="limit", measured=key, comparison=">=", limit=0).judge(Measures())
    assert (outcome.passed, outcome.reason, outcome.value) == (False, NOT_MEASURED, None)


def test_a_latency_without_samples_has_kept_no_limit() -> None:
    """A histogram that nobody filled is as good as none, but says that it was empty."""
    measures = Measures(latencies={"claim": Latency()})
    assert measures.value("claim.count") == 0
    assert not Threshold(name="limit", measured="claim.p99", comparison="<", limit=1, unit="s").judge(measures).passed


@pytest.mark.parametrize(
    ("comparison", "limit", "passed"),
    [("<", 500, False), ("<=", 500, True), ("==", 500, True), (">=", 500, True), (">", 500, False), ("<", 501, True)],
)
def test_thresholds_compare_in_their_unit(comparison: str, limit: float, passed: bool) -> None:
    """A latency is compared in the threshold's unit, by each comparison."""
    measures = Measures()
    measures.record("claim", 0.5)
    threshold = Threshold(name="limit", measured="claim.max", comparison=comparison, limit=limit, unit="ms")
    assert threshold.judge(measures).passed is passed


@pytest.mark.parametrize("compute", [lambda measures: None, lambda measures: math.nan, lambda measures: math.inf])
def test_a_figure_that_cannot_be_computed_has_kept_no_limit(compute: Callable[[Measures], float | None]) -> None:
    """A threshold whose figure comes out as nothing, or no number, fails whichever way it compares."""
    for comparison in ("<", ">"):
        assert not Threshold(name="ratio", measured=compute, comparison=comparison, limit=1).judge(Measures()).passed


def test_wrong_thresholds_are_refused() -> None:
    """A comparison that is none is told when it is made, a latency in a unit that is none of time when it is judged."""
    with pytest.raises(ValueError, match="comparison"):
        Threshold(name="limit", measured="claim.p99", comparison="=<", limit=1)
    measures = Measures()
    measures.record("claim", 0.5)
    with pytest.raises(ValueError, match="expected s, ms or us"):
        Threshold(name="limit", measured="claim.p99", comparison="<", limit=1, unit="jobs").judge(measures)


def test_the_sampler_sees_processes_and_waits() -> None:
    """A living process has memory, one that is gone none, and a server that does not answer gives no figure."""
    answers = iter([3, None])
    measures = Measures()

    async def waits() -> int | None:
        return next(answers)

    async def twice() -> None:
        gone = 2**22 + 1
        sampler = Sampler(measures=measures, groups=lambda: {"us": [os.getpid()], "gone": [gone]}, lock_waits=waits)
        await sampler.sample()
        await sampler.sample()

    trio.run(twice)
    assert (measures.value("rss_bytes.us.mean") or 0) > 1_000_000
    assert measures.value("rss_bytes.gone.max") == 0
    assert measures.series["lock_waits"].statistics()["count"] == 1


def test_the_first_look_at_a_process_finds_no_load() -> None:
    """There is no time yet to divide by: a tick of the processor just then was shown as 19,000 percent of a core."""

    async def look_first() -> set[float | None]:
        found = set()
        for _ in range(1000):
            measures = Measures()
            await Sampler(measures=measures, groups=lambda: {"us": [os.getpid()]}).sample()
            found.add(measures.value("cpu_percent.us.max"))
        return found

    assert trio.run(look_first) == {0.0}


def test_the_sampler_goes_on_until_cancelled() -> None:
    """The task samples again and again, in both kinds, and ends when it is cancelled."""
    measures = Measures()
    enough = trio.Event()
    asked = {"processes": 0, "waits": 0}

    def count(what: str) -> None:
        asked[what] += 1
        if min(asked.values()) == 3:
            enough.set()

    def groups() -> dict[str, list[int]]:
        count("processes")
        return {"us": [os.getpid()]}

    async def waits() -> int | None:
        count("waits")
        return 1

    async def run() -> None:
        sampler = Sampler(measures=measures, groups=groups, lock_waits=waits, interval=0.001)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sampler.run)
            await enough.wait()
            nursery.cancel_scope.cancel()

    trio.run(run)
    assert measures.series["lock_waits"].statistics()["count"] >= 2
    assert "cpu_percent.us" in measures.series
