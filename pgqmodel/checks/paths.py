"""Finds the shortest path that shows how a promise about order broke in a recorded history.

A path explains a verdict and never overrules one. The rules of the promises decide, because they know more: for
example, a job whose row is gone may have completed. tests/checks/test_paths.py compares both.

While the judge reads the events, a short record is kept of each job and each deploy lock (`tracks`). Then the demanded
order is compared with the observed one, for each run, job and lock. Comparing places costs little; a graph is made
only of a run, job or lock that is out of order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import networkx as nx
from attrs import evolve

from pgqmodel.checks.tracks import ClaimTrack, Grant, Track, Tracks
from pgqmodel.history import Event
from pgqmodel.judge import Outcome, Verdict, Verdicts, examine_all
from pgqmodel.model.facts import Fact, Yet
from pgqmodel.operations import HEARTBEAT
from pgqmodel.promises import (
    Broken,
    Promise,
    attempts,
    deadlock_free,
    fenced_heartbeat,
    fenced_settlement,
    one_deploy,
    stage_order,
)
from pgqmodel.promises import order_reasons as reasons
from pgqmodel.promises.order_reasons import OrderEdge, OrderPoint

__all__ = ["contradictions", "examine", "shortest_cycle"]

_NEVER = float("inf")


def examine(
    events: Iterable[Event], *, promises: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
) -> Verdicts:
    """Judge a recorded history by the rules of every promise; add the shortest path where a promise is broken."""
    tracks = Tracks()
    verdicts = examine_all(tracks.passing(events), promises=promises, settings=settings)
    paths: dict[str, list[Broken]] = {}
    for found in contradictions(tracks):
        paths.setdefault(found.promise, []).append(found)
    for promise, broken in paths.items():
        was = verdicts.promises.get(promise)
        if was is not None and was.outcome is Outcome.BROKEN:
            verdicts = evolve(verdicts, promises={**verdicts.promises, promise: _explained(was, broken)})
    return verdicts


def _explained(was: Verdict, paths: list[Broken]) -> Verdict:
    """The verdict on a broken promise with the shortest path as the evidence."""
    shortest = min(paths, key=lambda path: len(path.facts))
    more = (*([was.first] if was.first is not None else ()), *was.more)
    return evolve(was, violations=max(was.violations, len(paths)), first=shortest, more=more)


def contradictions(tracks: Tracks) -> Iterator[Broken]:
    """Every order that is broken, each with its shortest cycle."""
    for run in tracks.runs.values():
        yield from _stages([tracks.jobs[name] for name in run])
    for track in tracks.jobs.values():
        if track.needs:
            yield from _needs(tracks, track)
        yield from _generations(track)
    for grants in tracks.grants.values():
        yield from _grants(grants)
    for step, waits in tracks.deadlocks:
        yield _deadlocked(step, waits)


# -- stages and dependencies -------------------------------------------------------------------------------------------


def _stages(jobs: list[Track]) -> Iterator[Broken]:
    """No job is claimed before every job of the earlier stages has completed."""
    last: dict[int, Track] = {}
    for job in jobs:
        if job.stage is not None and (job.stage not in last or _done(job) > _done(last[job.stage])):
            last[job.stage] = job
    worst: Track | None = None
    for stage in sorted(last):
        if worst is not None:
            for job in jobs:
                if job.stage == stage:
                    why = reasons.CompletesFirst(
                        needed=worst.name, job=job.name, run=job.run, stage=job.stage, needed_stage=worst.stage
                    )
                    yield from _too_early(job, worst, why)
        if worst is None or _done(last[stage]) > _done(worst):
            worst = last[stage]


def _needs(tracks: Tracks, job: Track) -> Iterator[Broken]:
    """No job is claimed before the jobs that it needs have completed."""
    for name in job.needs:
        needed = tracks.jobs.get(name)
        if needed is not None:
            yield from _too_early(job, needed, reasons.CompletesFirst(needed=name, job=job.name))


def _done(job: Track) -> float:
    return job.completed if job.completed is not None else _NEVER


def _too_early(job: Track, needed: Track, why: Fact) -> Iterator[Broken]:
    """The path of a job that was claimed before `needed` had completed."""
    early = next((claim for claim in job.claims if claim.step < _done(needed) and needed.born < claim.begun), None)
    if early is None:
        return
    completed, claimed = OrderPoint("completed", needed.name), OrderPoint("claimed", job.name)
    edges = [_demanded(completed, claimed, why)]
    claim = reasons.ClaimedAt(client=early.client, job=job.name, step=early.step)
    if needed.completed is None:
        edges.append(_seen(claimed, completed, reasons.NeverCompleted(claimed=claim, needed=needed.name)))
    else:
        at, end = OrderPoint("step", step=early.step), OrderPoint("step", step=needed.completed)
        edges += [
            _seen(claimed, at, claim),
            _seen(at, end, reasons.StepBefore(early.step, needed.completed)),
            _seen(end, completed, reasons.CompletedAt(job=needed.name, step=needed.completed)),
        ]
    yield _read_out(edges, stage_order.PROMISE, job.name, early.step)


# -- lease generations and hand-over -----------------------------------------------------------------------------------


def _generations(track: Track) -> Iterator[Broken]:
    """Attempt numbers grow, and the calls of one claim are accepted before the next claim begins."""
    for former, later in zip(track.claims, track.claims[1:], strict=False):
        if former.attempt is not None and later.attempt is not None and later.attempt <= former.attempt:
            why = reasons.AttemptsGrow(
                job=track.name,
                client=later.client,
                attempt=later.attempt,
                former_client=former.client,
                former_attempt=former.attempt,
            )
            yield _not_grown(track, former, later, why)
    for claim, over in zip(track.claims, _ends(track), strict=True):
        for step, operation in claim.accepted:
            if over is not None and step > over.step:
                yield _too_late(track, claim, reasons.AcceptedLate(over=over, operation=operation, step=step))


def _ends(track: Track) -> Iterator[reasons.ClaimedAt | reasons.TakenBack | None]:
    """For each claim, the event after which its holder has lost the job: a reclaim, or the next claim."""
    for number, claim in enumerate(track.claims):
        following = track.claims[number + 1] if number + 1 < len(track.claims) else None
        if claim.taken_back is not None:
            yield reasons.TakenBack(job=track.name, step=claim.taken_back)
        elif following is not None and claim.settled is None:
            yield reasons.ClaimedAt(client=following.client, job=track.name, step=following.step)
        else:
            yield None


def _not_grown(track: Track, former: ClaimTrack, later: ClaimTrack, why: Fact) -> Broken:
    one, other = OrderPoint("claimed", track.name, former.step), OrderPoint("claimed", track.name, later.step)
    edges = [_demanded(other, one, why), _seen(one, other, reasons.ClaimsInOrder(former.step, later.step))]
    return _read_out(edges, attempts.PROMISE, track.name, later.step)


def _too_late(track: Track, claim: ClaimTrack, late: reasons.AcceptedLate) -> Broken:
    why = reasons.RestsOnClaim(client=claim.client, operation=late.operation, job=track.name, claimed=claim.step)
    act, end = OrderPoint("accepted", track.name, late.step), OrderPoint("over", track.name, late.over.step)
    promise = fenced_heartbeat.PROMISE if late.operation == HEARTBEAT.name else fenced_settlement.PROMISE
    return _read_out([_demanded(act, end, why), _seen(end, act, late)], promise, track.name, late.step)


# -- deploy locks ------------------------------------------------------------------------------------------------------


def _grants(grants: list[Grant]) -> Iterator[Broken]:
    """A lock is released before it is granted to another client."""
    longest: Grant | None = None
    for grant in grants:
        if longest is not None and longest.since < grant.since < longest.until and grant.client != longest.client:
            yield _both_held(longest, grant)
        if longest is None or grant.shown > longest.shown:
            longest = grant


def _both_held(one: Grant, other: Grant) -> Broken:
    why = reasons.ReleasedFirst(client=one.client, environment=one.environment, granted=one.step, other=other.client)
    released, granted = OrderPoint("released", one.client), OrderPoint("granted", other.client)
    shown = OrderPoint("step", step=one.shown)
    edges = [
        _demanded(released, granted, why),
        _seen(granted, shown, reasons.GrantedAt(client=other.client, step=other.step)),
        _seen(shown, released, reasons.HeldAsShown(client=one.client, step=one.shown, operation=one.proof)),
    ]
    return _read_out(edges, one_deploy.PROMISE, other.job, other.step)


# -- waits -------------------------------------------------------------------------------------------------------------


def _deadlocked(step: int, waits: Mapping[str, Iterable[str]]) -> Broken:
    """The shortest cycle of clients that wait for each other."""
    edges = [
        _demanded(OrderPoint("waiting", waiter), OrderPoint("waiting", holder), reasons.MustWait(waiter, holder))
        for waiter, holders in waits.items()
        for holder in holders
    ]
    return _read_out(edges, deadlock_free.PROMISE, None, step)


# -- reading out -------------------------------------------------------------------------------------------------------


def shortest_cycle(graph: nx.DiGraph) -> list[tuple[Any, Any]]:
    """The edges of a shortest cycle, or none. Breadth-first from each edge of each strong component.

    Of equal ones the first, by the order of the edges. A subgraph of networkx would go by the order of a set, and that
    differs from process to process.
    """
    place = {node: number for number, part in enumerate(nx.strongly_connected_components(graph)) for node in part}
    cyclic = [(one, other) for one, other in graph.edges if place[one] == place[other]]
    components: dict[int, nx.DiGraph] = {}
    for one, other in cyclic:
        components.setdefault(place[one], nx.DiGraph()).add_edge(one, other)
    best: list[Any] = []
    for inside in components.values():
        for one, other in inside.edges:
            path = nx.shortest_path(inside, other, one) if one != other else [one]
            if not best or len(path) < len(best):
                best = path
    return list(zip(best, [*best[1:], *best[:1]], strict=True))


def _demanded(before: OrderPoint, after: OrderPoint, why: Fact) -> OrderEdge:
    return OrderEdge(before=before, after=after, why=why, demanded=True)


def _seen(before: OrderPoint, after: OrderPoint, why: Fact) -> OrderEdge:
    return OrderEdge(before=before, after=after, why=why, demanded=False)


def _read_out(edges: Iterable[OrderEdge], promise: Promise, job: str | None, step: int) -> Broken:
    """The edges of the shortest cycle, beginning with a demanded one; the first observed one becomes a "yet"."""
    graph = nx.DiGraph()
    for edge in edges:
        graph.add_edge(edge.before, edge.after, edge=edge)
    cycle: list[OrderEdge] = [graph.edges[ends]["edge"] for ends in shortest_cycle(graph)]
    start = next(number for number, edge in enumerate(cycle) if edge.demanded)
    cycle = cycle[start:] + cycle[:start]
    yet = next((edge for edge in cycle if not edge.demanded), None)
    facts = tuple(Yet(edge) if edge is yet else edge for edge in cycle)
    return Broken(promise=promise.name, anomaly=promise.anomaly, job=job, step=step, facts=facts)
