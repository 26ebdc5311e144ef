"""The basic words: the states of a job, the meanings of its changes, leases, and the ways in which a call can end."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ABSENT", "ANSWERED", "CLAIMS", "FINAL", "LIVE", "UNHELD", "Delivery", "Lease", "Meaning", "State", "Status"]


class State(StrEnum):
    """The six states of a job; a queue may have other words for them."""

    WAITING = "waiting"
    """The job exists, but no claim may take it before it is promoted: staged, blocked, scheduled."""
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ABSENT = None
"""The state of a job that has no row."""
FINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
UNHELD = frozenset({State.WAITING, State.PENDING})
"""The states of a live job without a holder."""
LIVE = UNHELD | {State.RUNNING}
assert set(State) == LIVE | FINAL, "every state is live or final"


class Meaning(StrEnum):
    """The meaning of a change in the life of a job. No operation may make the last four."""

    ADDED = "added"
    CLAIMED = "claimed"
    TAKEN = "taken"
    """Claimed while it was running; legal if the lease of the former claim has lapsed."""
    UNDONE = "undone"
    """A claim gives its job back before it is over: it tried a lock, and then looked again."""
    SETTLED = "settled"
    CANCELLED = "cancelled"
    CASCADED = "cascaded"
    """Cancelled because a job of an earlier stage of its run failed or was cancelled."""
    RECLAIMED = "reclaimed"
    RELEASED = "released"
    LAPSED = "lapsed"
    """No client wrote: time has passed, and the queue shows another state because of the clock."""
    MOVED = "moved"
    """Promoted, or changed by maintenance in another way that the target declares, while it had no holder."""
    REMOVED = "removed"
    REWRITTEN = "rewritten"
    """The state is the same, but another column has changed."""
    LOST = "lost"
    REVIVED = "revived"
    CONJURED = "conjured"
    FORCED = "forced"


CLAIMS = frozenset({Meaning.CLAIMED, Meaning.TAKEN})
"""The changes by which a call gets a job."""


class Delivery(StrEnum):
    """How often a job is run at the least, or at the most, whatever crashes."""

    AT_LEAST_ONCE = "at-least-once"
    AT_MOST_ONCE = "at-most-once"
    """A claim may end its job at once: a crash may lose it, and nobody runs it twice."""


class Lease(StrEnum):
    """The end of a silent holder's right to its job."""

    HEARTBEAT = "heartbeat"
    """The age of its claim, or of its last accepted heartbeat."""
    UNTIL = "until"
    """A moment that the job's row shows as `lease_until`."""
    SESSION = "session"
    """The end of the session that claimed, such as one that holds an advisory lock."""
    TRANSACTION = "transaction"
    """The end of the transaction that claimed, which stays open until the settlement."""


class Status(StrEnum):
    """How a call ended, as its client saw it.

    `EMPTY`: a claim found no job. `REFUSED`: the operation touched nothing. `ERROR`: the database rolled it back with
    an error. `UNKNOWN`: the answer was lost, so it may have taken effect or not.
    """

    OK = "ok"
    EMPTY = "empty"
    REFUSED = "refused"
    ERROR = "error"
    UNKNOWN = "unknown"


ANSWERED = frozenset({Status.OK, Status.REFUSED, Status.EMPTY})
"""The endings that are answers of the queue itself."""
