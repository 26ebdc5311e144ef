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
    """The call is wrong: an option, a name, a missing file."""

    exit_code = 2


class TargetError(UsageError):
    """The target is wrong: its file, its SQL, its promises. The message names the file and the key."""


class NoVerdictError(PgqmodelError):
    """The world failed before there was a verdict."""


class ServerGoneError(NoVerdictError):
    """The server stopped by itself while it was needed."""


class StuckError(NoVerdictError):
    """Nothing moved for the time of the real-time guard; the message tells what each connection waits for."""


class WireError(NoVerdictError):
    """A peer broke the protocol, or asked for something that the gate refuses; the message names the connection."""


class ReplayMismatchError(NoVerdictError):
    """A recorded step could not be taken; the message shows the record and the present state."""


class LostAnswerError(NoVerdictError):
    """The connection to a queue is gone; a call in flight may have taken effect or not."""


class RolledBackError(NoVerdictError):
    """The database answered a queue's call with the error `sqlstate`; the call had no effect.

    `passing` if the same call may well succeed later: a deadlock, a serialization failure, a lack of resources.
    """

    def __init__(self, message: str, *, sqlstate: str, passing: bool) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.passing = passing


class JobFailedError(PgqmodelError):
    """A job could not be done; its holder settles it as failed, with this message."""


class ClaimLostError(PgqmodelError):
    """The queue refused a holder's call, because the client does not hold the job any more."""
