"""What a dry run has understood of a target, as values: its operations one by one, its words, its leases."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from pgqmodel.operations import Lease, Status

__all__ = ["Fence", "OperationSeen", "StatementSeen", "Understanding"]


@frozen(kw_only=True)
class StatementSeen:
    """One statement of an operation, counted from 1: its tag, such as "UPDATE 1", or the error that it ended with.

    `columns` are those that it returns, `clock` and `chance` its words for the time and for random values.
    """

    number: int
    tag: str = ""
    error: str | None = None
    columns: tuple[str, ...] = ()
    clock: tuple[str, ...] = ()
    chance: tuple[str, ...] = ()

    @property
    def touched_nothing(self) -> bool:
        """Whether it ran and found, or changed, no row."""
        return self.error is None and self.tag.endswith(" 0")


@frozen(kw_only=True)
class Fence:
    """Whether an operation of a holder is refused to a worker that does not hold the job.

    `names` are the parameters that were altered, one at a time, and the call was refused; `silent` those with which it
    was told yes and changed nothing, `ignored` those with which it went through all the same. `late` is how it ended
    for a former holder whose job another worker had, or None where no way was found to take a job from its holder.
    `statement` is the one that refused, counted from 1.
    """

    names: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    late: Status | None = None
    late_changes: bool = False
    statement: int | None = None


@frozen(kw_only=True)
class OperationSeen:
    """One operation, run once and alone.

    `status` is None for a call that did not come to its end; `job_from` says where its job comes from: "statement 1",
    "commit" where no statement returns it, or the name of a function; "its program" where it is neither. `there` are
    the jobs that a claim could have taken, `jobs` those that it took. `changes` are what it did to jobs, each in a few
    words; `uses` says where each parameter comes from.
    """

    operation: str
    client: str
    status: Status | None
    error: str | None = None
    statements: tuple[StatementSeen, ...] = ()
    job_from: str | None = None
    there: int = 0
    jobs: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    uses: Mapping[str, str] = field(factory=dict)
    changes: tuple[str, ...] = ()
    met: str = ""
    """The jobs that there were before it, in a few words."""
    patience: float = 0.0
    """How many seconds longer than a lease it had to wait until there was something to do."""
    leaves_open: bool = False
    clock_columns: tuple[str, ...] = ()
    chance_columns: tuple[str, ...] = ()
    fence: Fence | None = None

    @property
    def did_nothing(self) -> bool:
        """Whether no statement touched a row and no job changed."""
        idle = all(each.touched_nothing or each.error is not None for each in self.statements)
        return not self.changes and idle


@frozen(kw_only=True)
class Understanding:
    """All that a dry run has understood.

    `assumed` are the settings that the file neither gives nor uses; `follows_clock` says what became of a job that was
    held when nobody did anything and time passed.
    """

    operations: tuple[OperationSeen, ...]
    leases: tuple[Lease, ...]
    lease_seconds: float
    assumed: tuple[str, ...]
    follows_clock: str | None = None
    clock_columns: tuple[str, ...] = ()
    chance_columns: tuple[str, ...] = ()
    words_seen: tuple[str, ...] = ()
    words_unseen: tuple[str, ...] = ()
