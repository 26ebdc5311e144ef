"""Choices come from the seed alone: what is installed or imported around the tool does not change a story."""

from __future__ import annotations

import importlib
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from pgqmodel.machine.source import BACKEND

BETWEEN = (300, 399)


def drawn(seed: int) -> list[int]:
    """What a seed draws in a hundred turns."""
    values: list[int] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(backend=BACKEND, database=None, max_examples=100, phases=(hypothesis.Phase.generate,))
    @hypothesis.given(st.integers(*BETWEEN), st.sampled_from(range(1000)), st.booleans())
    def draw(number: int, one: int, coin: bool) -> None:
        values.extend((number, one, coin))

    draw()
    return values


def test_a_seed_draws_the_same_again() -> None:
    """The same seed chooses the same, another one something else; numbers are in their range, and many."""
    assert drawn(1) == drawn(1) != drawn(2)
    numbers = drawn(1)[::3]
    assert all(BETWEEN[0] <= number <= BETWEEN[1] for number in numbers)
    assert len(set(numbers)) > 30


def test_the_numbers_in_a_program_are_nothing_to_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module full of numbers is imported in between; Hypothesis by itself would draw them from then on."""
    before = drawn(1)
    (tmp_path / "full_of_numbers.py").write_text(f"NUMBERS = {list(range(*BETWEEN))}\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("full_of_numbers")
    assert drawn(1) == before
