"""Processes of a simulation are forked from a server that has imported everything; they need not import pytest too."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _forks_without_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """`multiprocessing` runs the file of the main program again in each process, which here would be pytest's."""
    monkeypatch.delattr("__main__.__file__", raising=False)
