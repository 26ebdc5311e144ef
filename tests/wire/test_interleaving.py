"""The gate's reason to be: unmodified clients, in an order that is decided here and not by chance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import psycopg
import pytest
import trio

from pgqmodel.errors import StuckError
from pgqmodel.server import Cluster, TrioConnection
from pgqmodel.wire import LineState, proxy
from pgqmodel.world import blocked
from wire.gated import Stage, staged

pytestmark = pytest.mark.both_majors

JOBS = "CREATE TABLE jobs (id int PRIMARY KEY, holder text); INSERT INTO jobs VALUES (1), (2)"
CLAIM = (
    "UPDATE jobs SET holder = '{name}' "
    "WHERE id = (SELECT id FROM jobs WHERE holder IS NULL ORDER BY id LIMIT 1) RETURNING id"
)
TIMES = 10


def on_stage(server: Cluster, setup: str, names: str, story: Callable[[Stage], Awaitable[None]]) -> None:
    """Run a story with clients of these names."""

    async def main() -> None:
        async with staged(server, setup, *names) as stage:
            await story(stage)

    trio.run(main)


@pytest.mark.parametrize(("order", "claimed"), [("ABAB", (1, 1)), ("AABB", (1, 2))])
def test_the_order_decides_a_double_claim(server: Cluster, order: str, claimed: tuple[int, int]) -> None:
    """A claim of one UPDATE by autocommit clients claims twice in the order A B A B, and never in A A B B."""

    async def story(stage: Stage) -> None:
        for _ in range(TIMES):
            stage.side.execute("UPDATE jobs SET holder = NULL")
            for name in "AB":
                await stage.begin(name, CLAIM.format(name=name))
            for name in order:
                if stage.line(name).blocked_by is None:
                    await stage.go(name)
            await stage.finish("B")
            assert tuple(stage.answers[name][-1][0][0] for name in "AB") == claimed

    on_stage(server, JOBS, "AB", story)


def test_blocked_is_the_servers_word(server: Cluster) -> None:
    """A statement that waits for a lock is confirmed by the server, names who blocks it, and wakes with the COMMIT."""

    async def story(stage: Stage) -> None:
        for name in "AB":
            await stage.begin(name, f"UPDATE jobs SET holder = '{name}' WHERE id = 1")
            await stage.go(name)
        assert stage.line("B").blocked_by == [stage.line("A").backend_pid]
        assert (stage.line("A").state, stage.line("A").blocked_by) == (LineState.COMMIT_HELD, None)
        await stage.go("A")
        assert (stage.line("B").state, stage.line("B").blocked_by) == (LineState.COMMIT_HELD, None)
        assert await stage.finish("B") == "UPDATE 1"

    on_stage(server, JOBS, "AB", story)


def test_a_wait_for_an_outsider_is_no_block_of_the_story(server: Cluster) -> None:
    """Whoever is not at the gate, such as a vacuum, ends by itself: settling goes on until then and tells no block."""

    async def story(stage: Stage) -> None:
        reports: list[dict[int, list[int]]] = []
        with psycopg.connect(stage.database.conninfo()) as outsider:
            outsider.execute("LOCK TABLE jobs")

            def report(pids: Sequence[int]) -> dict[int, list[int]]:
                """What the server says; when it has said so twice, the outsider ends."""
                waits = blocked(stage.side, pids)
                reports.append(waits)
                if len(reports) == 2:
                    outsider.commit()
                return waits

            stage.gate._is_blocked = report
            await stage.begin("A", "UPDATE jobs SET holder = 'A'")
            await stage.go("A")
            pid, other = stage.line("A").backend_pid, outsider.info.backend_pid
        assert reports[:2] == [{pid: [other]}] * 2
        assert (stage.line("A").state, stage.line("A").blocked_by) == (LineState.COMMIT_HELD, None)
        assert await stage.finish("A") == "UPDATE 2"

    on_stage(server, JOBS, "A", story)


def test_a_cycle_ends_at_the_victim_that_was_chosen(server: Cluster) -> None:
    """Two clients that wait for each other stay so for ever, until the detector of a chosen one fires."""

    async def crosswise(connection: TrioConnection, first: int, second: int) -> str:
        async with connection.transaction():
            for number in (first, second):
                await connection.execute("UPDATE jobs SET holder = 'x' WHERE id = %s", (number,))
        return "done"

    async def story(stage: Stage) -> None:
        for victim, other in ("AB", "BA"):
            await stage.begin("A", lambda connection: crosswise(connection, 1, 2))
            await stage.begin("B", lambda connection: crosswise(connection, 2, 1))
            await stage.go("A", "B", "A", "B")
            assert stage.line("A").blocked_by == [stage.line("B").backend_pid]
            assert stage.line("B").blocked_by == [stage.line("A").backend_pid]
            assert stage.database.clock is not None
            stage.database.clock.advance(100_000)
            server.poke(stage.line(victim).backend_pid)
            await stage.gate.wait_unblocked(stage.line(victim))
            for name in (victim, other):
                await stage.finish(name)
            assert stage.answers[victim][-1].sqlstate == "40P01"
            assert stage.answers[other][-1] == "done"

    on_stage(server, JOBS, "AB", story)


def test_who_is_stuck_is_named(server: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no answer comes and the server knows of no lock, settling ends in an error that says who does what."""

    async def story(stage: Stage) -> None:
        monkeypatch.setattr(proxy, "GUARD_SECONDS", 0.2)
        await stage.begin("A", "SELECT count(*) FROM (SELECT generate_series(1, 1000000000000)) AS s")
        stage.gate.release(stage.line("A"))
        with pytest.raises(StuckError, match=r"nothing moved for 0.2 s; expected .* A: running 'SELECT count"):
            await stage.gate.settle()

    on_stage(server, JOBS, "A", story)
