"""The seeded bugs: what each is called, how short its shortest story is, and what it takes to find it.

A bug's file in `bugs/` says the rest. The size counts choices beyond the enqueues, as `shrunk_steps` does.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

__all__ = ["BUGS", "FOLDER", "SAMPLE", "TWICE", "Bug"]

FOLDER = Path(__file__).parent / "bugs"
TWICE = ("double-claim", "stale-settlement", "early-reclaim", "stuck-job", "order-inversion")
"""The anomalies that are seeded in two ways at least."""


@frozen
class Bug:
    """One seeded bug: `anomaly--slug` is the name of its file."""

    name: str
    shrunk_steps: int
    needs: str
    """What a machine must be able to do to find it, beyond running operations one after the other."""

    @property
    def anomaly(self) -> str:
        """What it is called when it is found."""
        return self.name.partition("--")[0]

    @property
    def path(self) -> Path:
        """Its target file."""
        return FOLDER / f"{self.name}.toml"


BUGS = (
    Bug("attempt-miscount--reclaim-starts-again", 3, "time"),
    Bug("attempt-miscount--retry-counts-too", 2, ""),
    Bug("attempt-overrun--off-by-one", 5, ""),
    Bug("attempt-overrun--reclaim-forgets", 4, "time"),
    Bug("deadlock--crosswise", 5, "statement split, lock wait, deadlock"),
    Bug("deadlock--share-then-update", 4, "statement split, lock wait, deadlock"),
    Bug("double-claim--lease-table-without-key", 3, "commit split"),
    Bug("double-claim--open-transaction-without-lock", 2, "open transaction"),
    Bug("double-claim--lock-without-transaction", 3, "statement split"),
    Bug("double-claim--resume-by-name", 3, "twin"),
    Bug("double-claim--unlock-before-commit", 3, "commit split, session lock"),
    Bug("double-claim--unlocked-subselect", 4, "commit split, lock wait"),
    Bug("duplicate-key--check-then-insert", 1, "two producers, unique key, statement split"),
    Bug("duplicate-key--dead-letter-doubled", 5, "cut, statement split"),
    Bug("duplicate-key--dropped-onto-finished", 2, "unique key"),
    Bug("duplicate-key--follow-up-unseen", 3, "statement split, unique key"),
    Bug("duplicate-key--running-not-counted", 1, "unique key"),
    Bug("duplicate-key--tick-doubled", 2, "maintenance of its own"),
    Bug("duplicate-log--flushed-twice", 3, ""),
    Bug("early-reclaim--by-start-time", 4, "time"),
    Bug("early-reclaim--claim-does-not-beat", 3, "time"),
    Bug("early-reclaim--condition-in-a-subselect", 6, "time, commit split, lock wait"),
    Bug("early-reclaim--connection-is-not-life", 3, "cut, session lock"),
    Bug("early-reclaim--list-then-update", 5, "time, statement split"),
    Bug("early-reclaim--own-idea-of-the-timeout", 3, "time less than a lease"),
    Bug("early-reclaim--promoted-twice", 3, "maintenance of its own, statement split"),
    Bug("early-reclaim--retried-twice", 7, "maintenance of its own, time, statement split"),
    Bug("early-reclaim--second-too-short", 3, "time just before a lease lapses"),
    Bug("early-reclaim--third-too-short", 3, "time just before a lease lapses"),
    Bug("early-reclaim--two-reapers", 6, "two maintenance clients, time, statement split"),
    Bug("false-empty--candidate-taken", 3, "statement split"),
    Bug("false-empty--limit-before-filter", 2, "environment"),
    Bug("false-empty--lock-kept-on-retry", 3, "session lock"),
    Bug("limit-exceeded--count-in-a-snapshot", 3, "commit split, environment"),
    Bug("limit-exceeded--own-jobs-only", 2, "environment"),
    Bug("limit-exceeded--repeatable-read", 3, "commit split, isolation, environment"),
    Bug("lock-leak--complete-keeps-the-lock", 5, "session lock, environment"),
    Bug("lock-leak--row-survives-its-holder", 5, "cut, environment"),
    Bug("lock-overlap--lock-of-a-transaction", 4, "environment"),
    Bug("lock-overlap--lock-table-without-key", 5, "commit split, environment"),
    Bug("lost-job--born-done", 0, ""),
    Bug("lost-job--moved-in-two-steps", 1, ""),
    Bug("lost-job--pruned-by-age", 2, "time, maintenance of its own"),
    Bug("lost-job--retention-sweeps-pending", 2, "time"),
    Bug("lost-job--unlogged-table", 1, "restart"),
    Bug("lost-log--fresh-for-each-attempt", 4, ""),
    Bug("order-inversion--last-in-first-out", 1, ""),
    Bug("order-inversion--priority-in-a-window", 1, "priority"),
    Bug("order-inversion--retry-goes-last", 3, ""),
    Bug("phantom-job--sequence-as-head", 1, "commit split"),
    Bug("poison-block--back-to-the-head", 0, "drain with a poison"),
    Bug("reordered-log--counted-by-attempt", 6, ""),
    Bug("resurrection--cancel-completed", 3, ""),
    Bug("resurrection--fail-after-lost-complete", 5, "lost answer, a catch block"),
    Bug("resurrection--lock-without-a-second-look", 4, "session lock, snapshot split"),
    Bug("resurrection--reclaim-forgets-cancelled", 4, "time"),
    Bug("stage-skip--failed-counts-as-done", 3, "run and stage"),
    Bug("stage-skip--running-counts-as-done", 2, "run and stage"),
    Bug("stale-deploy--bare-session-lock", 5, "cut, session lock, environment"),
    Bug("stale-deploy--fence-names-the-job", 7, "time, environment"),
    Bug("stale-settlement--by-id", 5, "time"),
    Bug("stale-settlement--by-name", 6, "time, twin"),
    Bug("stale-settlement--check-then-act", 5, "time, statement split"),
    Bug("stale-settlement--early-unlock", 4, "session lock, statement split"),
    Bug("stale-settlement--fence-given-away", 6, "time, a fence that moves"),
    Bug("stale-settlement--fence-of-a-second", 6, "lost answer"),
    Bug("stale-settlement--tail-of-a-batch", 6, "batch, time"),
    Bug("stale-settlement--write-skew", 5, "time, statement split, isolation"),
    Bug("status-divergence--last-two-at-once", 5, "commit split, run"),
    Bug("status-divergence--run-before-job", 2, "run"),
    Bug("stuck-job--aborting-for-ever", 2, "drain"),
    Bug("stuck-job--another-word-for-pending", 2, "crash, drain"),
    Bug("stuck-job--attempts-used-up", 2, "crash, drain"),
    Bug("stuck-job--follow-up-lost", 3, "statement split, crash, drain"),
    Bug("stuck-job--never-promoted", 2, "drain"),
    Bug("stuck-job--no-first-heartbeat", 2, "crash, drain"),
    Bug("stuck-job--one-bad-row", 2, "crash, drain, unique key"),
    Bug("stuck-job--queue-row-gone", 2, "statement split, crash, drain"),
    Bug("stuck-job--slot-leaks", 2, "crash, drain, environment"),
    Bug("stuck-job--ten-times-too-long", 2, "crash, drain"),
    Bug("zombie-heartbeat--by-id", 5, "time"),
    Bug("zombie-heartbeat--name-is-left", 4, "time"),
)

SAMPLE = frozenset(
    {
        "attempt-miscount--reclaim-starts-again",
        "attempt-overrun--reclaim-forgets",
        "deadlock--share-then-update",
        "double-claim--resume-by-name",
        "double-claim--unlock-before-commit",
        "double-claim--unlocked-subselect",
        "duplicate-key--check-then-insert",
        "duplicate-key--dropped-onto-finished",
        "duplicate-key--tick-doubled",
        "duplicate-log--flushed-twice",
        "early-reclaim--by-start-time",
        "early-reclaim--connection-is-not-life",
        "early-reclaim--own-idea-of-the-timeout",
        "early-reclaim--two-reapers",
        "false-empty--candidate-taken",
        "false-empty--limit-before-filter",
        "lost-job--born-done",
        "lost-job--unlogged-table",
        "order-inversion--last-in-first-out",
        "phantom-job--sequence-as-head",
        "poison-block--back-to-the-head",
        "resurrection--cancel-completed",
        "stale-settlement--tail-of-a-batch",
    }
)
"""What every run of the tests looks for, from one seed: those that are found fast. The rest is for `nox -s quality`."""
