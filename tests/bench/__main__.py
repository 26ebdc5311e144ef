"""`nox -s bench`: figures, each as a ratio to a peer on the same server in the same run. Absolute times are noise.

python tests/bench [steps] [orders] [check] [programs] [verify] [throughput] [--quick]; docs/bench.md has what each is.
"""

from __future__ import annotations

import argparse
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
from attrs import evolve, field, frozen

from bench.orders import run_orders
from bench.specifications import WITH_WAITS, WITHOUT_WAITS, Specification
from bench.steps import run_steps
from bench.throughput import Load, bench_throughput
from bench.verifying import bench_verify
from bench.worker_programs import bench_programs
from pgqmodel.explore.batches import Batch, Explorer
from pgqmodel.machine.registered import machines_for
from pgqmodel.server import Cluster, Database
from pgqmodel.target import load
from pgqmodel.world import open_world


@frozen(kw_only=True)
class Sizes:
    """How much of everything."""

    rounds: int = 10
    steps: int = 1_000
    schedules: int = 10_000
    batch: int = 200
    stories: int = 30
    events: Sequence[int] = (10_000, 100_000, 1_000_000)
    load: Load = field(factory=Load)


QUICK = Sizes(
    rounds=2,
    steps=300,
    schedules=100,
    batch=50,
    stories=8,
    events=(10_000, 100_000),
    load=Load(rounds=1, jobs=1_000, seconds=2.0),
)


def best(measurements: Sequence[float]) -> float:
    """The least disturbed of several measurements."""
    return max(measurements)


def bench_steps(server: Cluster, sizes: Sizes) -> None:
    """Steps a second through the gate, as a share of bare psycopg round trips."""
    gate, bare = [], []
    for _ in range(sizes.rounds):
        gate.append(trio.run(run_steps, server, sizes.steps, clock=trio.testing.MockClock()))
        bare.append(_bare(server, sizes.steps))
    print(f"steps through the gate: {best(gate):,.0f}/s, {best(gate) / best(bare):.2f} of bare psycopg round trips")


def _bare(server: Cluster, steps: int) -> float:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        started = time.perf_counter()
        for _ in range(steps):
            connection.execute("SELECT 1")
        return steps / (time.perf_counter() - started)


def bench_orders(server: Cluster, specification: Specification, sizes: Sizes) -> None:
    """Schedules a second on a two-session specification, beside the stock isolationtester on the same one."""
    ours, theirs = [], []
    with Database(server, "orders") as database:
        for _ in range(sizes.rounds):
            ours.append(trio.run(run_orders, server, database, specification, clock=trio.testing.MockClock()))
            theirs.append(_isolationtester(server, database, specification))
    ratio = best(ours) / best(theirs)
    print(f"orders {specification.name}: {best(ours):,.0f}/s, {ratio:.2f} of the stock isolationtester")


def _isolationtester(server: Cluster, database: Database, specification: Specification) -> float:
    """Orders a second; that it starts and connects is in the time, and a small part of it."""
    started = time.perf_counter()
    subprocess.run(
        [server.installation.isolationtester, database.conninfo()],
        input=specification.text(),
        text=True,
        capture_output=True,
        check=True,
    )
    return len(specification.orders) / (time.perf_counter() - started)


async def bench_check(server: Cluster, sizes: Sizes) -> None:
    """Schedules a second of `check reference` in one world, and memory at the start, the middle and the end of many."""
    target = load("reference")
    process = psutil.Process(os.getpid())
    async with open_world(target, server) as world:
        explorer = Explorer(
            world=world, machines=machines_for(target), faults=frozenset({"cut", "crash", "stall", "twin"})
        )
        await explorer.explore(Batch(number=0, seed=1, schedules=sizes.batch))
        memory, done, started = [process.memory_info().rss], 0, time.perf_counter()
        while done < sizes.schedules:
            done += (await explorer.explore(Batch(number=done + 1, seed=1, schedules=sizes.batch))).schedules
            memory.append(process.memory_info().rss)
        seconds = time.perf_counter() - started
    print(f"check reference: {done / seconds:,.1f} schedules/s in one world")
    first, half, last = memory[0], memory[len(memory) // 2], memory[-1]
    of_first, of_half = last / first, last / half
    print(f"memory after {done:,} schedules: {of_first:.2f} of that after {sizes.batch}, {of_half:.2f} of half-way")


def _steps(sizes: Sizes) -> None:
    with Cluster(18, clock=False) as server:
        bench_steps(server, sizes)


def _orders(sizes: Sizes) -> None:
    with Cluster(18, clock=False) as server:
        for specification in (WITHOUT_WAITS, WITH_WAITS):
            bench_orders(server, specification, sizes)


def _check(sizes: Sizes) -> None:
    with Cluster(18) as server:
        trio.run(bench_check, server, sizes, clock=trio.testing.MockClock())


def _programs(sizes: Sizes) -> None:
    with Cluster(18) as server:
        bench_programs(server, sizes.stories, max(sizes.rounds // 3, 1))


def _verify(sizes: Sizes) -> None:
    for events in sizes.events:
        bench_verify(events)


def _throughput(sizes: Sizes) -> None:
    bench_throughput(sizes.load)


SECTIONS: dict[str, Callable[[Sizes], None]] = {
    "steps": _steps,
    "orders": _orders,
    "check": _check,
    "programs": _programs,
    "verify": _verify,
    "throughput": _throughput,
}


def main() -> None:
    """The sections asked for, or all of them."""
    parser = argparse.ArgumentParser(prog="tests/bench", description="figures, as ratios; see docs/bench.md")
    parser.add_argument("sections", nargs="*", metavar="section", help=f"any of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="less of everything, for a look in under two minutes")
    parser.add_argument("--schedules", type=int, help="how many schedules the memory run of check takes")
    asked = parser.parse_args()
    for name in asked.sections:
        if name not in SECTIONS:
            parser.error(f"there is no section {name!r}; expected some of {', '.join(SECTIONS)}")
    sizes = QUICK if asked.quick else Sizes()
    if asked.schedules is not None:
        sizes = evolve(sizes, schedules=asked.schedules)
    for name in asked.sections or SECTIONS:
        SECTIONS[name](sizes)


if __name__ == "__main__":
    main()
