"""Shortest paths: what is out of order is read out edge by edge, and only where it is out of order."""

from __future__ import annotations

import networkx as nx
import pytest

from bench.histories import history
from judge.planting import PLANTS, Plant, plant
from pgqmodel.checks.paths import contradictions, examine, shortest_cycle
from pgqmodel.checks.tracks import Tracks
from pgqmodel.history import Blocked, Committed, Event, Invoked, Job, Observed, Returned
from pgqmodel.judge import Outcome, examine_all
from pgqmodel.model.facts import Yet
from pgqmodel.operations import State, Status
from pgqmodel.promises.order_reasons import OrderEdge, OrderPoint
from pgqmodel.report import told


def call(number: int, operation: str, client: str, job: Job, claim: int | None = None) -> list[Event]:
    """A whole call that changes one job, at the steps 4n to 4n + 3."""
    step, at = 4 * number, 1_000.0 + number
    about = None if claim is None else job.job
    return [
        Invoked(
            step=step, at=at, client=client, worker=client, call=number, operation=operation, job=about, claim=claim
        ),
        Committed(step=step + 1, at=at, client=client, call=number),
        Observed(step=step + 2, at=at, by=(number,), jobs={job.job: job}),
        Returned(step=step + 3, at=at, client=client, call=number, status=Status.OK, job=job.job),
    ]


def staged(name: str, state: State, stage: int) -> Job:
    """A job of the run r1."""
    return Job(job=name, state=state, run="r1", stage=stage)


def paths(events: list[Event]) -> list[tuple[str, tuple[str, ...]]]:
    """What the graphs alone say of a history."""
    tracks = Tracks()
    assert list(tracks.passing(events)) == events
    return [(found.anomaly, told(found.facts)) for found in contradictions(tracks)]


def test_the_shortest_of_several_cycles_is_taken() -> None:
    """A long way round is not read out where a short one is."""
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "a"), ("b", "a"), ("x", "y")])
    assert sorted(shortest_cycle(graph)) == [("a", "b"), ("b", "a")]
    assert shortest_cycle(nx.DiGraph([("a", "b")])) == []


@pytest.mark.parametrize("first", ["ab", "ba"])
def test_of_equal_cycles_the_first_is_told(first: str) -> None:
    """The order of the edges decides, and not that of a set, which differs from process to process."""
    names = [f"{letter}{number}" for letter in first for number in range(2)]
    graph = nx.DiGraph([(names[0], names[1]), (names[1], names[0]), (names[2], names[3]), (names[3], names[2])])
    graph.add_edges_from([(names[1], names[2]), (names[3], names[0])])
    graph.add_nodes_from(f"alone{number}" for number in range(20))

    assert shortest_cycle(graph) == [(names[1], names[0]), (names[0], names[1])]


def test_a_skipped_stage_is_read_out() -> None:
    """Four edges lead from what must be to what was, each with its reason."""
    events = [
        *call(1, "enqueue", "p", staged("build", State.PENDING, 1)),
        *call(2, "enqueue", "p", staged("deploy", State.PENDING, 2)),
        *call(3, "claim", "a", staged("deploy", State.RUNNING, 2)),
        *call(4, "claim", "b", staged("build", State.RUNNING, 1)),
        *call(5, "complete", "b", staged("build", State.COMPLETED, 1), claim=4),
    ]
    said = (
        "build must complete before deploy is claimed, because stage 2 of run r1 needs stage 1.",
        "Yet a claimed deploy at step 14.",
        "Step 14 came before step 22.",
        "build completed only at step 22.",
    )
    assert paths(events) == [("stage-skip", said)]
    assert [verdict.promise for verdict in examine(events).broken] == ["stage-order"]


def test_the_edges_of_a_path_are_facts_that_close_a_cycle() -> None:
    """A program that reads a finding gets each edge with its two points: first the demanded one, then those seen."""
    events = [
        *call(1, "enqueue", "p", staged("build", State.PENDING, 1)),
        *call(2, "enqueue", "p", staged("deploy", State.PENDING, 2)),
        *call(3, "claim", "a", staged("deploy", State.RUNNING, 2)),
        *call(5, "complete", "b", staged("build", State.COMPLETED, 1)),
    ]
    tracks = Tracks()
    assert list(tracks.passing(events)) == events
    (found,) = contradictions(tracks)
    edges = [fact.what if isinstance(fact, Yet) else fact for fact in found.facts]
    assert [edge.demanded for edge in edges if isinstance(edge, OrderEdge)] == [True, False, False, False]
    assert [edge.before for edge in edges if isinstance(edge, OrderEdge)] == [
        OrderPoint("completed", "build"),
        OrderPoint("claimed", "deploy"),
        OrderPoint("step", step=14),
        OrderPoint("step", step=22),
    ]
    assert all(edge.after == after.before for edge, after in zip(edges, [*edges[1:], edges[0]], strict=True))


