"""What a service reaches: `python tests/service/flood.py [JOBS [LINES_PER_SECOND [SECONDS]]]`, two readers a job."""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
import trio

sys.path.insert(0, str(Path(__file__).parent.parent))

from pgqmodel.server import Cluster, TrioConnection
from serving import Served, prepared, serving

READERS = 2
LINES_A_STATEMENT = 15
INSERT = "INSERT INTO job_logs (job, line) SELECT %s, unnest(%s::text[])"


async def write(conninfo: str, jobs: list[int], rate: int, seconds: float) -> None:
    """Write every job's lines at their rate, and end the jobs."""
    connection = await TrioConnection.connect(conninfo)
    start = trio.current_time()
    for tick in range(int(rate * seconds / LINES_A_STATEMENT)):
        await trio.sleep_until(start + tick * LINES_A_STATEMENT / rate)
        for job in jobs:
            lines = [f"@{time.time():.6f} {tick} of {job}: a line as builds write it" for _ in range(LINES_A_STATEMENT)]
            await connection.execute(INSERT, [job, lines])
    await connection.execute("UPDATE job_queue SET status = 'completed' WHERE id = ANY(%s)", [jobs])
    await connection.close()


async def read(url: str, job: int, counts: list[int], latencies: list[float]) -> None:
    """Read one stream to its end: how many events, and how old the newest of each piece was."""
    host, port = url.removeprefix("http://").split(":")
    stream = await trio.open_tcp_stream(host, int(port))
    await stream.send_all(f"GET /jobs/{job}/logs HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    tail, count = b"", 0
    while b"event: end" not in tail:
        piece = await stream.receive_some(1 << 20)
        count += (tail[-3:] + piece).count(b"id: ")
        tail = tail[-20:] + piece
        newest = tail.rfind(b"data: @")
        stamp = tail[newest + 7 : newest + 24]
        if newest >= 0 and len(stamp) == 17:
            latencies.append(time.time() - float(stamp))
    counts.append(count)


def read_all(url: str, jobs: list[int], expected: int) -> None:
    """The readers' process."""
    counts: list[int] = []
    latencies: list[float] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for job in jobs * READERS:
                nursery.start_soon(read, url, job, counts, latencies)

    trio.run(main)
    centiles = statistics.quantiles(latencies, n=100)
    print(f"{sum(counts):,} events read of {expected:,}; p50 {centiles[49]:.3f} s, p99 {centiles[98]:.3f} s")


def write_all(conninfo: str, jobs: list[int], rate: int, seconds: float) -> None:
    """The writers' process: ten jobs a connection."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for first in range(0, len(jobs), 10):
                nursery.start_soon(write, conninfo, jobs[first : first + 10], rate, seconds)

    trio.run(main)


def flood(served: Served, jobs: int, rate: int, seconds: float) -> None:
    """Write, read, and print what it cost."""
    numbers = [served.job() for _ in range(jobs)]
    lines = jobs * LINES_A_STATEMENT * int(rate * seconds / LINES_A_STATEMENT)
    reader = multiprocessing.Process(target=read_all, args=(served.url, numbers, READERS * lines))
    writer = multiprocessing.Process(target=write_all, args=(served.conninfo, numbers, rate, seconds))
    process = psutil.Process(served.process.pid)
    before, started = process.cpu_times(), time.monotonic()
    reader.start()
    writer.start()
    writer.join()
    wrote = time.monotonic() - started
    reader.join()
    after = process.cpu_times()
    busy = after.user + after.system - before.user - before.system
    print(f"{lines:,} lines written in {wrote:.1f} s; the service needed {busy:.1f} s of a core")
    print(f"that is {lines / busy:,.0f} lines/s in and {READERS * lines / busy:,.0f} events/s out on one core")


def main() -> None:
    """The plan's size by default: 50 jobs, 300 lines a second each."""
    asked = [int(word) for word in sys.argv[1:]]
    jobs, rate, seconds = (*asked, *(50, 300, 10)[len(asked) :])
    with (
        tempfile.TemporaryDirectory() as folder,
        Cluster(18, clock=False) as server,
        prepared(server, "flood") as conninfo,
        serving(conninfo, Path(folder)) as served,
    ):
        flood(served, jobs, rate, seconds)


if __name__ == "__main__":
    main()
