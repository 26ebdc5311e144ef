"""How a function of an application ends whose connection is cut, or whose client dies, while it waits."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import greenlet
import pytest

from pgqmodel.events import Ran, Returned
from pgqmodel.operations import Status
from pgqmodel.server import Cluster
from pgqmodel.steps import Crash, Cut, Step
from pgqmodel.steps.kind import Fate
from pgqmodel.target import Function, Target, load
from pgqmodel.world import World
from target.applications import MODULE, application
from world.stories import begin, in_world, on, take

UPDATE = "UPDATE j SET st = 'd' WHERE id = %s AND tries = %s AND st = 'r'"
BODY = """
SEEN = []


def complete(connection, job, tries):
    try:
        with connection.transaction():
            connection.execute("{update}", (job, tries))
            connection.execute("SELECT 1")
        return True
    except Exception as error:
        SEEN.append(type(error).__name__)
        {handler}
    finally:
        {last}
"""


LAST = """SEEN.append("finally")
        connection.execute("UPDATE j SET st = 'q'")"""


def queue(directory: Path, handler: str, last: str = LAST) -> Target:
    """A queue whose completion does something about an error, and something else in any case."""
    module = MODULE[: MODULE.index("def complete")] + BODY.format(update=UPDATE, handler=handler, last=last)
    return load(str(application(directory, module)))


def seen(target: Target) -> list[str]:
    """What the application has written down."""
    program = target.operations["complete"]
    assert isinstance(program, Function)
    found: list[str] = program.source.function.__globals__["SEEN"]
    return found


def story(server: Cluster, target: Target, *steps: Step) -> tuple[list[Any], Status]:
    """A completion that waits at its second gate, and what happens to it then; its statements, and how it ended."""
    found: list[Any] = []
    ended: list[Status] = []

    async def tell(world: World) -> None:
        await take(world, [begin("P", "enqueue"), begin("A", "claim"), begin("A", "complete", stop=2), *steps])
        calls = {event.call for event in world.history if isinstance(event, Ran | Returned)}
        last = max(calls)
        found.extend(event.sql for event in world.history if isinstance(event, Ran) and event.call == last)
        ended.extend(e.status for e in world.history if isinstance(e, Returned) and e.call == last)
        assert world.observer.jobs["J1"].state == "running", "what was not committed is undone"

    in_world(server, target, tell)
    return found, ended[-1]


def left() -> int:
    """How many greenlets there are beside the main one."""
    gc.collect()
    alive = [each for each in gc.get_objects() if isinstance(each, greenlet.greenlet) and not each.dead]
    return sum(each.parent is not None for each in alive)


@pytest.mark.parametrize("handler", ["raise", "return True", "return None", "connection.execute('SELECT 2')"])
def test_the_function_of_a_dead_client_does_not_go_on(server: Cluster, tmp_path: Path, handler: str) -> None:
    """It is ended where it waits: no `except Exception` sees it, and nothing reaches the database."""
    target, before = queue(tmp_path, handler), left()
    ran, status = story(server, target, on(Crash, "A"))
    assert (len(ran), status) == (1, Status.UNKNOWN)
    assert seen(target) == ["finally"]
    assert left() <= before


def test_a_function_that_never_gives_up_is_given_up(server: Cluster, tmp_path: Path) -> None:
    """One that tries a lost connection again for ever ends, whatever it catches."""
    forever = "while True:\n            try: connection.execute('SELECT 3')\n            except Exception: pass"
    for folder, fault in (("cut", on(Cut, "A")), ("crash", on(Crash, "A"))):
        target, before = queue(tmp_path / folder, forever), left()
        assert story(server, target, fault)[1] is Status.UNKNOWN
        assert left() <= before


ENDINGS = {"raise": Status.UNKNOWN, "return": Status.UNKNOWN, "return False": Status.UNKNOWN, "return True": Status.OK}


@pytest.mark.parametrize(("handler", "status"), ENDINGS.items())
def test_a_function_sees_that_its_connection_was_cut(
    server: Cluster, tmp_path: Path, handler: str, status: Status
) -> None:
    """Its client lives: it gets psycopg's error, and what it makes of that is part of what is explored."""
    target = queue(tmp_path, handler, last="pass")
    ran, ended = story(server, target, Cut(client="A", fate=Fate.AFTER))
    assert len(ran) == 2
    assert (seen(target), ended) == (["OperationalError"], status)


def test_a_story_that_ends_early_leaves_nothing(server: Cluster, tmp_path: Path) -> None:
    """Neither the next story nor the end of the world lets a function go on that waits."""
    target, before = queue(tmp_path, "raise"), left()

    async def tell(world: World) -> None:
        for _ in range(2):
            await take(world, [begin("P", "enqueue"), begin("A", "claim"), begin("A", "complete", stop=1)])
            assert len(seen(target)) == world.chance
            await world.reset()
            world.chance += 1
        await take(world, [begin("P", "enqueue"), begin("A", "claim", stop=1)])

    in_world(server, target, tell)
    assert (seen(target), left() - before) == (["finally", "finally"], 0)
