"""The pure layers stay light: who judges, reads or reports a history loads no driver, no event loop and no web."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"trio", "psycopg", "networkx", "httpx", "starlette", "hypercorn", "hypothesis", "matplotlib", "hdrh", "psutil"}


@pytest.mark.parametrize(
    "module",
    [
        "pgqmodel.model",
        "pgqmodel.history",
        "pgqmodel.trace",
        "pgqmodel.wire",
        "pgqmodel.wire.messages",
        "pgqmodel.wire.session",
        "pgqmodel.wire.sql",
        "pgqmodel.witness",
        "pgqmodel.report",
        "pgqmodel.registry",
    ],
)
def test_what_is_pure_loads_nothing_heavy(module: str) -> None:
    """A process that imports this module alone has none of the libraries that touch the world or draw it."""
    script = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(HEAVY & {*loaded}) == []


def test_the_service_is_loaded_by_those_who_serve() -> None:
    """A client, a worker and the reference target need no web server."""
    script = "import sys, pgqmodel.client.worker_process, pgqmodel.reference; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert sorted({"starlette", "hypercorn", "httpx", "pgqmodel.service"} & {*loaded}) == []


def test_the_old_name_of_the_reference_is_kept() -> None:
    """A target that was named as `pgqmodel.queue:reference` is the same thing as before."""
    script = (
        "from pgqmodel.queue import baseline, reference; import pgqmodel.reference as now; "
        "assert (baseline, reference) == (now.baseline, now.reference)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
