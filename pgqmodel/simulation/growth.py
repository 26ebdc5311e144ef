"""Compares two runs of a simulation, to show how its figures grow with the load."""

from __future__ import annotations

from collections.abc import Iterator

from pgqmodel.simulation.result import Result
from pgqmodel.simulation.wording import duration

__all__ = ["growth"]


def growth(small: Result, large: Result) -> Iterator[str]:
    """A sentence for each figure of both runs: completed jobs a second, and median and tail of each latency."""
    times = large.scale / small.scale
    done = [result.measures.counters.get("completed", 0) / result.seconds for result in (small, large)]
    if all(done):
        yield f"at {times:g} times the load: {done[0]:,.1f} jobs/s became {done[1]:,.1f}, {done[1] / done[0]:.2f} times"
    for name, after in sorted(large.measures.latencies.items()):
        before = small.measures.latencies.get(name)
        if before is None:
            continue
        for figure in ("p50", "p99"):
            was, is_now = before.statistics().get(figure), after.statistics().get(figure)
            if was and is_now:
                yield f"{name} {figure}: {duration(was)} became {duration(is_now)}, {is_now / was:.2f} times"
