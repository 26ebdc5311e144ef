"""The reference queue's claim: as cheap beside finished jobs as without them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from pgqmodel.server import Cluster


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that the documentation names."""
    spec = importlib.util.spec_from_file_location("explain", Path(__file__).parent / "explain.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.both_majors
def test_claiming_is_flat(server: Cluster, script: ModuleType) -> None:
    """What a claim reads is bounded by the jobs that live (three pages each), not by the 50,000 that are done."""
    assert script.buffers(script.explain(server, 50_000)) <= 3 * script.LIVE_JOBS
