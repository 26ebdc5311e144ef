"""`run-status`, watched while the load goes on: runs and jobs read in one snapshot, again and again.

A status that is a view is in no commit, so the history cannot show it; a snapshot can.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict

import trio

from pgqmodel.errors import ServerGoneError
from pgqmodel.model.promises.runs import status
from pgqmodel.operations import State
from pgqmodel.server import LOST, SideConnection
from pgqmodel.simulation.proof import Proofs
from pgqmodel.target import Target, read_jobs, read_state

__all__ = ["RunWatch"]

EVERY_SECONDS = 1.0
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class RunWatch:
    """Compares each run's status with its jobs' states whenever either has changed since the last look."""

    def __init__(self, target: Target, conninfo: str, proofs: Proofs) -> None:
        self._target = target
        self._conninfo = conninfo
        self._proofs = proofs
        self._seen: dict[str, tuple[State | None, frozenset[State]]] = {}

    async def watch(self) -> None:
        """Look every second until cancelled; a server that is gone is looked for again."""
        while True:
            with contextlib.suppress(ServerGoneError, *LOST):
                await trio.to_thread.run_sync(self.look)
            await trio.sleep(EVERY_SECONDS)

    def look(self) -> None:
        """Look once."""
        if self._target.observe.runs is None:
            return
        with SideConnection(self._conninfo) as side:
            side.execute(_BEGIN)
            jobs = read_jobs(side.query(self._target.observe.jobs), self._target)
            runs = side.query(self._target.observe.runs)
            side.execute("COMMIT")
        states: dict[str, set[State]] = defaultdict(set)
        for job in jobs:
            if job.run is not None:
                states[job.run].add(job.state)
        shown = {str(row["run"]): read_state(row["state"], self._target, "runs") for row in runs}
        for run, present in states.items():
            self._compare(run, shown.get(run), frozenset(present))

    def _compare(self, run: str, shown: State | None, present: frozenset[State]) -> None:
        if self._seen.get(run) == (shown, present):
            return
        self._seen[run] = (shown, present)
        self._proofs.witness("run-status")
        expected = status(present)
        if shown is not expected:
            found = shown.value if shown is not None else "no status at all"
            self._proofs.breach(
                "status-divergence",
                f"Run {run} has jobs that are {', '.join(sorted(present))}, so its status is {expected.value}.",
                f"Yet it showed {found} in the same snapshot.",
            )
