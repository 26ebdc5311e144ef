"""Ordering promises over a whole history: the claims of a run's stages.

What must precede (a stage's completion before the next stage's claims) is joined with what was seen to precede (the
order of commits, as a chain of time points, so the graph grows linearly with the history). A cycle is a contradiction,
and each of its edges has its reason (the way Elle explains, Kingsbury and Alvaro 2020).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import networkx as nx
from attrs import define, field, frozen

from pgqmodel.history import Event, Job, Observed
from pgqmodel.operations import State

__all__ = ["Contradiction", "contradiction"]

Node = tuple[str, str | int, int]


@frozen(kw_only=True)
class Contradiction:
    """The shortest cycle that was found, read out edge by edge."""

    explanation: tuple[str, ...]


@define
class _Seen:
    """What has been seen of the jobs, and the graph that grows from it."""

    graph: nx.DiGraph = field(factory=nx.DiGraph)
    jobs: dict[str, Job] = field(factory=dict)
    claims: dict[str, int] = field(factory=dict)
    point: Node | None = None

    def pass_point(self, number: int, step: int) -> Node:
        """The next point of the chain of commits."""
        point: Node = ("commit", number, step)
        if self.point is not None:
            self.graph.add_edge(self.point, point, reason=f"step {self.point[2]} came before step {step}")
        self.point = point
        return point


def contradiction(history: Iterable[Event]) -> Contradiction | None:
    """The shortest contradiction between what must precede and what was seen to precede, or None.

    Judges jobs that have a run and a stage. Linear in the length of the history.
    """
    seen = _Seen()
    for number, event in enumerate(history):
        if isinstance(event, Observed):
            _observe(seen, number, event)
    _end(seen)
    _require_stages(seen)
    try:
        cycle = nx.find_cycle(seen.graph)
    except nx.NetworkXNoCycle:
        return None
    return Contradiction(explanation=tuple(_explain(seen.graph, cycle)))


def _observe(seen: _Seen, number: int, event: Observed) -> None:
    """Hang what happened to each job on its point of the chain."""
    for name, row in event.jobs.items():
        before = seen.jobs.get(name)
        was = before.state if before is not None else None
        now = row.state if row is not None else None
        if row is not None:
            seen.jobs[name] = row
        if now is was:
            continue
        if now is State.RUNNING:
            seen.claims[name] = seen.claims.get(name, 0) + 1
            point = seen.pass_point(number, event.step)
            claim: Node = ("claim", name, seen.claims[name])
            seen.graph.add_edge(claim, point, reason=f"{name} was claimed at step {event.step}")
        if now is State.COMPLETED:
            point = seen.pass_point(number, event.step)
            seen.graph.add_edge(point, ("completed", name, 0), reason=f"{name} completed only at step {event.step}")


def _end(seen: _Seen) -> None:
    """What never completed, completes after everything else."""
    end = seen.point
    for name in seen.jobs:
        done: Node = ("completed", name, 0)
        if end is not None and done not in seen.graph:
            seen.graph.add_edge(end, done, reason=f"{name} never completed")


def _require_stages(seen: _Seen) -> None:
    """Every job of a lower stage must have completed before any claim of a higher one of its run."""
    staged = [job for job in seen.jobs.values() if job.run is not None and job.stage is not None]
    for job in staged:
        for claim in range(1, seen.claims.get(job.job, 0) + 1):
            for before in staged:
                if before.run == job.run and (before.stage or 0) < (job.stage or 0):
                    reason = (
                        f"{before.job} must complete before {job.job} is claimed, because stage {job.stage} needs "
                        f"stage {before.stage}"
                    )
                    seen.graph.add_edge(("completed", before.job, 0), ("claim", job.job, claim), reason=reason)


def _explain(graph: nx.DiGraph, cycle: Iterable[tuple[Node, Node]]) -> Iterator[str]:
    for one, other in cycle:
        yield f"{graph.edges[one, other]['reason']}."
