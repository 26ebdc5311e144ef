"""Steps that cannot be taken: each is refused with the reason, and nothing happens instead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pgqmodel.errors import ReplayMismatchError
from pgqmodel.history import render
from pgqmodel.server import Cluster
from pgqmodel.steps import Connect, Cut, Deadlock, Fate, Step, Twin
from pgqmodel.world import World, perform, refusal
from world.stories import advance, begin, go, in_world, on, take, template

ENQUEUE, CLAIM = begin("P", "enqueue"), begin("A", "claim")
REFUSED = [
    ([], begin("Z", "claim"), "there is no client Z"),
    ([], begin("A", "deploy"), "jobs has no operation deploy"),
    ([], begin("A", "enqueue"), "enqueue is for a producer, and A is a worker"),
    ([], begin("A", "complete"), "A does not have what it needs"),
    ([ENQUEUE, CLAIM], begin("A", "claim"), "A does not have what it needs"),
    ([ENQUEUE, begin("A", "claim", stop=1)], begin("A", "claim"), "A is busy or not connected"),
    ([on(Cut, "A")], begin("A", "claim"), "A is busy or not connected"),
    ([], begin("P", "cancel", job="J1"), "there is no job J1"),
    ([], go("A"), "A does not wait at the gate"),
    ([on(Cut, "A")], on(Cut, "A"), "A is not connected"),
    ([], Cut(client="A", fate=Fate.AFTER), "A has no answer to lose"),
    ([], on(Connect, "A"), "A is connected"),
    ([], on(Twin, "P"), "P cannot have a twin now"),
    ([ENQUEUE, CLAIM, on(Twin, "A")], on(Twin, "A"), "A cannot have a twin now"),
    ([], on(Deadlock, "A"), "A is in no cycle of waits"),
    ([], advance(0), "time moves forward, by a positive number"),
    ([], advance(float("inf")), "time moves forward, by a positive number"),
]


@pytest.mark.parametrize(("before", "step", "reason"), REFUSED, ids=[reason for _, _, reason in REFUSED])
def test_a_refusal_says_why(server: Cluster, tmp_path: Path, before: Sequence[Step], step: Step, reason: str) -> None:
    """What cannot be done now is an error that names the step and the reason; the history stays as it was."""

    async def story(world: World) -> None:
        await take(world, before)
        told = render(world.history)
        assert (refusal(world, step) or "").startswith(reason)
        with pytest.raises(ReplayMismatchError, match=f"step {len(before) + 1} cannot be taken: {reason}"):
            await perform(world, step)
        assert render(world.history) == told

    in_world(server, template(tmp_path), story)
