"""Synchronous code that waits for Trio: values and errors pass in both directions, and nothing else may wait."""

from __future__ import annotations

import pytest
import trio

from pgqmodel.machine.bridge import run_sync, wait


async def double(number: int) -> int:
    """Something asynchronous."""
    await trio.lowlevel.checkpoint()
    return 2 * number


async def fail() -> int:
    """Something asynchronous that fails."""
    await trio.lowlevel.checkpoint()
    message = "no"
    raise ValueError(message)


def test_answers_come_back() -> None:
    """What is waited for is returned to the synchronous code, and its own result to the asynchronous caller."""
    assert trio.run(run_sync, lambda: sum(wait(double(number)) for number in range(4))) == 12


def test_errors_are_raised_where_they_are_waited_for() -> None:
    """Synchronous code can catch what it waited for, and go on waiting."""

    def program() -> int:
        with pytest.raises(ValueError, match="no"):
            wait(fail())
        return wait(double(1))

    assert trio.run(run_sync, program) == 2


def test_errors_of_the_program_reach_its_caller() -> None:
    """What synchronous code does not catch is raised from `run_sync`, before it waits and afterwards."""
    with pytest.raises(ZeroDivisionError):
        trio.run(run_sync, lambda: wait(double(1)) // 0)
    with pytest.raises(ZeroDivisionError):
        trio.run(run_sync, lambda: 1 // 0)


def test_waiting_elsewhere_is_a_defect() -> None:
    """Who waits outside is told so, instead of hanging."""
    coroutine = double(1)
    with pytest.raises(AssertionError, match=r"outside run_sync"):
        wait(coroutine)
    coroutine.close()
