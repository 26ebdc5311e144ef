"""The shortest offending path for what broke in a recorded history, found by graph.

A path explains a verdict and never overrules one: the rules of the promises decide, because they know more, such as
that a job whose row is gone may have completed. tests/checks/test_paths.py holds both against each other.

While the judge goes through the events, what happened to each job and each deploy lock is kept in a few words. Then
what must precede is held against what was seen to precede, run by run, job by job, lock by lock: a comparison of
places first, which costs no graph; a graph only of the run, the job or the lock where something is out of order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import networkx as nx
from attrs import evolve

from pgqmodel.checks.tracks import ClaimTrack, Grant, Track, Tracks
from pgqmodel.history import Event
from pgqmodel.judge import Outcome, Verdict, Verdicts, examine_all
from pgqmodel.model.facts import Said
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

__all__ = ["contradictions", "examine", "shortest_cycle"]

_NEVER = float("inf")
_WORDS = frozenset({"yet", "step", "attempt"})


def examine(
    events: Iterable[Event], *, promises: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
) -> Verdicts:
    """Judge a recorded history: what the rules say of every promise, with the shortest path where one is broken."""
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
    """No claim of a stage comes before the completion of an earlier one."""
    last: dict[int, Track] = {}
    for job in jobs:
        if job.stage is not None and (job.stage not in last or _done(job) > _done(last[job.stage])):
            last[job.stage] = job
    worst: Track | None = None
    for stage in sorted(last):
        if worst is not None:
            for job in jobs:
                if job.stage == stage:
                    reason = f"stage {job.stage} of run {job.run} needs stage {worst.stage}"
                    yield from _too_early(job, worst, reason)
        if worst is None or _done(last[stage]) > _done(worst):
            worst = last[stage]


def _needs(tracks: Tracks, job: Track) -> Iterator[Broken]:
    """No claim of a job comes before the completion of one that it needs."""
    for name in job.needs:
        needed = tracks.jobs.get(name)
        if needed is not None:
            yield from _too_early(job, needed, f"{job.name} needs {name}")


def _done(job: Track) -> float:
    return job.completed if job.completed is not None else _NEVER


def _too_early(job: Track, needed: Track, because: str) -> Iterator[Broken]:
    """The path of a job that was claimed before one that it needs had completed."""
    early = next((claim for claim in job.claims if claim.step < _done(needed) and needed.born < claim.begun), None)
    if early is None:
        return
    graph = nx.DiGraph()
    completed, claimed = f"{needed.name} completed", f"{job.name} claimed"
    graph.add_edge(
        completed, claimed, reason=f"{needed.name} must complete before {job.name} is claimed, because {because}"
    )
    if needed.completed is None:
        seen = f"yet {early.client} claimed {job.name} at step {early.step}, and {needed.name} never completed"
        graph.add_edge(claimed, completed, reason=seen)
    else:
        at, end = ("step", early.step), ("step", needed.completed)
        graph.add_edge(claimed, at, reason=f"yet {early.client} claimed {job.name} at step {early.step}")
        graph.add_edge(at, end, reason=f"step {early.step} came before step {needed.completed}")
        graph.add_edge(end, completed, reason=f"{needed.name} completed only at step {needed.completed}")
    yield _read_out(graph, stage_order.PROMISE, job.name, early.step)


# -- lease generations and hand-over -----------------------------------------------------------------------------------


def _generations(track: Track) -> Iterator[Broken]:
    """Attempt numbers grow, and what a generation did is over before the next one begins."""
    for former, later in zip(track.claims, track.claims[1:], strict=False):
        if former.attempt is not None and later.attempt is not None and later.attempt <= former.attempt:
            yield _not_grown(track, former, later)
    for claim, over in zip(track.claims, _ends(track), strict=True):
        for step, what in claim.accepted:
            if over is not None and step > over[0]:
                yield _too_late(track, claim, over, step, what)


def _ends(track: Track) -> Iterator[tuple[int, str] | None]:
    """When each claim was over for another: it was taken back, or the next one was there."""
    for number, claim in enumerate(track.claims):
        following = track.claims[number + 1] if number + 1 < len(track.claims) else None
        if claim.taken_back is not None:
            yield claim.taken_back, f"{track.name} was taken back at step {claim.taken_back}"
        elif following is not None and claim.settled is None:
            yield following.step, f"{following.client} claimed {track.name} at step {following.step}"
        else:
            yield None


def _not_grown(track: Track, former: ClaimTrack, later: ClaimTrack) -> Broken:
    graph = nx.DiGraph()
    one, other = ("claim", former.step), ("claim", later.step)
    reason = (
        f"attempt {later.attempt} of {track.name} ({later.client}) must not come after attempt {former.attempt} "
        f"({former.client}), because attempt numbers grow with every claim"
    )
    graph.add_edge(other, one, reason=reason)
    graph.add_edge(one, other, reason=f"yet step {former.step} came before step {later.step}")
    return _read_out(graph, attempts.PROMISE, track.name, later.step)


def _too_late(track: Track, claim: ClaimTrack, over: tuple[int, str], step: int, what: str) -> Broken:
    graph = nx.DiGraph()
    act, end = ("act", step), ("end", over[0])
    reason = (
        f"{claim.client}'s {what} of {track.name} rests on its claim of step {claim.step}, so it must be accepted "
        "before that claim is over"
    )
    graph.add_edge(act, end, reason=reason)
    graph.add_edge(end, act, reason=f"yet {over[1]}, and the {what} was accepted at step {step}, after it")
    promise = fenced_heartbeat.PROMISE if what == HEARTBEAT.name else fenced_settlement.PROMISE
    return _read_out(graph, promise, track.name, step)


# -- deploy locks ------------------------------------------------------------------------------------------------------


def _grants(grants: list[Grant]) -> Iterator[Broken]:
    """Of two grants of one lock, one is released before the other is made."""
    longest: Grant | None = None
    for grant in grants:
        if longest is not None and longest.since < grant.since < longest.until and grant.client != longest.client:
            yield _both_held(longest, grant)
        if longest is None or grant.shown > longest.shown:
            longest = grant


def _both_held(one: Grant, other: Grant) -> Broken:
    graph = nx.DiGraph()
    released, granted = ("released", one.step), ("granted", other.step)
    graph.add_edge(
        released,
        granted,
        reason=(
            f"{one.client} must let go of the lock of {one.environment}, granted at step {one.step}, before it is "
            f"granted to {other.client}, because one session holds it at a time"
        ),
    )
    point = ("step", one.shown)
    graph.add_edge(granted, point, reason=f"yet {other.client} was granted it at step {other.step}")
    graph.add_edge(
        point, released, reason=f"{one.client} held it until step {one.shown}, as its {one.proof} of then shows"
    )
    return _read_out(graph, one_deploy.PROMISE, other.job, other.step)


# -- waits -------------------------------------------------------------------------------------------------------------


def _deadlocked(step: int, waits: Mapping[str, Iterable[str]]) -> Broken:
    """The shortest cycle of those who wait for each other."""
    graph = nx.DiGraph()
    for waiter, holders in waits.items():
        for holder in holders:
            graph.add_edge(waiter, holder, reason=f"{waiter} must wait for a lock that {holder} holds")
    return _read_out(graph, deadlock_free.PROMISE, None, step)


# -- reading out -------------------------------------------------------------------------------------------------------


def shortest_cycle(graph: nx.DiGraph) -> list[tuple[Any, Any]]:
    """The edges of a shortest cycle, by a search in breadth from each edge of each strong component; or none."""
    best: list[Any] = []
    for component in nx.strongly_connected_components(graph):
        inside = graph.subgraph(component)
        for one, other in inside.edges:
            path = nx.shortest_path(inside, other, one) if one != other else [one]
            if not best or len(path) < len(best):
                best = path
    return list(zip(best, [*best[1:], *best[:1]], strict=True))


def _read_out(graph: nx.DiGraph, promise: Promise, job: str | None, step: int) -> Broken:
    """A contradiction in sentences, beginning with what must be."""
    edges = shortest_cycle(graph)
    start = next(number for number, edge in enumerate(edges) if "must" in graph.edges[edge]["reason"])
    reasons = [graph.edges[edge]["reason"] for edge in edges[start:] + edges[:start]]
    facts = tuple(Said(f"{_begun(reason)}.") for reason in reasons)
    return Broken(promise=promise.name, anomaly=promise.anomaly, job=job, step=step, facts=facts)


def _begun(clause: str) -> str:
    """A clause as a sentence begins; names stay as they are."""
    word, _, rest = clause.partition(" ")
    return f"{word.capitalize() if word in _WORDS else word} {rest}"
