"""`pgqmodel worker`: a worker process of a queue, until it is told to end."""

from __future__ import annotations

import math
from pathlib import Path

import click

from pgqmodel.cli.completion import targets
from pgqmodel.cli.ranges import Range

__all__ = ["worker"]

_PERIOD = Range(0.01, 86_400)


@click.command()
@click.option("--pg", "conninfo", required=True, help="The database with the queue in it: a URL, or key=value pairs.")
@click.option("--name", required=True, help="What the worker is called; the queue's rows say it.")
@click.option(
    "--target",
    default="reference",
    show_default=True,
    shell_complete=targets,
    help="The queue: a name, a file or an object.",
)
@click.option(
    "--history", type=click.Path(path_type=Path), help="Where to write what it asks and is told: a file or a directory."
)
@click.option("--poll", type=_PERIOD, default=5.0, show_default=True, help="Seconds between looks, if nobody wakes it.")
@click.option("--heartbeat", type=_PERIOD, help="Seconds between beats.  [default: a third of the timeout]")
@click.option(
    "--reclaim-every",
    type=Range(0, 86_400),
    help="Seconds between reclaims, 0 for none.  [default: a third of the timeout]",
)
@click.option("--timeout", type=_PERIOD, help="Seconds after which the silent are reclaimed.  [default: the target's]")
@click.option(
    "--grace",
    type=Range(0, 86_400),
    default=10.0,
    show_default=True,
    help="Seconds that a job may go on after SIGTERM.",
)
@click.option(
    "--line-bytes",
    type=click.IntRange(64, 64 * 1024 * 1024),
    default=1024 * 1024,
    show_default=True,
    help="The most that a log line may have; what is over is cut, and marked.",
)
@click.option("--clock", type=click.Path(path_type=Path), help="The file of a server's virtual clock.")
@click.option("--seed", type=int, help="Of the jitter of its waits.")
def worker(
    conninfo: str,
    name: str,
    target: str,
    history: Path | None,
    poll: float,
    heartbeat: float | None,
    reclaim_every: float | None,
    timeout: float | None,
    grace: float,
    line_bytes: int,
    clock: Path | None,
    seed: int | None,
) -> None:
    """Claim and run jobs, until SIGTERM.

    A job's payload is its script; an empty one is done at once. The first SIGTERM or SIGINT lets the job that runs end,
    a second one ends the process at once.
    """
    import trio  # noqa: PLC0415 - only this command needs them, and it is to start fast

    from pgqmodel.client.worker_process import WorkerOptions, work  # noqa: PLC0415

    options = WorkerOptions(
        conninfo=conninfo,
        name=name,
        target=target,
        history=history,
        clock=clock,
        poll_seconds=poll,
        heartbeat_seconds=heartbeat,
        reclaim_seconds=math.inf if reclaim_every == 0 else reclaim_every,
        timeout_seconds=timeout,
        grace_seconds=grace,
        line_bytes_max=line_bytes,
        seed=seed,
    )
    trio.run(work, options)
