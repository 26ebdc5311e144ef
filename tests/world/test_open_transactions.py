"""An open transaction that was the lease: however the session ends, its worker does not act on the job again."""

from __future__ import annotations

from pathlib import Path

import pytest

import pgqmodel
from pgqmodel.server import Cluster
from pgqmodel.steps import Crash, Cut, Restart, Step
from pgqmodel.target import load
from pgqmodel.world import World
from world.stories import begin, in_world, on, take

STYLE = Path(pgqmodel.__file__).parent / "styles" / "open-transaction.toml"


@pytest.mark.parametrize("end", [on(Cut, "A"), on(Crash, "A"), on(Restart)], ids=["cut", "crash", "restart"])
def test_who_has_lost_the_transaction_has_no_job(server: Cluster, end: Step) -> None:
    """The next call could not run in the lost transaction: a settlement alone would be nobody's program."""

    async def story(world: World) -> None:
        await take(world, [begin("P", "enqueue"), begin("A", "claim")])
        held = len(world.clients["A"].held)
        await take(world, [end])

        assert (held, world.clients["A"].held) == (1, [])

    in_world(server, load(str(STYLE)), story)
