"""Turning a finding into a trace: it holds all that a replay and a report need, and no path of this machine."""

from __future__ import annotations

from collections import Counter

from pgqmodel import __version__
from pgqmodel.explore.judged import Finding
from pgqmodel.explore.simplifying import choices
from pgqmodel.naming import Naming
from pgqmodel.operations import Role
from pgqmodel.report.clocks import clocks_told
from pgqmodel.report.sentences import told
from pgqmodel.target import Function
from pgqmodel.trace import Schema, Trace
from pgqmodel.world import World

__all__ = ["record"]

_TIMESTAMPS = """
SELECT c.relname AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname NOT LIKE 'pg\\_%'
  AND n.nspname NOT IN ('information_schema', 'pgqmodel') AND a.atttypid IN ('timestamptz'::regtype,
  'timestamp'::regtype)
GROUP BY c.relname ORDER BY c.relname
"""


def record(world: World, finding: Finding, *, source: str, seed: int) -> Trace:
    """The trace of a finding in the world that it was found in."""
    target = world.target
    naming = Naming(finding.identifiers)
    history = naming.history(finding.history)
    explanation = (*map(naming.text, told(finding.broken.facts)), *clocks_told(history))
    return Trace(
        version=__version__,
        target=source,
        name=target.name,
        fingerprint=target.fingerprint,
        anomaly=finding.broken.anomaly,
        promise=finding.broken.promise,
        explanation=explanation,
        job=finding.broken.job,
        operations=finding.broken.operations,
        claim=finding.broken.claim,
        postgres=world.server.version,
        seed=seed,
        workers=tuple(name for name, role in world.cast.items() if role is Role.WORKER),
        producers=Counter(world.cast.values())[Role.PRODUCER],
        maintenance=Counter(world.cast.values())[Role.MAINTENANCE],
        settings=dict(target.settings),
        steps=finding.schedule,
        shrunk_steps=choices(finding.schedule),
        history=history,
        schema=Schema(
            setup=tuple((script.label, script.sql) for script in target.setup),
            timestamps={row["name"]: tuple(row["columns"]) for row in world.side.query(_TIMESTAMPS)},
            observe={
                name: sql for name in ("jobs", "runs", "environments", "logs") if (sql := getattr(target.observe, name))
            },
            isolation={name: op.isolation for name, op in target.operations.items() if op.isolation},
        ),
        names=naming.values,
        functions={name: op.source.name for name, op in target.operations.items() if isinstance(op, Function)},
    )
