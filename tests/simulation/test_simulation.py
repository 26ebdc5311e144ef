"""A simulation's sizes and the targets it suits, the promises a load proves itself, and verdicts on wake-ups."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from attrs import evolve

from pgqmodel.errors import UsageError
from pgqmodel.promises import ANOMALIES
from pgqmodel.promises.delivery_reasons import LineGone
from pgqmodel.reference import reference
from pgqmodel.report import told
from pgqmodel.simulation import Measures, Simulation, Stage
from pgqmodel.simulation.figures import Reader
from pgqmodel.simulation.installed import simulations
from pgqmodel.simulation.judging import _inversions, _judge_wake_up
from pgqmodel.simulation.proof import Proofs


async def nothing(stage: Stage) -> None:
    """A load that brings nothing."""


def simulation(**changes: Any) -> Simulation:
    """A simulation with three sizes."""
    sizes, least = {"jobs": 1_000, "workers": 8, "kills": 1}, {"workers": 2}
    return Simulation(**{"name": "mine", "says": "nothing", "load": nothing, "sizes": sizes, "least": least} | changes)


@pytest.mark.parametrize(
    ("asked", "scale", "sizes"),
    [
        ({}, 1.0, (1_000, 8, 1)),
        ({}, 0.5, (500, 4, 1)),
        ({}, 0.001, (1, 2, 1)),
        ({}, 3.0, (3_000, 24, 3)),
        ({"jobs": 7}, 0.5, (7, 4, 1)),
        ({"jobs": 7, "workers": 1, "kills": 4}, 100.0, (7, 1, 4)),
    ],
    ids=str,
)
def test_sizes_are_the_plans_scaled_unless_asked_for(
    asked: dict[str, int], scale: float, sizes: tuple[int, ...]
) -> None:
    """What was asked for is taken as it is; the rest is the plan's times the scale, and shows something."""
    assert tuple(simulation().sized(asked, scale).values()) == sizes


def test_a_size_that_it_has_not_is_refused() -> None:
    """The error names what was found, what is expected, and what to do."""
    with pytest.raises(UsageError, match=r"mine has no size beds, rooms; expected some of jobs, workers, kills. Leave"):
        simulation().sized({"jobs": 1, "rooms": 2, "beds": 3}, 1.0)


def test_a_target_without_its_operations_is_refused() -> None:
    """The operations that are missing are named, and those that are there are not."""
    target = reference()
    less = evolve(target, operations={"enqueue": target.operations["enqueue"]})
    simulation(needs=frozenset({"enqueue", "claim", "lock"})).suits(target)
    with pytest.raises(UsageError, match="the target reference has no operation claim, lock; the simulation mine is"):
        simulation(needs=frozenset({"enqueue", "claim", "lock"})).suits(less)


@pytest.mark.parametrize("simulation", simulations().values(), ids=simulations())
def test_the_catalogue_suits_the_reference(simulation: Simulation) -> None:
    """Each simulation says what it shows, has sizes and thresholds, and can be run on the reference queue."""
    simulation.suits(reference())
    assert simulation.says
    assert simulation.sizes
    assert simulation.thresholds
    assert simulation.settings.keys() <= reference().settings.keys()


# -- what a load proves itself -----------------------------------------------------------------------------------------


def test_a_proof_counts_and_keeps_the_first_breach() -> None:
    """Each promise is put to the test so often and broken so often; the facts are those of the first."""
    proofs = Proofs()
    proofs.exercise("log-complete", 5)
    proofs.exercise("log-complete")
    proofs.breach("lost-log", LineGone(3))
    proofs.breach("duplicate-log", LineGone(4))
    proofs.exercise("wake-up", 0)
    proof = proofs.of["log-complete"]
    assert (proof.exercised, proof.violations, proof.anomaly) == (6, 2, "lost-log")
    assert told(proof.facts) == ("it is gone after step 3.",)
    assert (proofs.of["wake-up"].exercised, proofs.of["wake-up"].violations) == (0, 0)


