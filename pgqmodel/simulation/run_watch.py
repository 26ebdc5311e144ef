"""`run-status`, watched while the load goes on: runs and jobs read in one snapshot, again and again.

If the status is a view, no commit contains it, so the history cannot show it; a snapshot can.
"""

from __future__ import annotations

import contextlib

import trio

from pgqmodel.errors import ServerGoneError
from pgqmodel.model.facts import Yet
from pgqmodel.model.runs import status
from pgqmodel.operations import State
from pgqmodel.promises import run_status
from pgqmodel.promises.reasons import RunHas, RunShows
from pgqmodel.server import LOST, SideConnection
from pgqmodel.simulation.proof import Proofs
from pgqmodel.target import Target, read_state

__all__ = ["RunWatch"]

EVERY_SECONDS = 1.0
SHARE_MAX = 0.1
"""The largest part of the time that is spent on looking, so many runs are looked at less often."""
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_STATES = "SELECT run, array_agg(DISTINCT state) AS states FROM ({jobs}) AS seen WHERE run IS NOT NULL GROUP BY run"


class RunWatch:
    """Compares each run's status with the states of its jobs, if either has changed since the last look."""

    def __init__(self, target: Target, conninfo: str, proofs: Proofs) -> None:
        self._target = target
        self._conninfo = conninfo
        self._proofs = proofs
        self._seen: dict[str, tuple[State | None, frozenset[State]]] = {}

    async def watch(self) -> None:
        """Look again and again until cancelled; if the server is gone, connect again."""
        while True:
            began = trio.current_time()
            with contextlib.suppress(ServerGoneError, *LOST):
                await trio.to_thread.run_sync(self.look)
            await trio.sleep(max(EVERY_SECONDS, (trio.current_time() - began) / SHARE_MAX))

    def look(self) -> None:
        """Look once."""
        if self._target.observe.runs is None:
            return
        with SideConnection(self._conninfo) as side:
            side.execute(_BEGIN)
            jobs = side.query(_STATES.format(jobs=self._target.observe.jobs))
            runs = side.query(self._target.observe.runs)
            side.execute("COMMIT")
        shown = {str(row["run"]): read_state(row["state"], self._target, "runs") for row in runs}
        for row in jobs:
            present = frozenset(read_state(word, self._target, "jobs") for word in row["states"])
            self._compare(str(row["run"]), shown.get(str(row["run"])), present)

    def _compare(self, run: str, shown: State | None, present: frozenset[State]) -> None:
        if self._seen.get(run) == (shown, present):
            return
        self._seen[run] = (shown, present)
        self._proofs.exercise(run_status.PROMISE.name)
        expected = status(present)
        if shown is not expected:
            self._proofs.breach(
                run_status.PROMISE.anomaly,
                RunHas(run=run, jobs=tuple(sorted(present)), due=(expected,)),
                Yet(RunShows(status=shown)),
            )
