"""Every exception that pgqmodel raises on purpose, and the exit code each one ends in.

An exception's type says whose fault it is: the caller's or the target file's (`UsageError`, `TargetError`: exit 2), or
the world's (`NoVerdictError` and its kinds: exit 3). Messages have three parts: what was found, what was expected, what
to do.
"""

from __future__ import annotations

from typing import ClassVar


class PgqmodelError(Exception):
    """The base of every exception here; never raised itself."""

    exit_code: ClassVar[int] = 3


class UsageError(PgqmodelError):
    """The call is wrong: an option, a name, a file that is not there."""

    exit_code = 2


class TargetError(UsageError):
    """The target is wrong: its file, its SQL, its promises. The message names the file and the key."""


class NoVerdictError(PgqmodelError):
    """The world gave out before there was a verdict."""


class ServerGoneError(NoVerdictError):
    """The server stopped while it was needed and nobody had asked it to."""


class StuckError(NoVerdictError):
    """Nothing moved for the length of the real-time guard; the message says who waits for what."""


class WireError(NoVerdictError):
    """A peer broke the protocol, or asked for something the gate refuses; the message names the connection."""


class ReplayMismatchError(NoVerdictError):
    """A recorded step could not be taken; the message shows the record and what is there now."""


class LostAnswerError(NoVerdictError):
    """A queue's connection is gone: of a call in flight nobody knows whether it took effect."""


class RolledBackError(NoVerdictError):
    """The database answered a queue's call with an error, and it had no effect; `sqlstate` says which.

    `passing` if the same call may well succeed later: a deadlock, a serialization failure, a lack of resources.
    """

    def __init__(self, message: str, *, sqlstate: str, passing: bool) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.passing = passing


class JobFailedError(PgqmodelError):
    """A job could not be done; what its holder tells the queue."""


class ClaimLostError(PgqmodelError):
    """The queue refused a holder's call: somebody else has its job, or nobody."""
