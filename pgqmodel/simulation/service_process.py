"""The reference queue's HTTP service as a process of a simulation, and its users: code hosts and log subscribers."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import trio
from attrs import define, field

from pgqmodel.errors import NoVerdictError, PgqmodelError
from pgqmodel.service.http_server import ServeOptions, serve
from pgqmodel.simulation.deliveries import Answer, deliver
from pgqmodel.simulation.leash import Leash
from pgqmodel.simulation.measures import Measures, read_measures
from pgqmodel.simulation.processes import CONTEXT, begin, wait_end
from pgqmodel.simulation.subscribers import SubscriberOptions, run_subscribers

__all__ = ["Received", "ServiceProcess"]

SECRET = b"it is only a simulation"
CONNECTIONS = 8
Received = Mapping[str, Any]
"""The record of one subscriber, with the keys subscriber, job, connections, ended, received."""


@define(kw_only=True)
class ServiceProcess:
    """The service, started when it is first needed."""

    leash: Leash
    conninfo: str
    directory: Path
    process: ForkServerProcess | None = None
    url: str = ""
    subscribing: list[ForkServerProcess] = field(factory=list)

    @property
    def history(self) -> Path:
        """The file in which it records the runs that it creates."""
        return self.directory / "service.jsonl"

    async def start(self) -> None:
        """Start it, unless it runs already; NoVerdictError if it does not come up."""
        if self.process is not None:
            return
        ours, theirs = CONTEXT.Pipe(duplex=False)
        options = ServeOptions(
            conninfo=self.conninfo, secret=SECRET, database_connections=CONNECTIONS, history=self.history
        )
        self.process = begin(self.leash, "service", _serve, options, theirs)
        theirs.close()
        await trio.lowlevel.wait_readable(ours.fileno())
        try:
            self.url = ours.recv()
        except EOFError:
            message = "the service ended before it served; expected its address. Its words on standard error say why"
            raise NoVerdictError(message) from None
        finally:
            ours.close()

    async def deliver(
        self, source: str, bodies: Sequence[tuple[str, Mapping[str, Any]]], *, at_once: int
    ) -> list[Answer]:
        """Send signed webhooks from a source, `at_once` at the same time."""
        await self.start()
        return await deliver(f"{self.url}/webhooks/{source}", SECRET, bodies, at_once=at_once)

    async def subscribe(self, wanted: Sequence[SubscriberOptions], seed: int) -> None:
        """Start subscribers, in one process: each follows the log of its job until the stream ends."""
        await self.start()
        process = begin(self.leash, "subscribers", run_subscribers, self.url, list(wanted), seed, self.directory)
        self.subscribing.append(process)

    async def finish_subscribers(self) -> tuple[list[Received], Measures]:
        """Wait until every stream has ended. Return the records of the subscribers, and their measures."""
        for process in self.subscribing:
            code = await wait_end(self.leash, process)
            if code:
                message = f"the subscribers ended with code {code}; expected 0. Their words on standard error say why"
                raise NoVerdictError(message)
        self.subscribing.clear()
        text = await trio.Path(self.directory / "received.jsonl").read_text()
        received = [json.loads(line) for line in text.splitlines()]
        return received, read_measures([self.directory / "subscribers.json"])

    async def stop(self) -> None:
        """Ask it to end, and wait for it."""
        if self.process is not None and self.process.is_alive():
            os.kill(self.process.pid or 0, signal.SIGTERM)
            await wait_end(self.leash, self.process)


def _serve(options: ServeOptions, pipe: Connection) -> None:
    """The main function of the process; an error at its start becomes one sentence."""
    announce: Callable[[str], object] = pipe.send
    try:
        trio.run(serve, options, announce)
    except PgqmodelError as error:
        sys.stderr.write(f"pgqmodel: the service: {error}\n")
        raise SystemExit(error.exit_code) from None
