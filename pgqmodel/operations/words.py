"""What a job can be, what a change of it means, and how a call can end: the words that everything else is said in."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ABSENT", "ANSWERED", "CLAIMS", "FINAL", "LIVE", "UNHELD", "Delivery", "Lease", "Meaning", "State", "Status"]


class State(StrEnum):
    """The six states of a job, whatever words the queue has for them."""

    WAITING = "waiting"
    """It is there, and no claim may take it until somebody promotes it: staged, blocked, scheduled."""
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ABSENT = None
"""The state of a job that has no row."""
FINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
UNHELD = frozenset({State.WAITING, State.PENDING})
"""The states of a live job that nobody holds."""
LIVE = UNHELD | {State.RUNNING}
assert set(State) == LIVE | FINAL, "every state is live or final"


class Meaning(StrEnum):
    """What a change of one job is, in the life of that job. The last four no operation may do."""

    ADDED = "added"
    CLAIMED = "claimed"
    TAKEN = "taken"
    """Claimed while it was running: legal if the former claim's lease has lapsed."""
    UNDONE = "undone"
    """A claim gives back what it took before it is over, as one does that tries a lock and then looks again."""
    SETTLED = "settled"
    CANCELLED = "cancelled"
    CASCADED = "cascaded"
    """Cancelled because a job of an earlier stage of its run failed or was cancelled."""
    RECLAIMED = "reclaimed"
    RELEASED = "released"
    LAPSED = "lapsed"
    """Nobody wrote anything: time has passed, and what the queue shows follows the clock."""
    MOVED = "moved"
    """Promoted; or what else maintenance may do to a job that nobody holds, as the target says."""
    REMOVED = "removed"
    REWRITTEN = "rewritten"
    """The state is what it was; another column is not."""
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
    """What ends the right of a holder that is silent."""

    HEARTBEAT = "heartbeat"
    """The age of its claim, or of its last accepted heartbeat."""
    UNTIL = "until"
    """A moment that the job's row shows as `lease_until`."""
    SESSION = "session"
    """The end of the session that claimed, as where an advisory lock is held."""
    TRANSACTION = "transaction"
    """The end of the transaction that claimed, which stays open until the settlement."""


class Status(StrEnum):
    """How a call ended, as its client saw it.

    `EMPTY` is a claim that found nothing; `REFUSED` an operation that touched nothing; `ERROR` one that the database
    rolled back with an error; `UNKNOWN` one whose answer was lost: its effect may be there or not.
    """

    OK = "ok"
    EMPTY = "empty"
    REFUSED = "refused"
    ERROR = "error"
    UNKNOWN = "unknown"


ANSWERED = frozenset({Status.OK, Status.REFUSED, Status.EMPTY})
"""How a call ends that the queue itself has answered."""
