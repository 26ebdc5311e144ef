"""The SQL of the reference queue, read from operations.sql and extras.sql: one statement by name."""

from __future__ import annotations

import re
from importlib.resources import files

__all__ = ["EXTRAS", "STATEMENTS"]

_NAME = re.compile(r"^-- name: (\w+)\n(?:--.*\n)*", re.MULTILINE)
"""The head of a statement: its name, and the comment after it."""


def _read(name: str) -> dict[str, str]:
    """The statements of a file, by name, without their comments and the semicolons that end them.

    Each keeps a line end before and after it, because stored traces hold a digest of exactly these texts.
    """
    text = (files("pgqmodel.reference") / name).read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    found = zip(parts[::2], parts[1::2], strict=True)
    return {key: f"\n{sql.strip().removesuffix(';')}\n" for key, sql in found}


STATEMENTS = _read("operations.sql")
EXTRAS = _read("extras.sql")
"""Statements beside the operations: add a run's jobs at once, add lines at once, tell when a delayed job is due."""
