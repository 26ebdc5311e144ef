"""Judging needs nothing that waits, connects or draws."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("trio", "psycopg", "networkx", "httpx", "hypothesis", "greenlet")


@pytest.mark.parametrize("module", ["pgqmodel.model", "pgqmodel.promises", "pgqmodel.judge", "pgqmodel.history"])
def test_nothing_heavy_is_loaded(module: str) -> None:
    """A program that only judges loads none of the libraries that other parts need."""
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
