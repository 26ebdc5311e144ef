"""Opening a stage: server, database, witness, doors, processes on a leash; they are closed in the reverse order."""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import AsyncIterator, Mapping

from attrs import frozen

from pgqmodel.client.recorder import server_clock
from pgqmodel.client.worker_process import WorkerOptions
from pgqmodel.errors import UsageError
from pgqmodel.server import Cluster, Database, External, Server, SideConnection, installation
from pgqmodel.simulation.crew import Crew
from pgqmodel.simulation.forwarder import Forwarder
from pgqmodel.simulation.leash import Leash
from pgqmodel.simulation.measures import Measures
from pgqmodel.simulation.nemesis import Nemesis
from pgqmodel.simulation.processes import home
from pgqmodel.simulation.service_process import ServiceProcess
from pgqmodel.simulation.simulation import Simulation
from pgqmodel.simulation.stage import Stage
from pgqmodel.target import Target
from pgqmodel.witness.slot import Witness
from pgqmodel.witness.translate import Translator

__all__ = ["Opened", "open_stage"]

SETTINGS = {
    "autovacuum": "on",
    "autovacuum_naptime": "5s",
    "checkpoint_timeout": "5min",
    "max_connections": "400",
    "max_wal_size": "4GB",
    "shared_buffers": "256MB",
    "wal_writer_delay": "200ms",
}
"""The settings of a server for a load; the explorer's settings are made for many short stories."""


@frozen(kw_only=True)
class Opened:
    """A stage, with the parts that are read when its load is over."""

    stage: Stage
    witness: Witness
    translator: Translator


@contextlib.asynccontextmanager
async def open_stage(
    simulation: Simulation, target: Target, *, sizes: Mapping[str, int], postgres: str, seed: int
) -> AsyncIterator[Opened]:
    """Open a stage: the target is set up in a new database, and the witness reads from the start."""
    with contextlib.ExitStack() as stack:
        server = _open_server(postgres, simulation)
        stack.callback(server.close)
        directory = server.socket_dir / "clients"  # it is removed with the server
        directory.mkdir()
        database = stack.enter_context(Database(server, server.database_name, real_time=not simulation.frozen))
        for script in target.setup:
            database.run_setup(script.sql, script.label)
        translator = Translator(target, database.conninfo())
        witness = stack.enter_context(Witness(database.conninfo(), translator.tables, directory / "transactions.jsonl"))
        side = stack.enter_context(SideConnection(database.conninfo()))
        leash = stack.enter_context(Leash(home()))
        clock = server.clock.file if simulation.frozen and isinstance(server, Cluster) and server.clock else None
        async with Forwarder(server.address, server.socket_dir) as forwarder:
            chance = random.Random(seed)  # noqa: S311 - faults by chance, repeatable
            measures = Measures()
            crew = Crew(
                leash=leash,
                options=WorkerOptions(conninfo="", name="", target=target, clock=clock, reclaim_seconds=math.inf),
                conninfo=lambda worker: database.conninfo(host=forwarder.door(worker), port="5432"),
                directory=directory,
            )
            stack.callback(crew.end)
            stage = Stage(
                target=target,
                sizes=sizes,
                server=server,
                database=database,
                side=side,
                directory=directory,
                crew=crew,
                nemesis=Nemesis(
                    server=server,
                    crew=crew,
                    forwarder=forwarder,
                    mark=lambda label: measures.mark(label, at=time.time()),
                    chance=chance,
                ),
                service=ServiceProcess(leash=leash, conninfo=database.conninfo(), directory=directory),
                chance=chance,
                measures=measures,
                tell_time=server_clock(clock) if clock is not None else time.time,
            )
            yield Opened(stage=stage, witness=witness, translator=translator)


def _open_server(which: str, simulation: Simulation) -> Server:
    """An embedded server for a load, or a running server whose log the witness can read."""
    if which.isdecimal():
        installation(int(which))
        return Cluster(int(which), clock=simulation.frozen, settings=SETTINGS)
    if simulation.frozen:
        message = (
            f"the simulation {simulation.name} moves the server's clock, and --pg names a server that others run; "
            "expected an embedded one. Leave --pg out, or name another simulation"
        )
        raise UsageError(message)
    server = External(which)
    with SideConnection(server.conninfo()) as side:
        level = side.query("SHOW wal_level")[0]["wal_level"]
    if level != "logical":
        server.close()
        message = (
            f"the server of --pg has wal_level = {level}; expected logical, because what was committed is read from "
            "its write-ahead log. Set it and restart the server, or leave --pg out"
        )
        raise UsageError(message)
    return server
