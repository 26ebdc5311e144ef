"""A caller: the calls of one client over one connection, and the history of calls and answers.

One call at a time. An answer says that the call was accepted, or refused, or that the database rolled it back with an
error. If the answer is lost, LostAnswerError is raised. The connection and its notifications are in `listening`.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from attrs import field, frozen

from pgqmodel.client.lines import LINE_BYTES_MAX
from pgqmodel.client.listening import ListeningConnection
from pgqmodel.client.recorder import Recorder
from pgqmodel.clock import moment, offset_seconds
from pgqmodel.errors import RolledBackError, TargetError
from pgqmodel.operations import ENQUEUE, OPERATIONS, Status
from pgqmodel.server.connection import LOST
from pgqmodel.target import Program, Reply, Target

__all__ = ["Caller", "ClaimedJob"]

PASSING = ("40", "53", "55", "57", "58")
"""Classes of errors that may pass, so that the same call may succeed later: rollback, resources, state, operators,
system."""
_NOT_TEXT = "22021"
_DEFAULTS: Mapping[str, Any] = {"priority": 0, "payload": "{}", "error": "", "line": ""}
_UNRECORDED = frozenset({"payload"})


@frozen(kw_only=True)
class ClaimedJob:
    """A job that a client holds: the columns that its claim returned, and the number of the claim's call."""

    job: str
    call: int
    row: Mapping[str, Any] = field(factory=dict)


class Caller:
    """Calls any operation of one target over one connection, and records each call if there is a recorder."""

    def __init__(
        self,
        target: Target,
        conninfo: str,
        *,
        worker: str,
        recorder: Recorder | None = None,
        line_bytes_max: int = LINE_BYTES_MAX,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.target = target
        self.worker = worker
        self._clock = clock
        skew = float(target.settings.get("clock_skew_seconds", 0))
        self._ahead = offset_seconds(worker, bound=skew)
        """By how much its clock is off: of its name, as its process may have no seed."""
        self._recorder = recorder
        self._line_bytes_max = line_bytes_max
        self._connection = ListeningConnection(conninfo, worker, target.wake_channel, recorder)
        self._calls = 0

    @property
    def connected(self) -> bool:
        """Whether it has a session, as far as is known."""
        return self._connection.alive

    async def reconnect(self) -> None:
        """Open a new session; it listens if the old one did. LostAnswerError if that fails."""
        await self._connection.open()

    async def close(self) -> None:
        """End the session; closing twice is fine."""
        await self._connection.close()

    async def call(
        self,
        operation: str,
        values: Mapping[str, Any],
        *,
        claim: ClaimedJob | None = None,
        told: Mapping[str, Any] | None = None,
        program: Program | None = None,
    ) -> tuple[int, Reply]:
        """Call an operation, with the parameters that come from nowhere else. Return the call's number and its outcome.

        The history shows the arguments `told`. An error of the database is an outcome; LostAnswerError is raised if the
        answer was lost.
        """
        program = program or self._program(operation)
        now = {"now": self._now()} if "now" in program.parameters else {}
        parameters = now | self._values(operation, values, claim)
        job = parameters.get("job") if operation != ENQUEUE.name else None
        number = self._invoked(operation, job, claim, told or {})
        outcome = Reply(status=Status.UNKNOWN)
        try:
            outcome = await program.run(self._connection.connection, parameters, tell_transaction=True)
        except (psycopg.DataError, UnicodeEncodeError):
            outcome = Reply(status=Status.ERROR, error=_NOT_TEXT)
        except LOST as error:
            outcome = Reply(status=Status.UNKNOWN, error=getattr(error, "sqlstate", None))
            self._connection.lose(error)
        finally:
            self._returned(number, outcome)
        return number, outcome

    def _program(self, operation: str) -> Program:
        try:
            return self.target.operations[operation]
        except KeyError:
            message = (
                f"the target {self.target.name} has no operation {operation!r}; expected one of "
                f"{', '.join(self.target.operations)}. Describe it there, or do without"
            )
            raise TargetError(message) from None

    def _now(self) -> dt.datetime:
        """The time by this client's clock."""
        return moment(round((self._clock() + self._ahead) * 1e6))

    def _values(self, operation: str, values: Mapping[str, Any], claim: ClaimedJob | None) -> dict[str, Any]:
        """The values of the parameters: from the arguments, the columns of the claim, and the settings."""
        parameters: dict[str, Any] = dict.fromkeys(OPERATIONS[operation].parameters)
        parameters |= {name: value for name, value in _DEFAULTS.items() if name in parameters}
        parameters |= self.target.settings
        if claim is not None:
            parameters |= dict(claim.row) | {"job": claim.job}
        return parameters | dict(values) | {"worker": self.worker}

    def _invoked(self, operation: str, job: str | None, claim: ClaimedJob | None, told: Mapping[str, Any]) -> int:
        if self._recorder is not None:
            return self._recorder.invoked(
                operation, job=job, claim=claim.call if claim is not None else None, arguments=told
            )
        self._calls += 1
        return self._calls

    def _returned(self, number: int, outcome: Reply) -> None:
        if self._recorder is None:
            return
        row = {name: value for name, value in outcome.row.items() if name not in _UNRECORDED}
        job = str(row["job"]) if row.get("job") is not None else None
        self._recorder.returned(
            number, outcome.status, job=job, row=row, error=outcome.error, transaction=outcome.transaction
        )

    async def _ask(self, operation: str, values: Mapping[str, Any], **how: Any) -> tuple[int, Reply]:
        """Call, and return the number and the answer; RolledBackError for an error of the database."""
        number, outcome = await self.call(operation, values, **how)
        if outcome.status is Status.ERROR:
            state = outcome.error or "XX000"
            message = (
                f"the database rolled {self.worker}'s {operation} back with the error {state}; expected it to be "
                "accepted or refused. It had no effect: try it again if the error is a passing one"
            )
            raise RolledBackError(message, sqlstate=state, passing=state.startswith(PASSING))
        return number, outcome

    async def _accepted(self, operation: str, values: Mapping[str, Any], **how: Any) -> bool:
        _, outcome = await self._ask(operation, values, **how)
        return outcome.status is Status.OK
