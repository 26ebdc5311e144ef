"""Schedules can be read, shrunk and told where there is neither a server nor Trio."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("trio", "psycopg", "greenlet", "hypothesis", "pgqmodel.world", "pgqmodel.server")


@pytest.mark.parametrize("module", ["pgqmodel.steps", "pgqmodel.explore.simplifying", "pgqmodel.trace"])
def test_steps_know_the_world_by_its_type_alone(module: str) -> None:
    """Importing the steps, the shrinker's passes or traces loads nothing that waits, connects or draws."""
    program = f"import sys, {module}; print(*[name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
