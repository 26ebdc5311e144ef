"""What a function draws is of the story's seed, and only while it runs."""

from __future__ import annotations

import os
import random
import secrets
import time
import uuid

import trio

from pgqmodel.target.seeded import Turns


def drawn() -> list[object]:
    """Something of every kind."""
    return [uuid.uuid4(), secrets.token_hex(4), secrets.randbelow(1000), os.urandom(3), random.random()]


def test_the_same_seed_draws_the_same() -> None:
    """Call by call, and turn by turn; no two turns draw the same, and without a seed chance is real."""
    one, same, other, real = Turns("1/A/2"), Turns("1/A/2"), Turns("1/A/3"), Turns(None)
    first, second = one.run(drawn), one.run(drawn)
    assert (same.run(drawn), same.run(drawn)) == (first, second)
    assert len({str(each) for each in (first, second, other.run(drawn), real.run(drawn), real.run(drawn))}) == 5


def test_nothing_is_left_of_it() -> None:
    """Between two turns, and after one that failed, chance and time are real."""
    before = os.urandom, time.sleep, random._urandom  # type: ignore[attr-defined]
    Turns("seed").run(lambda: time.sleep(3600))
    try:
        Turns("seed").run(int, "no")
    except ValueError:
        assert (os.urandom, time.sleep, random._urandom) == before  # type: ignore[attr-defined]


def test_an_asynchronous_function_has_turns_too() -> None:
    """Each piece between two awaits is one; what it awaits is not in it, and errors come in and go out."""
    seen: list[object] = []

    async def function() -> str:
        seen.append(uuid.uuid4())
        await trio.lowlevel.checkpoint()
        seen.append(uuid.uuid4())
        with trio.CancelScope() as scope:
            scope.cancel()
            await trio.sleep_forever()
        return "done"

    async def main() -> None:
        for _ in range(2):
            assert await Turns("seed").drive(function()) == "done"

    trio.run(main)
    assert seen[:2] == seen[2:]
    assert seen[0] != seen[1]