def test_a_job_that_needs_another_by_name_waits_for_it() -> None:
    """Dependencies are judged like stages."""
    needed = Job(job="J1", state=State.PENDING)
    needing = Job(job="J2", state=State.RUNNING, needs=("J1",))
    events = [
        *call(1, "enqueue", "p", needed),
        *call(2, "enqueue", "p", Job(job="J2", state=State.PENDING, needs=("J1",))),
        *call(3, "claim", "a", needing),
    ]
    ((anomaly, said),) = paths(events)
    assert anomaly == "stage-skip"
    assert said[0] == "J1 must complete before J2 is claimed, because J2 needs J1."


def test_what_a_former_holder_did_late_is_read_out() -> None:
    """A settlement that was accepted after the job was taken back contradicts the generation it rests on."""
    running = Job(job="J1", state=State.RUNNING, attempt=1)
    events = [
        *call(1, "enqueue", "p", Job(job="J1", state=State.PENDING, attempt=0)),
        *call(2, "claim", "a", running),
        *call(3, "reclaim", "m", Job(job="J1", state=State.PENDING, attempt=1)),
        *call(4, "complete", "a", Job(job="J1", state=State.COMPLETED, attempt=1), claim=2),
    ]
    ((anomaly, said),) = paths(events)
    assert anomaly == "stale-settlement"
    assert said[1].startswith("Yet J1 was taken back at step 14, and the complete was accepted at step 17")


def test_attempt_numbers_grow() -> None:
    """A later claim with the same number is out of order."""
    again = Job(job="J1", state=State.RUNNING, attempt=1)
    events = [
        *call(1, "enqueue", "p", Job(job="J1", state=State.PENDING, attempt=0)),
        *call(2, "claim", "a", again),
        *call(3, "retry", "a", Job(job="J1", state=State.PENDING, attempt=0), claim=2),
        *call(4, "claim", "b", again),
    ]
    assert [anomaly for anomaly, _ in paths(events)] == ["attempt-miscount"]


def test_who_waits_for_each_other_is_read_out() -> None:
    """A cycle of waits is a deadlock even where nobody reports one; a row of waits is none."""
    waits = [
        Blocked(step=1, at=1.0, client="a", call=1, by=("b",)),
        Blocked(step=2, at=1.0, client="b", call=2, by=("c",)),
    ]
    assert paths([*waits]) == []
    ((anomaly, said),) = paths([*waits, Blocked(step=3, at=1.0, client="c", call=3, by=("a",))])
    assert anomaly == "deadlock"
    assert len(said) == 3


# -- graphs and rules --------------------------------------------------------------------------------------------------


def accused(events: list[Event]) -> tuple[set[str], set[str]]:
    """The promises that the rules find broken in a history, and those that the graphs do."""
    tracks = Tracks()
    rules = examine_all(tracks.passing(events))
    return {verdict.promise for verdict in rules.broken}, {found.promise for found in contradictions(tracks)}


@pytest.mark.parametrize("seed", [1, 2])
def test_graphs_accuse_nobody_of_a_right_history(seed: int) -> None:
    """Where the rules find nothing, the graphs find no contradiction either."""
    assert accused(list(history(3_000, seed=seed))) == (set(), set())


@pytest.mark.parametrize("violation", PLANTS, ids=lambda violation: f"{violation.anomaly} {violation.make.__name__}")
def test_graphs_see_no_more_than_rules(violation: Plant) -> None:
    """Whatever a graph contradicts, a rule finds broken, too."""
    rules, graphs = accused(plant(list(history(6_000, seed=4)), violation))
    assert graphs <= rules


def test_a_graph_overrules_no_verdict() -> None:
    """A job whose row was removed by its completion is done for the rules; the graph alone would not know."""
    gone = [
        Invoked(step=20, at=1_005.0, client="b", worker="b", call=5, operation="complete", job="build", claim=4),
        Committed(step=21, at=1_005.0, client="b", call=5),
        Observed(step=22, at=1_005.0, by=(5,), jobs={"build": None}),
        Returned(step=23, at=1_005.0, client="b", call=5, status=Status.OK),
    ]
    events = [
        *call(1, "enqueue", "p", staged("build", State.PENDING, 1)),
        *call(2, "enqueue", "p", staged("deploy", State.PENDING, 2)),
        *call(4, "claim", "b", staged("build", State.RUNNING, 1)),
        *gone,
        *call(6, "claim", "a", staged("deploy", State.RUNNING, 2)),
    ]
    assert examine(events).promises["stage-order"].outcome is Outcome.HELD
