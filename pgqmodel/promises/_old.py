"""The promises a queue can make, the anomalies that break them, and what it takes to judge each: public identifiers.

The table is the contract; the meaning of each promise stands in docs/promises.md.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

__all__ = ["ANOMALIES", "PROMISES", "Promise", "Value"]


class Value(StrEnum):
    """What a target file may say of a promise beside `false`."""

    FLAG = "true"
    ORDER = 'a list such as ["priority desc", "id asc"]'
    LIMIT = 'a table such as { column = "environment", limit = 1 }'


@frozen(kw_only=True)
class Promise:
    """One promise: `operations` and `columns` (as "query.column") are what judging it needs from the target.

    `checked` is false for a promise that only simulations put to the test: a target may declare it, and `check` reports
    it as not exercised.
    """

    name: str
    says: str
    anomalies: tuple[str, ...]
    operations: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    value: Value = Value.FLAG
    checked: bool = True


_TABLE = (
    Promise(
        name="exclusive-claim",
        says="a job has at most one current claim at every instant",
        anomalies=("double-claim",),
    ),
    Promise(
        name="fenced-settlement",
        says="a settlement takes effect only for the current claim; a former holder's is refused and changes nothing",
        anomalies=("stale-settlement",),
    ),
    Promise(
        name="fenced-heartbeat",
        says="a heartbeat extends only the current claim",
        anomalies=("zombie-heartbeat",),
        operations=("heartbeat",),
    ),
    Promise(
        name="no-lost-job",
        says="a job whose enqueue committed stays until it is settled for good",
        anomalies=("lost-job",),
    ),
    Promise(
        name="no-phantom-job",
        says="what is claimed was enqueued by a committed transaction",
        anomalies=("phantom-job",),
    ),
    Promise(
        name="final-states",
        says="completed, failed and cancelled are final: no later step leaves them",
        anomalies=("resurrection",),
    ),
    Promise(
        name="claim-order",
        says="a claim takes the best eligible job in the declared order among those nobody else has locked",
        anomalies=("order-inversion",),
        value=Value.ORDER,
    ),
    Promise(
        name="claim-complete",
        says='a claim answers "nothing" only if nothing is eligible and unlocked',
        anomalies=("false-empty",),
    ),
    Promise(
        name="stage-order",
        says="no job of a stage is claimed before every job of the stages it needs has completed",
        anomalies=("stage-skip",),
        columns=("jobs.run", "jobs.stage"),
    ),
    Promise(
        name="one-deploy",
        says="at every instant at most one session holds an environment's deploy lock",
        anomalies=("lock-overlap",),
        operations=("lock",),
    ),
    Promise(
        name="fenced-deploy",
        says="a deploy's effect on its environment is accepted only from the current holder of that environment's lock",
        anomalies=("stale-deploy",),
        operations=("lock", "deploy"),
    ),
    Promise(
        name="lock-release",
        says="a deploy lock is free again once its job is settled or its holder's session has ended",
        anomalies=("lock-leak",),
        operations=("lock",),
    ),
    Promise(
        name="lease",
        says="a job is not taken from a holder whose last accepted heartbeat is younger than the timeout",
        anomalies=("early-reclaim",),
        operations=("reclaim",),
    ),
    Promise(
        name="recovery",
        says="once faults stop and leases lapse, every job reaches a final state or is claimed again within a bound",
        anomalies=("stuck-job",),
    ),
    Promise(
        name="attempts",
        says="the attempt number equals the number of claims; after max_attempts the job fails for good",
        anomalies=("attempt-miscount", "attempt-overrun"),
        columns=("jobs.attempt",),
    ),
    Promise(
        name="unique-key",
        says=(
            "at most one job with a given key is pending or running; an accepted enqueue is neither dropped nor doubled"
        ),
        anomalies=("duplicate-key",),
        columns=("jobs.unique_key",),
    ),
    Promise(
        name="live-limit",
        says="at every instant no more than the declared number of jobs of a key are live",
        anomalies=("limit-exceeded",),
        value=Value.LIMIT,
    ),
    Promise(
        name="wake-up",
        says="with an idle worker listening, a ready job starts without waiting for the next poll",
        anomalies=("lost-wakeup",),
        checked=False,
    ),
    Promise(
        name="log-complete",
        says="a subscriber receives every committed log line of its job once, in sequence order",
        anomalies=("lost-log", "duplicate-log", "reordered-log"),
        operations=("log",),
        columns=("logs.job", "logs.sequence", "logs.line"),
    ),
    Promise(
        name="log-bounded",
        says=(
            "a line that does not fit a notification's 8000 bytes arrives whole by another way, "
            "or cut on a character boundary and marked as cut"
        ),
        anomalies=("mangled-log",),
        operations=("log",),
        checked=False,
    ),
    Promise(
        name="run-status",
        says="a run's status always follows from its jobs' states",
        anomalies=("status-divergence",),
        columns=("jobs.run", "runs.run", "runs.state"),
    ),
    Promise(
        name="deadlock-free",
        says="no two operations of the queue deadlock each other",
        anomalies=("deadlock",),
    ),
    Promise(
        name="poison-isolated",
        says="a job that always fails delays only itself",
        anomalies=("poison-block",),
        operations=("fail",),
    ),
)

PROMISES: dict[str, Promise] = {promise.name: promise for promise in _TABLE}
ANOMALIES: dict[str, str] = {anomaly: promise.name for promise in _TABLE for anomaly in promise.anomalies}
"""From each anomaly to the promise it breaks."""
