"""The reference queue and the baseline as targets, for `pgqmodel check reference` and `pgqmodel check baseline`."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from pgqmodel.operations import OPERATIONS, State
from pgqmodel.promises import LIMIT, ORDER, PROMISES
from pgqmodel.reference.statements import EXTRAS, STATEMENTS
from pgqmodel.target import Observation, Script, Statements, Target, compile_statement

__all__ = ["OBSERVATIONS", "baseline", "reference"]

_ORDER = (("priority", "desc"), ("id", "asc"))
OBSERVATIONS: dict[str, Any] = {
    "jobs": """
SELECT id, id::text AS job, status AS state, worker AS holder, attempts AS attempt, priority, unique_key, run, stage,
       environment, needs, extract(epoch FROM available_at) AS eligible_at
FROM job_queue
""",
    "runs": "SELECT run, status AS state FROM pipeline_runs",
    "environments": "SELECT environment, version FROM environments",
    "logs": "SELECT job::text AS job, sequence, line FROM job_logs ORDER BY job, sequence",
}
"""The observe queries: they show the queue's state in the words of promises. A copy of the queue does not need them."""


def reference() -> Target:
    """The reference queue: it declares and keeps every promise for its operations."""
    schema = (files("pgqmodel.reference") / "schema.sql").read_text(encoding="utf-8")
    text = json.dumps([schema, STATEMENTS, EXTRAS, OBSERVATIONS])
    return Target(
        name="reference",
        source="reference",
        promises={
            name: _ORDER if promise.value is ORDER else True
            for name, promise in PROMISES.items()
            if promise.checked and promise.value is not LIMIT
        },
        settings={"heartbeat_timeout_seconds": 30, "max_attempts": 3},
        setup=(Script(label="schema.sql", sql=schema),),
        observe=Observation(
            states={state.value: state for state in State if state is not State.WAITING}, **OBSERVATIONS
        ),
        operations={name: _program(name, STATEMENTS[name]) for name in OPERATIONS if name in STATEMENTS},
        fingerprint="sha256:" + hashlib.sha256(text.encode()).hexdigest(),
        wake_channel="job_queue",
        log_channel="job_logs",
        extras={name: _program(name, sql) for name, sql in EXTRAS.items()},
    )


def _program(name: str, sql: str) -> Statements:
    return Statements(name=name, statements=(compile_statement(f"reference: {name}", sql.strip()),))


def baseline() -> Path:
    """The path of the target file of the plan's present system."""
    return Path(str(files("pgqmodel.reference") / "baseline.toml"))
