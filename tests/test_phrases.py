"""Small phrases: one of a thing has no plural, once is a word, and a misspelt name is met with the nearest one."""

from __future__ import annotations

import pytest

from pgqmodel.phrases import counted, meant, often, shown


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps"), (1200, "1,200 steps")], ids=str
)
def test_one_step_is_no_steps(number: int, said: str) -> None:
    """Only one of them is told without the s."""
    assert counted(number, "step") == said


def test_a_plural_of_its_own() -> None:
    """A noun that takes no s says its plural itself."""
    assert [counted(number, "process", "processes") for number in (1, 2)] == ["1 process", "2 processes"]


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 times"), (1, "once"), (2, "2 times"), (5000, "5,000 times")], ids=str
)
def test_one_time_is_once(number: int, said: str) -> None:
    """How often something was done, in words that a person would use."""
    assert often(number) == said


def test_the_nearest_name_is_asked_for() -> None:
    """A name that is near is asked for, whatever its case; where none is near nothing is said."""
    known = ["reference", "baseline"]
    assert meant("Refernce", known) == "Did you mean 'reference'? "
    assert meant("postgres", known) == ""


def test_a_number_too_long_to_write_is_told_all_the_same() -> None:
    """Python refuses to write a whole number of some thousand digits; the error that shows it must not fail by it."""
    assert shown(10**5000) == "a number of some thousand digits"
    assert shown("x" * 200) == "'" + "x" * 79
