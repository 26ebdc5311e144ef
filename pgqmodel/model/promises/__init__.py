"""Every promise's judgement, in the order of precedence; one file, one promise or a few that share a story.

Where one event breaks several promises, the first of these that the target declares gives the anomaly its name.
"""

from __future__ import annotations

from pgqmodel.model.promises import (
    attempts,
    claims,
    deadlocks,
    deploys,
    draining,
    jobs,
    keys,
    leases,
    logs,
    ordering,
    runs,
    settlements,
    stages,
)
from pgqmodel.model.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = (
    *jobs.FINAL_STATES,
    *settlements.RULES,
    *claims.RULES,
    *jobs.RULES,
    *leases.RULES,
    *stages.RULES,
    *ordering.RULES,
    *deploys.RULES,
    *attempts.RULES,
    *keys.RULES,
    *logs.RULES,
    *runs.RULES,
    *deadlocks.RULES,
    *draining.RULES,
)
