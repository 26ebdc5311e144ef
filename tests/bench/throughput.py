"""Empty jobs a second, beside a bare pgbench script and beside other queues: same server, same run, same connections.

Every turn has a database of its own, filled before. Its table is locked until every process waits for it, so all begin
at once; the time runs from the first claim to the last completion, as the database dates them. Turns are interleaved,
and the best of each peer counts; a busy machine gets fewer rounds. A turn that is not over in time is measured by the
jobs that it did.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psycopg
from attrs import frozen

from bench.peers import Peer, Turn, peers
from pgqmodel.server import Cluster, Database
from pgqmodel.simulation.leash import Leash
from pgqmodel.simulation.stage_opening import SETTINGS

__all__ = ["Load", "bench_throughput"]

START_SECONDS_MAX = 30.0
LOOK_SECONDS = 0.05
_WAITING = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND relation = %s::regclass"


@frozen(kw_only=True)
class Load:
    """How many rounds at the most, and seconds for all; how many connections; the jobs and the seconds of a turn."""

    rounds: int = 3
    seconds_max: float = 75.0
    connections: int = 4
    jobs: int = 4_000
    seconds: float = 3.0


def bench_throughput(load: Load) -> None:
    """Jobs a second of each peer, and its share of the limit."""
    taking_part = [peer for peer in peers() if peer.installed]
    rates: dict[str, list[float]] = {peer.name: [] for peer in taking_part}
    with Cluster(18, clock=False, settings=SETTINGS) as server, Leash() as leash:
        started = time.monotonic()
        for rounds in range(1, load.rounds + 1):
            for peer in taking_part:
                rates[peer.name].append(_take_turn(peer, server, leash, load))
            spent = time.monotonic() - started
            if spent + spent / rounds > load.seconds_max:
                break
    limit, *others = (peer.name for peer in taking_part)
    most = max(rates[limit])
    print(
        f"throughput of {limit}: {most:,.0f} empty jobs/s, the limit ({load.connections} connections, best of {rounds})"
    )
    for name in others:
        print(f"throughput of {name}: {max(rates[name]):,.0f}/s, {max(rates[name]) / most:.2f} of the limit")
    for peer in peers():
        if not peer.installed:
            print(f"throughput of {peer.name}: not measured, {peer.needs} is not installed")


def _take_turn(peer: Peer, server: Cluster, leash: Leash, load: Load) -> float:
    """One peer empties a queue: its jobs a second."""
    with Database(server, "throughput", real_time=True) as database, tempfile.TemporaryDirectory() as directory:
        turn = Turn(
            server=server,
            leash=leash,
            conninfo=database.conninfo(),
            directory=Path(directory),
            connections=load.connections,
            jobs=load.jobs,
        )
        peer.fill(turn)
        with psycopg.connect(turn.conninfo, autocommit=True) as side:
            side.execute("VACUUM ANALYZE")
            started = _start_together(peer, turn, side)
            try:
                _wait_empty(peer, side, load.seconds)
            finally:
                _end(turn.leash, started)
            first, last, done = side.execute(peer.dates.encode()).fetchone() or (None, None, 0)
    assert done > 1, f"{peer.name} did {done} jobs of {load.jobs}; expected it to do them"
    return done / (last - first).total_seconds()


def _start_together(peer: Peer, turn: Turn, side: psycopg.Connection) -> Sequence[ForkServerProcess]:
    """Start the processes, and let them at the table when each of them waits for it."""
    end = time.monotonic() + START_SECONDS_MAX
    with side.transaction():
        side.execute(f"LOCK TABLE {peer.table}".encode())
        started = peer.start(turn)
        while side.execute(_WAITING, [peer.table]).fetchone() < (turn.connections,):
            if time.monotonic() > end:
                _end(turn.leash, started)
                message = f"{peer.name} does not start: expected {turn.connections} processes that want {peer.table}"
                raise TimeoutError(message)
            time.sleep(LOOK_SECONDS)
    return started


def _wait_empty(peer: Peer, side: psycopg.Connection, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and side.execute(f"{peer.unfinished} LIMIT 1".encode()).fetchone() is not None:
        time.sleep(LOOK_SECONDS)


def _end(leash: Leash, started: Sequence[ForkServerProcess]) -> None:
    """Kill them: nothing is left to do, and none of them has to say goodbye."""
    for process in started:
        process.kill()
    for process in started:
        process.join()
        assert process.pid is not None
        leash.let_go(process.pid)
