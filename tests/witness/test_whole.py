"""The witness from end to end: real clients at full speed, a real log, one history that tells every job's life."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
import trio

from pgqmodel.client import Queue
from pgqmodel.client.recorder import Recorder, read_client_history
from pgqmodel.errors import LostAnswerError
from pgqmodel.history import Committed, Event, Invoked, Job, Observed, Returned, parse, render
from pgqmodel.operations import State, Status
from pgqmodel.reference import reference
from pgqmodel.server import Cluster, Database
from pgqmodel.witness import merge
from pgqmodel.witness.slot import Witness
from pgqmodel.witness.translate import Translator

JOBS, WORKERS = 60, 4


async def produce(conninfo: str, path: Path, count: int) -> None:
    """Enqueue jobs, one after the other; a lost connection is opened again."""
    recorder = Recorder(path, path.stem, path.stem)
    async with Queue.connect(reference(), conninfo, worker=path.stem, recorder=recorder) as queue:
        for number in range(count):
            try:
                await queue.enqueue({"size": "x" * 3000}, run=f"r{number % 7}", stage=number % 3)
            except LostAnswerError:
                await reconnect(queue)
    recorder.close()


async def consume(conninfo: str, path: Path, until: trio.Event) -> None:
    """Claim, beat and complete until told to stop and nothing is left."""
    recorder = Recorder(path, path.stem, path.stem)
    async with Queue.connect(reference(), conninfo, worker=path.stem, recorder=recorder) as queue:
        while True:
            try:
                claim = await queue.claim()
                if claim is None:
                    if until.is_set():
                        break
                    await trio.sleep(0.01)
                    continue
                await queue.heartbeat(claim)
                await queue.complete(claim)
            except LostAnswerError:
                await reconnect(queue)
    recorder.close()


async def reconnect(queue: Queue) -> None:
    """Connect again, as soon as there is a server."""
    with trio.fail_after(30):
        while True:
            try:
                return await queue.reconnect()
            except LostAnswerError:
                await trio.sleep(0.02)


async def load(server: Cluster, database: Database, witness: Witness, directory: Path, crashes: int) -> None:
    """Producers and workers at full speed beside the witness, and a server that is killed meanwhile."""
    done = trio.Event()
    async with trio.open_nursery() as following:
        following.start_soon(witness.follow)
        async with trio.open_nursery() as nursery:
            for number in range(WORKERS):
                nursery.start_soon(consume, database.conninfo(), directory / f"w{number}.jsonl", done)
            async with trio.open_nursery() as producers:
                for number in range(2):
                    producers.start_soon(produce, database.conninfo(), directory / f"p{number}.jsonl", JOBS // 2)
                for _ in range(crashes):
                    await trio.sleep(0.2)
                    await trio.to_thread.run_sync(server.crash)
                    await trio.to_thread.run_sync(server.restart)
            done.set()
        following.cancel_scope.cancel()
    await trio.to_thread.run_sync(witness.drain)


def record(server: Cluster, directory: Path, *, crashes: int = 0) -> list[Event]:
    """The merged history of one load."""
    target = reference()
    with Database(server, "whole") as database:
        for script in target.setup:
            database.run_setup(script.sql, script.label)
        translator = Translator(target, database.conninfo())
        with Witness(database.conninfo(), translator.tables, directory / "spool") as witness:
            trio.run(load, server, database, witness, directory, crashes)
            files = [read_client_history(path) for path in sorted(directory.glob("*.jsonl"))]
            events = list(merge(files, translator.translate(witness.transactions())))
        database.reopen()
    return events


def lives(events: list[Event]) -> dict[str, list[Job]]:
    """What every job was, in order."""
    found: dict[str, list[Job]] = defaultdict(list)
    for event in events:
        if isinstance(event, Observed):
            for name, job in event.jobs.items():
                assert job is not None
                found[name].append(job)
    return found


def check_calls(events: list[Event]) -> None:
    """Every accepted change has its commit between invocation and answer, and the commit shows what was answered."""
    invoked: dict[int, Invoked] = {}
    shown: dict[int, Observed] = {}
    committed: set[int] = set()
    for event in events:
        if isinstance(event, Invoked):
            invoked[event.call] = event
        elif isinstance(event, Committed):
            committed.add(event.call)
        elif isinstance(event, Observed):
            shown.update(dict.fromkeys(event.by, event))
        elif isinstance(event, Returned) and event.status is Status.OK:
            assert event.call in committed
            job = event.job or invoked[event.call].job
            assert job is not None
            if invoked[event.call].operation == "claim":
                now = shown[event.call].jobs[job]
                assert now is not None
                assert (now.state, now.holder, now.attempt) == (
                    State.RUNNING,
                    invoked[event.call].worker,
                    event.row["attempt"],
                )


def test_a_load_at_full_speed_is_one_history(major: int, tmp_path: Path) -> None:
    """Each job's life is pending, running, completed; each claim's own commit shows it; the text form holds it all."""
    with Cluster(major, clock=False) as server:
        events = record(server, tmp_path)
    found = lives(events)
    assert len(found) == JOBS
    assert {tuple(job.state for job in life) for life in found.values()} == {
        (State.PENDING, State.RUNNING, State.COMPLETED)
    }
    check_calls(events)
    assert all(event.by for event in events if isinstance(event, Observed))
    assert parse(render(events)) == events


@pytest.mark.parametrize("crashes", [2])
def test_a_killed_server_leaves_no_gap(major: int, tmp_path: Path, crashes: int) -> None:
    """With the server killed under load, every acknowledged call still has its one commit, and no life has a gap."""
    with Cluster(major, clock=False) as server:
        events = record(server, tmp_path, crashes=crashes)
    check_calls(events)
    usual = [State.PENDING, State.RUNNING, State.COMPLETED]
    for life in lives(events).values():
        assert [job.state for job in life] == usual[: len(life)]
    lost = [event for event in events if isinstance(event, Returned) and event.status is Status.UNKNOWN]
    accepted = [event for event in events if isinstance(event, Returned) and event.status is Status.OK]
    assert lost
    assert len(accepted) > JOBS