@pytest.mark.parametrize("anomaly", ANOMALIES)
def test_a_breach_is_of_the_anomalys_promise(anomaly: str) -> None:
    """Whoever names an anomaly need not know which promise it breaks."""
    proofs = Proofs()
    proofs.breach(anomaly, "It was so.")
    assert list(proofs.of) == [ANOMALIES[anomaly]]


# -- wake-ups and the order of locks -----------------------------------------------------------------------------------


def bare_stage(channel: str | None = "job_queue") -> Stage:
    """What the verdict on a wake-up looks at."""
    parts = {"target": evolve(reference(), wake_channel=channel), "proofs": Proofs(), "measures": Measures()}
    return cast("Stage", SimpleNamespace(**parts))


def read(job: str, delay: float | None, rested: float, *, idle: bool = True) -> Reader:
    """What a history told of one job: how long it waited, and how long its worker had rested before its claim."""
    reader = Reader(measures=Measures())
    if delay is not None:
        reader.started[job], reader.rested[job] = delay, rested
    if idle:
        reader.idle_at_birth.add(job)
    return reader


POLLED = (
    "Yet it waited {:.3f} s, for a worker that had rested {:.3f} s, which is its whole poll: no notification woke it."
)


@pytest.mark.parametrize(
    ("delay", "rested", "said"),
    [
        (0.02, 3.0, ""),
        (9.0, 12.0, ""),
        (10.0, 20.1, POLLED.format(10.0, 20.1)),
        (19.5, 20.0, POLLED.format(19.5, 20.0)),
        (None, 0.0, "Yet it was never claimed: no notification woke it."),
    ],
    ids=["woken", "a slow machine", "half a poll", "a whole poll", "never"],
)
def test_a_job_that_had_to_wait_for_a_poll_was_not_woken_for(delay: float | None, rested: float, said: str) -> None:
    """A worker that rested for less than its poll was woken; after a whole one, or never, the wake-up was lost."""
    stage = bare_stage()
    _judge_wake_up(stage, read("7", delay, rested), "7", 20.0)
    proof = stage.proofs.of["wake-up"]
    assert (proof.exercised, proof.violations) == (1, 1 if said else 0)
    assert proof.anomaly == ("lost-wakeup" if said else None)
    idle = "Job 7 was enqueued while workers were idle and listening on job_queue."
    assert told(proof.facts) == ((idle, said) if said else ())
    assert stage.measures.value("wake_up.count") == (None if delay is None else 1)


@pytest.mark.parametrize(
    "reader",
    [read("7", 0.2, 20.0), read("7", 20.0, 20.0, idle=False)],
    ids=["the poll was near", "nobody rested"],
)
def test_a_wake_up_that_may_have_been_either_is_not_counted(reader: Reader) -> None:
    """A job that came just before a poll, or while every worker was busy, puts the promise to no test."""
    stage = bare_stage()
    _judge_wake_up(stage, reader, "7", 20.0)
    assert "wake-up" not in stage.proofs.of


def test_who_notifies_of_nothing_is_not_held_to_it() -> None:
    """A queue without a wake-up channel lets its workers poll, and breaks nothing by it."""
    stage = bare_stage(channel=None)
    _judge_wake_up(stage, read("7", None, 0.0), "7", 10.0)
    assert stage.proofs.of == {}
    assert stage.measures == Measures()


@pytest.mark.parametrize(
    ("asked", "granted", "inversions"),
    [
        ([], [], 0),
        ([1, 2, 3], [1, 2, 3], 0),
        ([1, 2, 3], [3, 2, 1], 2),
        ([1, 2, 3], [2, 1, 3], 1),
        ([1, 2, 3], [3], 0),
        ([1, 2], [9, 2, 1], 1),
    ],
    ids=str,
)
def test_locks_out_of_order_are_counted(asked: list[int], granted: list[int], inversions: int) -> None:
    """A grant is out of order if whoever is granted next had asked before; who never asked is passed over."""
    assert _inversions(asked, granted) == inversions
