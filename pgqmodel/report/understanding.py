"""What a dry run has understood, as a colleague's notes: one short block an operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from pgqmodel.operations import CLAIM, ENQUEUE, OPERATIONS, SETTLEMENTS, Lease, Role, Status
from pgqmodel.phrases import counted
from pgqmodel.understood import Fence, OperationSeen, StatementSeen, Understanding

__all__ = ["explain", "understanding_json"]

_ANSWERS: dict[Status | None, str] = {
    Status.OK: "accepted",
    Status.EMPTY: "found nothing",
    Status.REFUSED: "refused",
    Status.ERROR: "ended with the error {error}",
    Status.UNKNOWN: "lost its connection",
    None: "did not come to its end: it waits for a lock, or for the clock",
}
_YES = "what its last statement returns counts, so let that be the one that changes the job"
_LEASES: dict[Lease, str] = {
    Lease.HEARTBEAT: "once its claim, or its last accepted heartbeat, is {seconds:g} s old",
    Lease.UNTIL: "at the moment that its row shows as lease_until",
    Lease.SESSION: "when the session that claimed it ends",
    Lease.TRANSACTION: "when the transaction that claimed it ends, which stays open until the settlement",
}


def understanding_json(understood: Understanding) -> dict[str, Any]:
    """The same as data."""
    return attrs.asdict(understood)


def explain(understood: Understanding) -> Iterator[str]:
    """The notes, line by line: the operations, then what holds for the whole file."""
    for seen in understood.operations:
        yield seen.operation
        for sentence in _operation(seen):
            yield f"  {sentence}"
        yield ""
    yield "the whole file"
    for sentence in _whole(understood):
        yield f"  {sentence}"


def _operation(seen: OperationSeen) -> Iterator[str]:
    """The sentences about one operation."""
    yield _answer(seen)
    for tell in (_patience, _nothing, _job, _columns, _changes, _sources, _fence, _open):
        yield from tell(seen)


def _answer(seen: OperationSeen) -> str:
    ran = ", ".join(f"statement {each.number} {each.error or each.tag or 'no answer'}" for each in seen.statements)
    return f"{seen.client} ran it: {_ANSWERS[seen.status].format(error=seen.error)} ({ran or 'no statement ran'})."


def _patience(seen: OperationSeen) -> Iterator[str]:
    if seen.patience:
        yield "With a lease just over it did nothing. A day later it did this: it waits for longer than that lease."


def _nothing(seen: OperationSeen) -> Iterator[str]:
    """An operation that did nothing where it should have done something."""
    if not seen.did_nothing:
        return
    there = f"There were: {seen.met}. " if seen.met else "There were no jobs. "
    if seen.status is None or not seen.statements:
        yield f"NOT TRIED: what it needs, a job that is held or a lock, was not to be had. {there}See the ones above."
    elif _is_maintenance(seen):
        yield f"It did nothing, nor did it a day later. {there}If one of these is its business, look at its WHERE."
    else:
        empty = [each.number for each in seen.statements if each.touched_nothing]
        which = f"statement {empty[0]} touched no row" if empty else "no row was touched"
        yield f"IT DID NOTHING: {which}. {there}Look at its WHERE, and at the parameters that it uses."


def _is_maintenance(seen: OperationSeen) -> bool:
    known = OPERATIONS.get(seen.operation)
    return known is None or known.role is Role.MAINTENANCE


def _job(seen: OperationSeen) -> Iterator[str]:
    """Where its job comes from, and how many a claim takes."""
    if not seen.jobs:
        return
    source = "what its commit changed" if seen.job_from == "commit" else f"{seen.job_from} returns it"
    if seen.operation == ENQUEUE.name:
        yield f"The job that it adds: {source}."
    elif len(seen.jobs) == 1:
        yield f"It takes one job of the {seen.there} that were there: {source}."
    else:
        taken = counted(len(seen.jobs), "job")
        yield f"It takes {taken} at once, of the {seen.there} that were there: {source}."


def _columns(seen: OperationSeen) -> Iterator[str]:
    """The columns that a claim gives, and where parameters come from."""
    if seen.operation == CLAIM.name and seen.columns:
        yield f"It gives its worker the columns {', '.join(seen.columns)}, which later operations may use."
    told = [
        f"{name} from {_SOURCES.get(source, source)}"
        for name, source in seen.uses.items()
        if source != "client" and name not in {"job", "jobs"}
    ]
    if told:
        yield f"Parameters: {', '.join(told)}."


_SOURCES = {"worker": "the worker's name", "claim": "the claim", "setting": "the settings"}


def _changes(seen: OperationSeen) -> Iterator[str]:
    if seen.changes:
        yield f"Jobs: {'; '.join(seen.changes)}."
    elif seen.status is Status.OK and _moves_jobs(seen) and not seen.did_nothing and not seen.leaves_open:
        yield "No observed column of any job shows that it has run."


def _moves_jobs(seen: OperationSeen) -> bool:
    known = OPERATIONS.get(seen.operation)
    return known is None or bool(known.moves)


def _sources(seen: OperationSeen) -> Iterator[str]:
    """What depends on the clock or on chance."""
    yield from _read(seen.statements, "reads the clock", lambda each: each.clock)
    yield from _read(seen.statements, "draws random values", lambda each: each.chance)
    if seen.clock_columns:
        yield f"Of the columns that it gives, {_listed(seen.clock_columns)} on the clock."
    if seen.chance_columns:
        yield f"Of the columns that it gives, {_listed(seen.chance_columns)} on chance."


def _read(
    statements: Sequence[StatementSeen], does: str, words: Callable[[StatementSeen], Sequence[str]]
) -> Iterator[str]:
    for each in statements:
        if words(each):
            yield f"Statement {each.number} {does}: {', '.join(words(each))}."


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names)} depend{'s' if len(names) == 1 else ''}"


def _fence(seen: OperationSeen) -> Iterator[str]:
    """Whether it is refused to a worker that does not hold the job, as far as was tried."""
    fence = seen.fence
    if fence is None and seen.operation in SETTLEMENTS:
        yield "The open transaction is its fence: as long as it lasts, nobody else can have the job."
    if fence is None or seen.status is not Status.OK:
        return
    if fence.names:
        yield f"Its fence is statement {fence.statement}: refused with another {' or another '.join(fence.names)}."
    elif fence.late is not Status.REFUSED and not fence.silent:
        yield "It has no fence: nothing in it tells one claim of a job from another."
    if fence.names == ("worker",):
        yield "A name alone is no fence: the same worker may lose the job, and claim it again."
    if fence.silent:
        yield f"With another {' or another '.join(fence.silent)} it is told yes, and no job changes: {_YES}."
    if fence.ignored:
        yield f"Accepted all the same with another {' or another '.join(fence.ignored)}."
    yield _late(fence)


def _late(fence: Fence) -> str:
    if fence.late is None:
        return "No way was found to take a job from its holder, so a late one was not tried."
    if fence.late is Status.OK and not fence.late_changes:
        return f"A LATE ONE IS TOLD YES, and no job changes: {_YES}."
    if fence.late is Status.OK:
        return "A LATE ONE IS ACCEPTED: its worker had lost the job, and another one had claimed it."
    words = _ANSWERS[fence.late].format(error="of the queue")
    by = "" if fence.names or fence.statement is None else f" by statement {fence.statement}"
    return f"Tried by a worker that had lost the job to another one: {words}{by}."


def _open(seen: OperationSeen) -> Iterator[str]:
    if seen.leaves_open:
        yield "It leaves its transaction open."


# -- the whole file ----------------------------------------------------------------------------------------------------


def _whole(understood: Understanding) -> Iterator[str]:
    ends = " or ".join(_LEASES[lease].format(seconds=understood.lease_seconds) for lease in understood.leases)
    yield f"A holder's right to its job ends {ends}."
    if "heartbeat_timeout_seconds" in understood.assumed and Lease.HEARTBEAT in understood.leases:
        yield "That is assumed: the file does not say heartbeat_timeout_seconds below [settings]."
    if understood.follows_clock is not None:
        yield f"The state of a job follows the clock: with nobody doing anything, {understood.follows_clock}."
    if understood.clock_columns:
        yield f"Of the observed columns, {_listed(understood.clock_columns)} on the clock."
    if understood.chance_columns:
        yield f"Of the observed columns, {_listed(understood.chance_columns)} on chance."
    yield f"Words of states that were seen: {', '.join(understood.words_seen) or 'none'}."
    if understood.words_unseen:
        unseen = ", ".join(understood.words_unseen)
        yield f"Not seen: {unseen}. One may be misspelt, or no operation comes to it in its first run."
