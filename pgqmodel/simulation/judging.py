"""From what everybody saw and what was committed to verdicts: one history, the same model, every promise."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from pgqmodel.history import Draining, Event, Judged, to_line
from pgqmodel.model.rule import Broken
from pgqmodel.simulation.figures import Reader, fairness
from pgqmodel.simulation.opening import Opened
from pgqmodel.simulation.proof import Proof, Proofs
from pgqmodel.simulation.result import Judged as Verdicted
from pgqmodel.simulation.stage import Stage
from pgqmodel.witness.merge import merge

__all__ = ["judge"]


def judge(opened: Opened, path: Path) -> tuple[Verdicted, ...]:
    """Write down the one history of the run, read the stage's figures from it as it goes by, and judge it."""
    from pgqmodel.model import Judge

    stage = opened.stage
    reader = Reader(measures=stage.measures, phases=stage.phases, curves=stage.in_real_time)
    model = Judge(promises=stage.target.promises, settings=stage.target.settings)
    found: dict[str, list[Broken]] = {}
    with path.open("w", encoding="utf-8") as file:
        for event in _events(opened):
            reader.take(event)
            file.write(to_line(event))
            broken = model.examine(event)
            if broken is not None:
                found.setdefault(broken.promise, []).append(broken)
    _sum_up(stage, reader)
    return tuple(
        _verdict(name, model.witnessed.get(name, 0), found.get(name, []), stage.proofs)
        for name in stage.target.promises
    )


def _verdict(promise: str, witnessed: int, found: list[Broken], proofs: Proofs) -> Verdicted:
    """What the model found, and what the load itself has seen, of one promise."""
    proof = proofs.of.get(promise, Proof())
    return Verdicted.of(
        promise,
        witnessed=witnessed + proof.witnessed,
        violations=len(found) + proof.violations,
        anomaly=found[0].anomaly if found else proof.anomaly,
        explanation=found[0].explanation if found else proof.explanation,
    )


def _events(opened: Opened) -> Iterator[Event]:
    """What to judge by, everything that happened, and the end of the drain."""
    stage = opened.stage
    yield Judged(step=0, target=stage.target.name, promises=stage.target.promises, settings=stage.target.settings)
    event: Event | None = None
    for event in merge(stage.histories(), opened.translator.translate(opened.witness.transactions())):
        yield event
    if any(isinstance(told, Draining) for told in stage.record):
        yield Draining(step=event.step + 1 if event is not None else 1, at=stage.tell_time(), over=True)


def _sum_up(stage: Stage, reader: Reader) -> None:
    """Figures of the whole, and what the load expected of it."""
    measures = stage.measures
    shares = [reader.completed_by.get(life.worker, 0) for life in stage.crew.lives if life.killed_at is None]
    measures.count("workers", len({life.worker for life in stage.crew.lives}))
    index = fairness(shares)
    if index is not None:
        measures.sample("fairness", index, at=stage.phases[-1][0] if stage.phases else 0.0)
    for environment, asked in reader.asked.items():
        granted = reader.grants.get(environment, [])
        measures.count("locks_out_of_order", _inversions(asked, granted))
    for job, within in stage.wake_ups.items():
        _judge_wake_up(stage, job, reader.started.get(job), within)


def _inversions(asked: list[int], granted: list[int]) -> int:
    """How many grants went to somebody who had first asked later than the one who was granted next."""
    places = {claim: place for place, claim in enumerate(asked)}
    order = [places[claim] for claim in granted if claim in places]
    return sum(one > other for one, other in itertools.pairwise(order))


def _judge_wake_up(stage: Stage, job: str, delay: float | None, within: float) -> None:
    """A job that came into an idle, listening crew was to start at once."""
    if stage.target.wake_channel is None:
        return
    stage.proofs.witness("wake-up")
    if delay is not None:
        stage.measures.record("wake_up", delay)
    if delay is None or delay >= within:
        told = f"Job {job} was enqueued while workers were idle and listening on {stage.target.wake_channel}."
        waited = f"it waited {delay:.3f} s" if delay is not None else "it was never claimed"
        stage.proofs.breach("lost-wakeup", told, f"Yet {waited}, which only a poll explains.")
