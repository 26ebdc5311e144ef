"""Results of made-up runs, the same every time: for the tests, and for whoever works on the page (run as a program)."""

from __future__ import annotations

import functools
import math
import random
import sys
from pathlib import Path
from typing import Any

from pgqmodel.judge import Verdict
from pgqmodel.model.facts import Yet
from pgqmodel.promises.order_reasons import ClaimedAt, CompletedAt, CompletesFirst, StepBefore
from pgqmodel.simulation.measures import Measures
from pgqmodel.simulation.page import render_page
from pgqmodel.simulation.result import Check, Result
from pgqmodel.simulation.summary import render_all, render_summary
from pgqmodel.simulation.thresholds import Threshold

START = 1_790_000_000.0
SECONDS = 46.0
OUTAGES = ((14.0, 15.6), (27.0, 28.3), (38.0, 39.9))
UNTOLD = "the write-ahead log ended before the last lease lapsed"
SKIP = (
    CompletesFirst(needed="4698", job="4711", run="310", stage=2, needed_stage=1),
    Yet(ClaimedAt(client="w3", job="4711", step=9021)),
    StepBefore(9021, 9377),
    CompletedAt(job="4698", step=9377),
)


@functools.cache
def measures() -> Measures:
    """Figures of a run with killed workers and three outages of the server; nobody changes them."""
    chance = random.Random(7)
    found = Measures()
    for tick in range(int(SECONDS * 40)):
        at = tick / 40
        if any(begin <= at < end for begin, end in OUTAGES):
            continue
        _work(found, chance, at)
    for tick in range(int(SECONDS * 4)):
        _sample(found, chance, tick / 4)
    for begin, end in OUTAGES:
        found.mark("server killed", at=START + begin)
        found.mark("server back", at=START + end)
    for number in range(40):
        found.mark(f"kill w{number % 10}", at=START + 2 + number * 1.05)
    found.marks.sort(key=lambda mark: mark.at)
    found.count("lines_lost", 0)
    return found


def _work(found: Measures, chance: random.Random, at: float) -> None:
    after = min((at - end for _, end in OUTAGES if at >= end), default=60)
    slower = 1 + 12 * math.exp(-after * 1.5)
    for _ in range(3):
        now = START + at + chance.random() / 40
        found.count("enqueued", at=now)
        found.record("enqueue", chance.lognormvariate(-6.3, 0.35) * slower, at=now)
        found.record("claim", chance.lognormvariate(-5.2, 0.55) * slower, at=now)
        if at > 1:
            found.count("completed", at=now)
    for _ in range(9):
        found.record("log_delivery", chance.lognormvariate(-6.0, 0.9) * slower, at=START + at)
        found.count("lines", at=START + at)


def _sample(found: Measures, chance: random.Random, at: float) -> None:
    gone = any(begin <= at < end for begin, end in OUTAGES)
    now = START + at
    found.sample("cpu_percent.workers", 6 if gone else 62 + 9 * chance.random(), at=now)
    found.sample("cpu_percent.postgres", 0 if gone else 88 + 14 * chance.random(), at=now)
    found.sample("cpu_percent.service", 24 + 6 * chance.random(), at=now)
    found.sample("rss_bytes.workers", 412e6 + 1.1e6 * at + chance.random() * 8e6, at=now)
    found.sample("rss_bytes.postgres", 96e6 if gone else 268e6 + chance.random() * 8e6, at=now)
    found.sample("rss_bytes.service", 74e6 + chance.random() * 1e6, at=now)
    if not gone:
        found.sample("lock_waits", chance.choice((0, 0, 0, 1, 1, 2, 5)), at=now)


def held() -> Result:
    """A run in which all is well."""
    return _result("reference", {}, lines_failed=0)


def broken() -> Result:
    """A run with a broken promise, one that nobody can tell, a missed threshold, one not measured, a failed check."""
    return _result("baseline", {"violations": 14, "anomaly": "stage-skip", "facts": SKIP}, lines_failed=2)


def unknown() -> Result:
    """A run that came to no verdict."""
    return Result(
        name="mass-enqueue",
        target="jobs.toml",
        postgres="16.9",
        started_at=START,
        seconds=3.2,
        promises=(Verdict.of("no-lost-job", exercised=0, unknown="the server did not come back within 60 s"),),
        unknown="the server did not come back within 60 s",
    )


def _result(target: str, skips: dict[str, Any], lines_failed: int) -> Result:
    missed = (
        Threshold(name="wake-up by NOTIFY", measured="wake_up.p99", comparison="<", limit=100, unit="ms"),
        Threshold(name="claim, half of them", measured="claim.p50", comparison="<", limit=4, unit="ms"),
    )
    return Result(
        name="mixed-load",
        title="Ordinary and deploy jobs, a log flood and webhooks at once, with killed workers and a server that dies.",
        target=target,
        postgres="18.4",
        started_at=START,
        seconds=SECONDS,
        command=f"pgqmodel sim mixed-load {target} --jobs 5000 --workers 10",
        sizes={"jobs": 5_000, "workers": 10, "subscribers": 100, "environments": 6},
        promises=(
            Verdict.of("exclusive-claim", exercised=4_912),
            Verdict.of("fenced-settlement", exercised=37),
            Verdict.of("fenced-heartbeat", exercised=12),
            Verdict.of("no-lost-job", exercised=5_000),
            Verdict.of("stage-order", exercised=1_310, **skips),
            Verdict.of("one-deploy", exercised=640),
            Verdict.of("lock-release", exercised=655),
            Verdict.of("lease", exercised=0, unknown=UNTOLD if skips else ""),
            Verdict.of("log-complete", exercised=16_200),
            Verdict.of("live-limit", exercised=0),
        ),
        checks=(
            Check(name="every webhook became exactly one run", passed=1_000, failed=0),
            Check(name="every line reached its subscriber once, in order", passed=16_200, failed=lines_failed),
        ),
        thresholds=(
            Threshold(name="claim, from commit to claim", measured="claim.p99", comparison="<", limit=250, unit="ms"),
            Threshold(name="line at subscriber", measured="log_delivery.p99", comparison="<", limit=500, unit="ms"),
            Threshold(name="completed a second", measured="completed.rate", comparison=">", limit=50, unit="jobs/s"),
            Threshold(name="lines lost", measured="lines_lost", comparison="==", limit=0, unit="lines"),
            *(missed if skips else ()),
        ),
        measures=measures(),
        notes=("2 cores were shared by 14 processes: figures of one machine, verdicts of none.",),
        environment={
            "machine": "2 cores, 7.8 GiB",
            "system": "Linux 6.1 x86_64",
            "python": "3.11.9",
            "pgqmodel": "0.2",
        },
    )


EXAMPLES = {"held": held, "broken": broken, "unknown": unknown}

if __name__ == "__main__":
    for name, make in EXAMPLES.items():
        print(render_summary(make()))
        Path(sys.argv[1], f"{name}.html").write_text(render_page(make()), encoding="utf-8")
    print(render_all([make() for make in EXAMPLES.values()]))
