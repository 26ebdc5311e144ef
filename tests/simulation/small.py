"""The catalogue at sizes that a test can afford: what each must put to the test, and what depends on the machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from pgqmodel.simulation.installed import simulations
from pgqmodel.simulation.result import Result
from pgqmodel.simulation.running import HISTORY, RunOptions, run_simulation
from pgqmodel.target import Target

__all__ = ["SMALL", "Small", "run_small"]

ALWAYS = ("exclusive-claim", "no-lost-job", "no-phantom-job")


@frozen(kw_only=True)
class Small:
    """A simulation's small sizes; the promises it must have put to the test even so, and the figures it must have.

    Thresholds named in `timed` are about how fast or how even the machine is: they may be missed here.
    """

    sizes: Mapping[str, int]
    held: tuple[str, ...]
    counters: tuple[str, ...] = ()
    timed: frozenset[str] = frozenset()


SMALL: dict[str, Small] = {
    "failure-recovery": Small(
        sizes={"jobs": 120, "workers": 4, "restarts": 1, "faults": 5},
        held=(*ALWAYS, "claim-order"),
        counters=("faults", "acknowledged", "completed"),
        timed=frozenset({"server back to a job done"}),
    ),
    "heartbeat-reclaim": Small(
        sizes={"workers": 3},
        held=(*ALWAYS, "lease", "fenced-heartbeat"),
        counters=("heartbeats", "reclaimed"),
        timed=frozenset({"the same, at the most", "picked up by another"}),
    ),
    "heartbeat-reclaim-virtual": Small(
        sizes={"workers": 3, "rounds": 1},
        held=(*ALWAYS, "lease", "fenced-heartbeat"),
        counters=("heartbeats", "reclaimed"),
    ),
    "lock-contention": Small(
        sizes={"deploys": 4, "others": 1, "jobs": 10, "kills": 1},
        held=(*ALWAYS, "claim-order"),
        counters=("lock_grants", "lock_retries", "holders_killed", "deploy_ok"),
        timed=frozenset({"ordinary jobs start beside the contention"}),
    ),
    "log-streaming": Small(
        sizes={"jobs": 4, "subscribers": 9, "seconds": 2},
        held=(*ALWAYS, "log-complete", "log-bounded"),
        counters=("lines_received", "subscriber_reconnects", "pauses"),
        timed=frozenset({"line to subscriber, half", "line to subscriber, 99 of 100"}),
    ),
    "mass-enqueue": Small(
        sizes={"webhooks": 60, "enqueues": 160, "locks": 2, "workers": 2},
        held=(*ALWAYS, "stage-order", "run-status"),
        counters=("runs", "enqueued", "completed"),
        timed=frozenset({"insert with locks held, to without", "insert, 99 of 100"}),
    ),
    "mixed-load": Small(
        sizes={"jobs": 20, "workers": 3, "webhooks": 4},
        held=(*ALWAYS, "stage-order", "run-status", "log-complete"),
        counters=("lock_grants", "lines_received", "completed"),
        timed=frozenset({"job started, 95 of 100"}),
    ),
    "multi-worker-claim": Small(
        sizes={"jobs": 40, "workers": 2, "singles": 3},
        held=(*ALWAYS, "claim-order", "wake-up"),
        counters=("claimed", "completed"),
        timed=frozenset({"idle worker woken, half", "idle worker woken, 99 of 100", "fairness among workers"}),
    ),
    "stage-ordering": Small(
        sizes={"jobs": 100, "workers": 2},
        held=(*ALWAYS, "stage-order", "run-status"),
        counters=("claimed", "completed", "fail_ok"),
    ),
}


def run_small(name: str, target: Target, folder: Path, major: int = 18, **sizes: int) -> Result:
    """Run one simulation of the catalogue at its small sizes, or at those given, always with the same seed."""
    small = SMALL[name]
    options = RunOptions(history=folder / HISTORY, sizes={**small.sizes, **sizes}, postgres=str(major), seed=1)
    return run_simulation(simulations()[name], target, options)
