"""The pure layers stay light: who judges, reads or reports a history loads no driver, no event loop and no web."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.commands import PROGRAM

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


def test_the_start_is_taken_before_a_command_is_loaded() -> None:
    """`--seconds` counts the loading of the program, which takes longer than anything else before the server starts."""
    script = "import sys; from pgqmodel.cli.main import BEGUN; print(BEGUN > 0, 'pgqmodel.cli.check' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["True", "False"]


def test_a_check_loads_no_web_and_draws_nothing(tmp_path: Path) -> None:
    """Neither `check` nor the processes that explore for it load what only simulations and the service need."""
    command = [PROGRAM, "check", "reference", "--examples", "2"]
    environment = os.environ | {"PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert {"pgqmodel.explore.fleet", "pgqmodel.world.world"} <= loaded
    assert sorted({"httpx", "starlette", "hypercorn", "hdrh", "matplotlib"} & loaded) == []
