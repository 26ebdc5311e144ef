"""Compares the lines that subscribers received with the committed lines: `log-complete` and `log-bounded`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pgqmodel.promises import log_bounded, log_complete
from pgqmodel.promises.received import flaws
from pgqmodel.simulation.proof import Proofs
from pgqmodel.simulation.service_process import Received
from pgqmodel.simulation.subscribers import digest
from pgqmodel.target import Target

__all__ = ["judge_streams"]

NOTIFICATION_BYTES = 8000
Ask = Callable[..., Awaitable[list[dict[str, Any]]]]


async def judge_streams(received: Sequence[Received], target: Target, ask: Ask, proofs: Proofs) -> None:
    """Compare every subscriber's lines with the committed lines of its job."""
    committed, oversize = await _committed({str(record["job"]) for record in received}, target, ask)
    for record in received:
        job = str(record["job"])
        lines = committed[job]
        proofs.exercise(log_complete.PROMISE.name, len(lines))
        proofs.exercise(log_bounded.PROMISE.name, oversize[job])
        came = [(int(sequence), text) for sequence, text in record["received"]]
        for flaw in flaws(lines, came, str(record["subscriber"]), job):
            proofs.breach(flaw.anomaly, flaw.fact)


async def _committed(jobs: set[str], target: Target, ask: Ask) -> tuple[dict[str, dict[int, str]], dict[str, int]]:
    """The committed lines of some jobs by sequence, as digests; and for each job, how many are too long for NOTIFY."""
    committed: dict[str, dict[int, str]] = defaultdict(dict)
    oversize: dict[str, int] = defaultdict(int)
    sql = f"SELECT job, sequence, line FROM ({target.observe.logs}) AS seen WHERE job = ANY($1)"
    for row in await ask(sql, (sorted(jobs),)):
        committed[str(row["job"])][int(row["sequence"])] = digest(row["line"])
        oversize[str(row["job"])] += len(row["line"].encode()) >= NOTIFICATION_BYTES
    return committed, oversize
