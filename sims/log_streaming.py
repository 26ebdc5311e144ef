"""Jobs that write hundreds of lines a second; subscribers over HTTP that read, hang up, come back and stop reading."""

from __future__ import annotations

from pgqmodel.simulation import Simulation, Stage, SubscriberOptions, Threshold

__all__ = ["SIMULATION"]

LINES_PER_SECOND = 200
"""For each job. Lines come whether or not there is time for them. Where they ask for more than the machine has, they
wait for a processor before the service sees them, and the latency says nothing about the service. Two cores do not
carry fifty such jobs."""
ODD_JOBS = (
    {"lines": 40, "line_bytes": 7_990, "wide": True},
    {"lines": 40, "line_bytes": 8_000},
    {"lines": 40, "line_bytes": 9_000, "wide": True},
    {"lines": 10, "line_bytes": 1_500_000, "wide": True},
    {"lines": 40, "line_bytes": 3_000, "junk": True},
)
"""Lines around and far beyond 8000 bytes, multi-byte characters at the cut, NUL, and bytes that are no UTF-8."""


async def load(stage: Stage) -> None:
    """Two subscribers for each job; a tenth of all reconnects again and again, one stops reading for a while.

    The jobs wait for a stage that we hold, until all workers and subscribers are there: the time to start a process for
    each job must not count in the latency of lines.
    """
    jobs, seconds = stage.size("jobs"), stage.size("seconds")
    lines = seconds * LINES_PER_SECOND
    payload = {"lines": lines, "lines_per_second": LINES_PER_SECOND, "line_bytes": 80, "stamp": True}
    stage.begin("starting")
    async with stage.producer("p1") as producer:
        await producer.enqueue(run="r1", stage=0)
        gate = await producer.claim()
        assert gate is not None
        names = [await producer.enqueue(each, run="r1", stage=1) for each in [*[payload] * jobs, *ODD_JOBS]]
        wanted = [_subscriber(number, names, jobs, lines) for number in range(stage.size("subscribers"))]
        await stage.subscribe(wanted)
        await stage.reach_connected(stage.start_workers(len(names)))
        stage.begin("streaming")
        await producer.complete(gate)
    await stage.drain()
    await stage.finish_subscribers()


def _subscriber(number: int, names: list[str | None], loud: int, lines: int) -> SubscriberOptions:
    """The first subscriber stops reading while a third of the lines is written; every tenth one reconnects.

    These follow one of the `loud` jobs, which come first in `names`: the other jobs have too few lines.
    """
    pauses, reconnects = number == 0, number % 10 == 1
    job = names[number % (loud if pauses or reconnects else len(names))]
    assert job is not None
    return SubscriberOptions(
        name=f"s{number}",
        job=job,
        hang_up_every=max(lines // 8, 1) if reconnects else None,
        pause_after=lines // 3 if pauses else None,
        pause_seconds=lines / LINES_PER_SECOND / 3,
    )


SIMULATION = Simulation(
    name="log-streaming",
    says="every line reaches every subscriber once and in order, and one that does not read slows nobody",
    load=load,
    needs=frozenset({"enqueue", "claim", "complete", "log"}),
    sizes={"jobs": 30, "subscribers": 100, "seconds": 10},
    least={"jobs": 2, "subscribers": 4, "seconds": 2},
    thresholds=(
        Threshold(name="line to subscriber, half", measured="log_latency.p50", comparison="<", limit=1_000, unit="ms"),
        Threshold(
            name="line to subscriber, 99 of 100", measured="log_latency.p99", comparison="<", limit=5_000, unit="ms"
        ),
        Threshold(name="reconnects", measured="subscriber_reconnects", comparison=">", limit=0),
        Threshold(name="subscribers that stopped reading", measured="pauses", comparison=">", limit=0),
    ),
)
