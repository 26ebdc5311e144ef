"""`nox -s bench`: figures, each as a ratio to a peer on the same server in the same run. Absolute times are noise."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import psutil
import psycopg
import trio
import trio.testing

from bench.orders import run_orders
from bench.specifications import WITH_WAITS, WITHOUT_WAITS, Specification
from bench.steps import run_steps
from pgqmodel.machine.explore import Batch, Explorer
from pgqmodel.registry import machines_for
from pgqmodel.server import Cluster
from pgqmodel.target import load
from pgqmodel.world import open_world

ROUNDS = 5
STEPS = 1_000
SCHEDULES = 10_000


def rate(count: Callable[[], int]) -> float:
    """How many a second."""
    started = time.perf_counter()
    done = count()
    return done / (time.perf_counter() - started)


def best(measurements: Sequence[float]) -> float:
    """The least disturbed of several measurements."""
    return max(measurements)


def bench_steps(server: Cluster) -> None:
    """Steps a second through the gate, as a share of bare psycopg round trips."""
    gate, bare = [], []
    for _ in range(ROUNDS):
        gate.append(rate(lambda: trio.run(run_steps, server, STEPS, clock=trio.testing.MockClock())))
        bare.append(rate(lambda: _bare(server)))
    print(f"steps through the gate: {best(gate):,.0f}/s, {best(gate) / best(bare):.2f} of bare psycopg round trips")


def _bare(server: Cluster) -> int:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        for _ in range(STEPS):
            connection.execute("SELECT 1")
    return STEPS


def bench_orders(server: Cluster, specification: Specification) -> None:
    """Schedules a second on a two-session specification, beside the stock isolationtester on the same one."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(rate(lambda: trio.run(run_orders, server, specification, 5, clock=trio.testing.MockClock())))
        theirs.append(rate(lambda: _isolationtester(server, specification)))
    ratio = best(ours) / best(theirs)
    print(f"orders {specification.name}: {best(ours):,.0f}/s, {ratio:.2f} of the stock isolationtester")


def _isolationtester(server: Cluster, specification: Specification) -> int:
    subprocess.run(
        [server.installation.isolationtester, server.conninfo()],
        input=specification.text(),
        text=True,
        capture_output=True,
        check=True,
    )
    return len(specification.orders)


async def bench_check(server: Cluster, schedules: int) -> None:
    """Schedules a second of `check reference` in one world, and memory at the start and the end of many."""
    target = load("reference")
    process = psutil.Process(os.getpid())
    async with open_world(target, server) as world:
        explorer = Explorer(
            world=world, machines=machines_for(target), faults=frozenset({"cut", "crash", "stall", "twin"})
        )
        await explorer.explore(Batch(number=0, seed=1, schedules=200))
        before, done, started = process.memory_info().rss, 0, time.perf_counter()
        while done < schedules:
            done += (await explorer.explore(Batch(number=done + 1, seed=1, schedules=200))).schedules
        seconds = time.perf_counter() - started
    growth = process.memory_info().rss / before
    print(f"check reference: {done / seconds:,.1f} schedules/s in one world")
    print(f"memory over {done:,} schedules: {growth:.2f} of what it was after the first 200")


def main() -> None:
    """Everything, on one server; `--schedules N` shortens the memory run."""
    schedules = int(sys.argv[2]) if sys.argv[1:2] == ["--schedules"] else SCHEDULES
    with Cluster(18, clock=False) as server:
        bench_steps(server)
        bench_orders(server, WITHOUT_WAITS)
        bench_orders(server, WITH_WAITS)
    with Cluster(18) as server:
        trio.run(bench_check, server, schedules, clock=trio.testing.MockClock())


if __name__ == "__main__":
    main()
