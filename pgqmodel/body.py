"""The body of a job: the one statement by which a program tells that it runs a job, `SELECT pgqmodel.work($1)`. Pure.

It waits at the gate as long as the job runs. When it is let through it answers `done` or `fail`, and for `fail` the
program's handler raises an error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["FATES", "body_of", "is_body"]

FATES = {"done": 1, "fail": 2}
"""The answers of a job's body, and the numbers that stand for them in the database."""
_BODY = re.compile(r"\bpgqmodel\.work\s*\(\s*(?:'((?:[^']|'')*)'|(\$\d+)|(\d+))", re.IGNORECASE)


def is_body(sql: str) -> bool:
    """Whether a statement is the body of a job."""
    return _BODY.search(sql) is not None


def body_of(sql: str, parameters: Sequence[object]) -> str | None:
    """The queue's own identifier of the job whose body a statement is; None if it is none."""
    match = _BODY.search(sql)
    if match is None:
        return None
    literal, parameter, number = match.groups()
    if parameter is None:
        return str(number) if literal is None else str(literal).replace("''", "'")
    place = int(parameter[1:]) - 1
    return str(parameters[place]) if place < len(parameters) else None
