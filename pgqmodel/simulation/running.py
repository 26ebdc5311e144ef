"""Running a simulation: it opens the stage, runs the load, ends everything in order, and judges the history."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import psutil
import trio
from attrs import evolve, field, frozen

from pgqmodel.errors import PgqmodelError
from pgqmodel.judge import Verdict
from pgqmodel.operations import RECLAIM, State
from pgqmodel.promises import PROMISES
from pgqmodel.simulation.judging import judge
from pgqmodel.simulation.machine_load import LOCK_WAITS, Sampler
from pgqmodel.simulation.result import Check, Result
from pgqmodel.simulation.run_watch import RunWatch
from pgqmodel.simulation.simulation import Simulation
from pgqmodel.simulation.stage import Stage
from pgqmodel.simulation.stage_opening import Opened, open_stage
from pgqmodel.target import Target

__all__ = ["HISTORY", "RunOptions", "run_simulation"]

HISTORY = "history.jsonl"
COUNT_SECONDS = 1.0


@frozen(kw_only=True)
class RunOptions:
    """The options of a run: the sizes asked for, the scale of the other sizes, the file for the history."""

    history: Path | None
    sizes: Mapping[str, int] = field(factory=dict)
    scale: float = 1.0
    postgres: str = "18"
    seed: int = 0
    command: str = ""


def run_simulation(
    simulation: Simulation,
    target: Target,
    options: RunOptions,
    phase: Callable[[str], object] = lambda phase: None,
    count: Callable[[Mapping[str, int]], object] = lambda counters: None,
) -> Result:
    """Run one simulation on one target, in real processes on a real server; UsageError if they do not fit.

    `phase` is called with the present phase, `count` every second with the numbers of all and of completed jobs.
    """
    simulation.suits(target)
    sizes = simulation.sized(options.sizes, options.scale)
    run = partial(_run, simulation, _prepared(simulation, target), sizes, options, phase, count)
    try:
        return trio.run(_until_told, run)
    except BaseExceptionGroup as group:
        ours = _first(group.subgroup(PgqmodelError) or group)
        raise ours from group


async def _until_told(run: Callable[[], Awaitable[Result]]) -> Result:
    """Run to the end, or until SIGTERM, SIGINT or SIGHUP: then everything is taken down in order first."""
    told: list[int] = []

    async def listen() -> None:
        hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)  # ignored under nohup
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, *hangup) as signals:
            started.set()
            told.append(await anext(signals))
            nursery.cancel_scope.cancel()

    started = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await started.wait()
        result = await run()
        nursery.cancel_scope.cancel()
    if told:
        raise KeyboardInterrupt if told[0] == signal.SIGINT else SystemExit(128 + told[0])
    return result


def _first(error: BaseException) -> BaseException:
    """The first error in a group that Trio gathered."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _prepared(simulation: Simulation, target: Target) -> Target:
    """The target with the simulation's settings; if it names channels, its notifications are judged, too."""
    told = [name for name, promise in PROMISES.items() if promise.channel and getattr(target, promise.channel)]
    promises = {**target.promises, **dict.fromkeys(told, True)}
    return evolve(target, settings={**target.settings, **simulation.settings}, promises=promises)


async def _run(
    simulation: Simulation,
    target: Target,
    sizes: Mapping[str, int],
    options: RunOptions,
    phase: Callable[[str], object],
    count: Callable[[Mapping[str, int]], object],
) -> Result:
    async with open_stage(simulation, target, sizes=sizes, postgres=options.postgres, seed=options.seed) as opened:
        started_at = time.time()
        stage = opened.stage
        stage.tell_phase = phase
        async with _background(opened):
            stage.nursery.start_soon(_count, stage, count)
            if simulation.reclaim_seconds is not None and stage.has(RECLAIM.name):
                stage.maintain(every_seconds=simulation.reclaim_seconds)
            await simulation.load(stage)
            phase("ending")
            await stage.crew.dismiss()
            await stage.service.stop()
        seconds = time.time() - started_at
        phase("judging")
        await trio.to_thread.run_sync(opened.witness.drain)
        promises = await trio.to_thread.run_sync(judge, opened, options.history)
    return _result(simulation, stage, options, promises, started_at, seconds)


@contextlib.asynccontextmanager
async def _background(opened: Opened) -> AsyncIterator[None]:
    """The tasks beside the load: the witness reads, the machine is sampled, the runs are watched."""
    stage = opened.stage

    async def lock_waits() -> int:
        return int((await stage.ask(LOCK_WAITS))[0]["waiting"])

    sampler = Sampler(measures=stage.measures, groups=lambda: _groups(stage), lock_waits=lock_waits)
    watch = RunWatch(stage.target, stage.database.conninfo(), stage.proofs)
    async with trio.open_nursery() as nursery:
        stage.nursery = nursery
        nursery.start_soon(opened.witness.follow)
        nursery.start_soon(sampler.run)
        nursery.start_soon(watch.watch)
        yield
        nursery.cancel_scope.cancel()
    await trio.to_thread.run_sync(watch.look)


async def _count(stage: Stage, count: Callable[[Mapping[str, int]], object]) -> None:
    """Call `count` every second with the number of jobs."""
    while True:
        states = await stage.job_states()
        count({"enqueued": sum(states.values()), "completed": states.get(State.COMPLETED, 0)})
        await trio.sleep(COUNT_SECONDS)


def _groups(stage: Stage) -> dict[str, list[int]]:
    """The groups of processes whose CPU and memory are measured."""
    service = stage.service.process
    return {
        "workers": [life.pid for life in stage.crew.living],
        "service": [service.pid] if service is not None and service.pid is not None else [],
        "subscribers": [process.pid for process in stage.service.subscribing if process.pid is not None],
        "postgres": stage.server.processes(),
        "simulation": [os.getpid()],
    }


def _result(
    simulation: Simulation,
    stage: Stage,
    options: RunOptions,
    promises: tuple[Verdict, ...],
    started_at: float,
    seconds: float,
) -> Result:
    checks = [Check(name=name, passed=passed, failed=failed) for name, (passed, failed) in stage.checks.items()]
    return Result(
        name=simulation.name,
        title=simulation.says,
        target=stage.target.name,
        postgres=stage.server.version,
        started_at=started_at,
        seconds=seconds,
        command=options.command,
        scale=options.scale,
        sizes=stage.sizes,
        promises=promises,
        checks=tuple(checks),
        thresholds=simulation.thresholds,
        measures=stage.measures,
        environment=_environment(),
    )


def _environment() -> dict[str, str]:
    """A description of the machine."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
    }
