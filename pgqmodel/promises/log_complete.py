"""`log-complete`: every accepted line of a job is there once, in the order in which the lines were committed.

An explored history shows all lines of a job in each observation. A recorded one shows with each commit the lines that
it added, so there each call is held against its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field

from pgqmodel.history import Observed
from pgqmodel.model.change import Call, Change
from pgqmodel.model.facts import Yet
from pgqmodel.model.state import ModelState
from pgqmodel.operations import LOG, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.delivery_reasons import (
    CommitAdded,
    LineAccepted,
    LineBehind,
    LineCount,
    LineGone,
    LineStood,
    SequenceBehind,
)
from pgqmodel.promises.promise import Hook, Promise, Rule, Source, Trial, Watch
from pgqmodel.promises.watcher import Watcher

__all__ = ["DUPLICATE", "LOST", "PROMISE", "REORDERED"]

_LOG = frozenset({LOG.name})
LOST, DUPLICATE, REORDERED = "lost-log", "duplicate-log", "reordered-log"
_EXPLORED, _RECORDED = frozenset({Source.EXPLORED}), frozenset({Source.RECORDED})


# -- in an explored history ------------------------------------------------------------------------------------------


class _Shown(Watcher):
    """The lines of each job as they were observed last, and those that were accepted, in the order of their commits."""

    def __init__(self, count: Callable[[str], None]) -> None:
        super().__init__(count)
        self._lines: dict[str, tuple[tuple[int, str], ...]] = {}
        self._accepted: dict[str, list[str]] = {}

    def observed(self, state: ModelState, event: Observed, changes: Sequence[Change]) -> None:
        """The lines of some jobs are as shown from now on."""
        self._lines.update(event.logs)

    def returned(self, state: ModelState, call: Call) -> Sequence[Broken]:
        """A line that was accepted must stay."""
        line = call.arguments.get("line")
        if call.operation in _LOG and call.status is Status.OK and line is not None and call.job is not None:
            self._accepted.setdefault(call.job, []).append(line)
        return ()

    def lines(self, job: str) -> tuple[tuple[int, str], ...]:
        """The lines of a job, each with its sequence."""
        return self._lines.get(job, ())

    def accepted(self, job: str) -> Sequence[str]:
        """The lines of a job that were accepted, in the order of their commits."""
        return self._accepted.get(job, ())


def _logged(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A log call was accepted: look for its line among its job's."""
    line, job = call.arguments.get("line"), call.job
    if call.status is not Status.OK or line is None or job is None:
        return None
    shown: _Shown = state.watchers[_Shown]
    lines = [text for _, text in shown.lines(job)]
    accepted = LineAccepted(client=call.client, line=line, job=job, step=state.step)
    if line not in lines:
        return PROMISE.broken(state, job, accepted, Yet(LineCount(line=line, times=0)), anomaly=LOST)
    written = [*shown.accepted(job), line]
    for each in dict.fromkeys(written):
        if lines.count(each) > written.count(each) + _uncertain(state, call, each):
            yet = Yet(LineCount(line=each, times=lines.count(each)))
            return PROMISE.broken(state, job, accepted, yet, anomaly=DUPLICATE)
    return _reordered(state, shown, accepted)


def _uncertain(state: ModelState, call: Call, line: str) -> int:
    """How many other calls may have written the same line: those in flight, and those whose answer was lost."""
    return sum(
        other.operation in _LOG
        and other is not call
        and other.arguments.get("line") == line
        and other.status in {None, Status.UNKNOWN}
        for other in state.calls.values()
    )


def _reordered(state: ModelState, shown: _Shown, accepted: LineAccepted) -> Broken | None:
    """A line committed before this one comes after it by sequence."""
    job, line = accepted.job, accepted.line
    sequences = {text: number for number, text in shown.lines(job)}
    for earlier in shown.accepted(job):
        if earlier != line and sequences.get(earlier, sequences[line]) > sequences[line]:
            return PROMISE.broken(state, job, accepted, Yet(LineBehind(earlier)), anomaly=REORDERED)
    return None


def _removed(state: ModelState, observed: Observed, value: Any) -> Broken | None:
    """A line that was accepted is not there any more, although its job is."""
    shown: _Shown = state.watchers[_Shown]
    for job in observed.logs:
        present = {text for _, text in shown.lines(job)}
        for line in shown.accepted(job) if job in state.jobs else ():
            if line not in present:
                stood = LineStood(line=line, job=job)
                return PROMISE.broken(state, job, stood, Yet(LineGone(state.step)), anomaly=LOST)
    return None


# -- in a recorded history -------------------------------------------------------------------------------------------


