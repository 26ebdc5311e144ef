"""The promises a queue can make, one module each; the anomalies that break them. Public identifiers.

A new promise is one new module and one line here; its meaning stands in docs/promises.md, too. A program can `add` a
promise of its own; its rules give facts as evidence, of a known kind or of its own. Every other table is derived
from `PROMISES`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from pgqmodel.catalogue import Catalogue
from pgqmodel.model.facts import Fact, Yet
from pgqmodel.promises import (
    attempts,
    claim_complete,
    claim_order,
    deadlock_free,
    exclusive_claim,
    fenced_deploy,
    fenced_heartbeat,
    fenced_settlement,
    final_states,
    lease,
    live_limit,
    lock_release,
    log_bounded,
    log_complete,
    no_lost_job,
    no_phantom_job,
    one_deploy,
    poison_isolated,
    recovery,
    run_status,
    stage_order,
    unique_key,
    wake_up,
)
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.outline import Outline, could_declare, may_judge
from pgqmodel.promises.promise import Hook, Memory, Precedence, Promise, Rule, Source, Trial, Watch
from pgqmodel.promises.value import FLAG, LIMIT, ORDER, BadValueError, Limit, Value
from pgqmodel.promises.watcher import Watcher

__all__ = [
    "ANOMALIES",
    "FLAG",
    "LIMIT",
    "ORDER",
    "PROMISES",
    "BadValueError",
    "Broken",
    "Fact",
    "Hook",
    "Limit",
    "Memory",
    "Outline",
    "Precedence",
    "Promise",
    "Rule",
    "Source",
    "Trial",
    "Value",
    "Watch",
    "Watcher",
    "Yet",
    "could_declare",
    "may_judge",
]

PROMISES: Catalogue[Promise] = Catalogue(
    module.PROMISE
    for module in (
        exclusive_claim,
        fenced_settlement,
        fenced_heartbeat,
        no_lost_job,
        no_phantom_job,
        final_states,
        claim_order,
        claim_complete,
        stage_order,
        one_deploy,
        fenced_deploy,
        lock_release,
        lease,
        recovery,
        attempts,
        unique_key,
        live_limit,
        wake_up,
        log_complete,
        log_bounded,
        run_status,
        deadlock_free,
        poison_isolated,
    )
)
"""Every promise by its name, in the order in which they are listed everywhere."""


class _Anomalies(Mapping[str, str]):
    """From each anomaly to the promise that it breaks."""

    def __getitem__(self, anomaly: str) -> str:
        return PROMISES.table(_by_anomaly)[anomaly]

    def __iter__(self) -> Iterator[str]:
        return iter(PROMISES.table(_by_anomaly))

    def __len__(self) -> int:
        return len(PROMISES.table(_by_anomaly))


def _by_anomaly(promises: Catalogue[Promise]) -> Mapping[str, str]:
    return MappingProxyType({anomaly: promise.name for promise in promises.values() for anomaly in promise.anomalies})


ANOMALIES: Mapping[str, str] = _Anomalies()
"""From each anomaly to the promise that it breaks."""
