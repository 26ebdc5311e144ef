"""The facts about deliveries: the lines of a job's log, and the notifications that wake idle workers."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from pgqmodel.model.facts import Fact

__all__ = [
    "CommitAdded",
    "IdleListening",
    "LineAccepted",
    "LineBehind",
    "LineCount",
    "LineFate",
    "LineGone",
    "LineReceived",
    "LineStood",
    "SequenceBehind",
    "WaitedInVain",
]


# -- lines as they were committed --------------------------------------------------------------------------------------


@frozen(kw_only=True)
class LineAccepted(Fact):
    """A client's line of a job's log was accepted."""

    client: str
    line: str
    job: str
    step: int


@frozen(kw_only=True)
class LineCount(Fact):
    """How often a line is among the lines of its job."""

    line: str
    times: int


@frozen
class LineBehind(Fact):
    """A line that was committed before another one, and comes after it by sequence."""

    line: str


@frozen(kw_only=True)
class LineStood(Fact):
    """A line of a job had been accepted before."""

    line: str
    job: str


@frozen
class LineGone(Fact):
    """The line that had been accepted is not there any more."""

    step: int


@frozen
class CommitAdded(Fact):
    """How often the commit of a call added the call's line."""

    times: int


@frozen(kw_only=True)
class SequenceBehind(Fact):
    """The sequence of a line, and the higher one of a line that was accepted before the first one began."""

    sequence: int
    accepted: int


# -- lines as a subscriber received them -------------------------------------------------------------------------------


class LineFate(StrEnum):
    """The fault of a line at a subscriber."""

    INVENTED = "no client wrote it"
    DOUBLED = "it came twice"
    LATE = "it came after a later one"
    ALTERED = "it came with another text"
    MISSING = "it never came"


@frozen(kw_only=True)
class LineReceived(Fact):
    """One line of a job at one subscriber; `after` is the later line that it came after."""

    subscriber: str
    sequence: int
    job: str
    fate: LineFate
    after: int | None = None


# -- wake-ups ----------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class IdleListening(Fact):
    """A job was enqueued while workers were idle and listened on a channel."""

    job: str
    channel: str


@frozen(kw_only=True)
class WaitedInVain(Fact):
    """How long a job waited, or None if it was never claimed; and how long the worker that claimed it had rested."""

    waited: float | None
    rested: float