@define
class _Written:
    """What is known of a log call: the last sequence accepted before it began, and the lines that it added."""

    after: int | None
    lines: list[tuple[int, str]] = field(factory=list)


class _Lines(Watcher):
    """The lines that each log call's commit added."""

    def __init__(self, count: Callable[[str], None]) -> None:
        super().__init__(count)
        self.written: dict[int, _Written] = {}
        """By the number of the log call in flight."""
        self.shown = False
        """Whether the lines of logs are among what was observed."""
        self._accepted: dict[str, int] = {}
        """The last sequence of each job's log that was accepted before the present instant."""
        self._accepted_now: dict[str, int] = {}
        self._accepted_own: dict[str, tuple[str, int]] = {}
        """Each client's last accepted line: its job and sequence. A client's own order holds within an instant too."""

    def invoked(self, state: ModelState, call: Call) -> None:
        """A log call begins, after the lines that were accepted so far."""
        if call.operation in _LOG and call.job is not None:
            own_job, own = self._accepted_own.get(call.client, (None, None))
            known = (self._accepted.get(call.job), own if own_job == call.job else None)
            self.written[call.number] = _Written(max((last for last in known if last is not None), default=None))

    def observed(self, state: ModelState, event: Observed, changes: Sequence[Change]) -> None:
        """A commit shows the lines that it added."""
        if not event.logs:
            return
        self.shown = True
        for number in event.by:
            call, written = state.calls.get(number), self.written.get(number)
            if call is not None and call.job is not None and written is not None:
                written.lines.extend(event.logs.get(call.job, ()))

    def returned(self, state: ModelState, call: Call) -> Sequence[Broken]:
        """An accepted line comes before the lines of calls that begin at a later instant."""
        written = self.written.pop(call.number, None)
        if written is not None and written.lines and call.status is Status.OK and call.job is not None:
            last = max(number for number, _ in written.lines)
            self._accepted_now[call.job] = max(self._accepted_now.get(call.job, last), last)
            self._accepted_own[call.client] = (call.job, last)
        return ()

    def instant_over(self, state: ModelState) -> Sequence[Broken]:
        """The lines accepted at this instant come before the lines of calls that begin later."""
        for job, last in self._accepted_now.items():
            self._accepted[job] = max(self._accepted.get(job, last), last)
        self._accepted_now.clear()
        return ()

    def lost(self, state: ModelState, call: Call) -> None:
        """A call without an answer promises no line, so it is forgotten."""
        self.written.pop(call.number, None)


def _logged_in_record(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A log call was accepted, and its commit did not add its line exactly once, behind the lines accepted before."""
    line, job, lines = call.arguments.get("line"), call.job, state.watchers[_Lines]
    if call.status is not Status.OK or line is None or job is None or not lines.shown or call.committed_step is None:
        return None
    accepted = LineAccepted(client=call.client, line=line, job=job, step=state.step)
    written = lines.written[call.number]
    mine = [number for number, text in written.lines if text == line]
    if len(mine) != 1:
        anomaly = DUPLICATE if mine else LOST
        return PROMISE.broken(state, job, accepted, Yet(CommitAdded(len(mine))), anomaly=anomaly)
    if written.after is not None and mine[0] < written.after:
        yet = Yet(SequenceBehind(sequence=mine[0], accepted=written.after))
        return PROMISE.broken(state, job, accepted, yet, anomaly=REORDERED)
    return None


def _was_tried(state: ModelState, call: Call) -> bool:
    """A log call was accepted."""
    return call.status is Status.OK


def _was_tried_in_record(state: ModelState, call: Call) -> bool:
    """A log call was accepted and committed, in a history that shows lines."""
    return call.status is Status.OK and call.committed_step is not None and state.watchers[_Lines].shown


PROMISE: Promise = Promise(
    name="log-complete",
    says="a subscriber receives every committed log line of its job once, in sequence order",
    anomalies=(LOST, DUPLICATE, REORDERED),
    operations=(LOG.name,),
    columns=("logs.job", "logs.sequence", "logs.line"),
    rules=(
        Rule(Hook.RETURNED, _logged, _LOG, _EXPLORED),
        Rule(Hook.OBSERVED, _removed, sources=_EXPLORED),
        Rule(Hook.RETURNED, _logged_in_record, _LOG, _RECORDED),
    ),
    trials=(
        Trial(Hook.RETURNED, _was_tried, _LOG, _EXPLORED),
        Trial(Hook.RETURNED, _was_tried_in_record, _LOG, _RECORDED),
    ),
    watches=(Watch(_Shown, _EXPLORED), Watch(_Lines, _RECORDED)),
)
