"""Synchronous code in turns: questions, answers and errors pass in both directions, and nothing else may ask."""

from __future__ import annotations

import pytest

from pgqmodel.bridge import Dialogue, ask


def test_answers_come_back() -> None:
    """What is asked is answered in the synchronous code, and its own result goes to the caller."""
    dialogue = Dialogue(lambda: sum(ask(number) for number in range(4)))
    said = dialogue.send()
    for number in range(4):
        assert said == number
        assert not dialogue.over
        said = dialogue.send(2 * number)
    assert (said, dialogue.over) == (12, True)


def test_errors_are_raised_where_they_are_waited_for() -> None:
    """Synchronous code can catch what came of its question, and go on asking."""

    def program() -> object:
        with pytest.raises(ValueError, match="no"):
            ask("first")
        return ask("second")

    dialogue = Dialogue(program)
    assert dialogue.send() == "first"
    assert dialogue.throw(ValueError("no")) == "second"
    assert dialogue.send(2) == 2


def test_errors_of_the_program_reach_its_caller() -> None:
    """What synchronous code does not catch is raised for its caller, before it asks and afterwards."""
    dialogue = Dialogue(lambda: ask("first") // 0)
    assert dialogue.send() == "first"
    with pytest.raises(ZeroDivisionError):
        dialogue.send(2)
    with pytest.raises(ZeroDivisionError):
        Dialogue(lambda: 1 // 0).send()


def test_waiting_elsewhere_is_a_defect() -> None:
    """Who asks outside is told so, instead of hanging."""
    with pytest.raises(AssertionError, match=r"outside a Dialogue"):
        ask("anybody")
