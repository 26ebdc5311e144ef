"""Judges a run: clients' histories and commits become one history, and the same model judges every promise."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from pgqmodel import history
from pgqmodel.checks.paths import examine
from pgqmodel.history import Draining, Event, to_line
from pgqmodel.judge import Verdict
from pgqmodel.promises import wake_up
from pgqmodel.simulation.figures import Reader, fairness
from pgqmodel.simulation.proof import Proofs
from pgqmodel.simulation.stage import Stage
from pgqmodel.simulation.stage_opening import Opened
from pgqmodel.witness.merge import merge

__all__ = ["judge"]


def judge(opened: Opened, path: Path | None) -> tuple[Verdict, ...]:
    """Write the history of the run to `path`, fill the stage's figures from it on the way, and judge it.

    Without a path the history is not kept.
    """
    stage = opened.stage
    reader = Reader(measures=stage.measures, phases=stage.phases, curves=stage.in_real_time)
    with (path or Path(os.devnull)).open("w", encoding="utf-8") as file:
        verdicts = examine(_noted(_events(opened), reader, file))
    _sum_up(stage, reader)
    return tuple(_verdict(name, verdicts.promises.get(name), stage.proofs) for name in stage.target.promises)


def _noted(events: Iterable[Event], reader: Reader, file: TextIO) -> Iterator[Event]:
    """Pass the events on; write them to the file and give them to the reader."""
    for event in events:
        reader.take(event)
        file.write(to_line(event))
        yield event


def _verdict(promise: str, judged: Verdict | None, proofs: Proofs) -> Verdict:
    """The verdict on one promise, from the history and from the proofs of the load."""
    seen = proofs.verdict(promise)
    return judged.joined(seen) if judged is not None else seen


def _events(opened: Opened) -> Iterator[Event]:
    """The header with promises and settings, all events, and the end of the drain."""
    stage = opened.stage
    yield history.Judged(
        step=0,
        target=stage.target.name,
        promises=stage.target.promises,
        settings=stage.target.settings,
        moments=stage.target.moments,
    )
    event: Event | None = None
    for event in merge(stage.histories(), opened.translator.translate(opened.witness.transactions())):
        yield event
    if any(isinstance(told, Draining) for told in stage.record):
        yield Draining(step=event.step + 1 if event is not None else 1, at=stage.tell_time(), over=True)


def _sum_up(stage: Stage, reader: Reader) -> None:
    """Add the figures of the whole run, and the checks that need them."""
    measures = stage.measures
    shares = [reader.completed_by.get(life.worker, 0) for life in stage.crew.lives if life.killed_at is None]
    measures.count("workers", len({life.worker for life in stage.crew.lives}))
    index = fairness(shares)
    if index is not None:
        # A figure of the whole run. The stage's clock may be virtual, but the time axis is in real time.
        measures.sample("fairness", index, at=measures.marks[-1].at if measures.marks else time.time())
    for environment, asked in reader.asked.items():
        granted = reader.grants.get(environment, [])
        measures.count("locks_out_of_order", _inversions(asked, granted))
    for job, poll_seconds in stage.wake_ups.items():
        _judge_wake_up(stage, reader, job, poll_seconds)


def _inversions(asked: list[int], granted: list[int]) -> int:
    """The number of grants to a claim that had first asked later than the claim with the next grant."""
    places = {claim: place for place, claim in enumerate(asked)}
    order = [places[claim] for claim in granted if claim in places]
    return sum(one > other for one, other in itertools.pairwise(order))


def _judge_wake_up(stage: Stage, reader: Reader, job: str, poll_seconds: float) -> None:
    """A job that came while workers rested and listened must be claimed by a worker that was woken for it."""
    channel = stage.target.wake_channel
    if channel is None or job not in reader.idle_at_birth:
        return
    delay, rested = reader.started.get(job), reader.rested.get(job, 0.0)
    if delay is not None:
        stage.measures.record("wake_up", delay)
    if not wake_up.is_telling(delay, rested, poll_seconds):
        return
    stage.proofs.exercise(wake_up.PROMISE.name)
    missed = wake_up.missed(job, channel, delay, rested, poll_seconds)
    if missed:
        stage.proofs.breach(wake_up.PROMISE.anomaly, *missed)
