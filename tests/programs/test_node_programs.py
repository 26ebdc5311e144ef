"""A Node application as a worker: a pool, timers, LISTEN and advisory locks of package `pg`, none of it modified."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import evolve

from pgqmodel.errors import TargetError
from pgqmodel.explore.judged import AnomalyFound, Run
from pgqmodel.explore.program_ending import drain_programs
from pgqmodel.history import Advanced, Blocked, Ended, Event, Executed, Invoked, Working, render
from pgqmodel.server import Cluster
from pgqmodel.steps import Advance, Begin, Continue, CutLine, End, Fate, Finish, Kill, Proceed, Start, Step, Stop, Wait
from pgqmodel.target import Target, load
from pgqmodel.world import open_world
from programs.told import ENQUEUE, RECLAIM, of, random_stories, take

HERE = Path(__file__).parent / "node_worker"
MISSING = next((name for name in ("node", "npm") if shutil.which(name) is None), None)
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"{MISSING} is not installed: no Node worker can run")

DEPLOY = Begin(client="P", operation="enqueue", arguments={"environment": "prod"})
RUNS = (ENQUEUE, Start(client="A"))
LATE = (Stop(client="A"), Advance(seconds=31.0), RECLAIM)
"""A is stopped past its lease, and its job is taken back."""
CUT = (Finish(client="A", stop=1), CutLine(client="A", line=2))
"""Its completion is lost on the way to the server."""
WAITED = (DEPLOY, Start(client="A", stop=4), *LATE, Start(client="B"), Continue(client="A"), Proceed(client="A"))
"""A has waited so long that B runs its job, and waits on for the lock that B has."""


@pytest.fixture(scope="session")
def modules(pytestconfig: pytest.Config) -> Path:
    """The packages of the worker, installed once for each lock file."""
    lock = (HERE / "package-lock.json").read_bytes()
    assert pytestconfig.cache is not None
    home = pytestconfig.cache.mkdir("node_worker") / hashlib.sha256(lock).hexdigest()[:16]
    if not home.exists():
        fresh = home.with_name(f"{home.name}.{os.getpid()}")
        fresh.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, fresh)
        install = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(install, cwd=fresh, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(fresh)
            pytest.skip(f"npm cannot install the worker's packages: {done.stderr.strip()[-300:]}")
        try:
            fresh.rename(home)
        except OSError:  # another process of the tests was faster
            shutil.rmtree(fresh)
    return home / "node_modules"


@pytest.fixture(scope="session")
def worker(modules: Path) -> Callable[[str], Target]:
    """One of the targets by its name: the sound worker, or one with a fault."""

    def named(name: str) -> Target:
        target = load(str(HERE / f"{name}.toml"))
        assert target.command is not None
        surroundings = {**target.command.environment, "NODE_PATH": str(modules)}
        return evolve(target, command=evolve(target.command, environment=surroundings))

    return named


def judged(server: Cluster, target: Target, *steps: Step, drained: bool = False) -> tuple[str | None, list[Event]]:
    """Take steps, and a drain, as a check does. Return the promise that they break, and what happened."""

    async def main() -> tuple[str | None, list[Event]]:
        async with open_world(target, server, workers=target.workers) as world:
            run = Run(world=world)
            try:
                for step in steps:
                    await run.take(step)
                for step in drain_programs(world) if drained else ():
                    await run.take(step)
            except AnomalyFound as found:
                return found.finding.broken.promise, list(world.history)
            return None, list(world.history)

    return trio.run(main, clock=trio.testing.MockClock())


def calls(history: list[Event]) -> list[str]:
    """The operations of programs, in their order, each with its client."""
    return [f"{event.client} {event.operation}" for event in history if isinstance(event, Invoked) and event.line]


Worker = Callable[[str], Target]


def test_it_claims_runs_and_settles(server: Cluster, worker: Worker) -> None:
    """Its first connection listens, its pool claims in a transaction, and what it meant is inferred."""
    history, jobs = take(server, worker("sound"), *RUNS, Finish(client="A"))
    assert calls(history) == ["A claim", "A complete"]
    assert {event.line for event in of(history, Working) if isinstance(event, Working)} == {"A.2"}
    assert jobs == {"J1": "completed"}


def test_it_beats_by_its_timer(server: Cluster, worker: Worker) -> None:
    """Ten seconds after the claim `setInterval` beats on a second connection of the pool; no real time passes."""
    history, _ = take(server, worker("sound"), *RUNS, Wait(), Proceed(client="A"))
    assert [event.seconds for event in history if isinstance(event, Advanced)][1:] == [pytest.approx(10, abs=0.01)]
    assert calls(history) == ["A claim", "A heartbeat"]


def test_it_wakes_by_a_notification(server: Cluster, worker: Worker) -> None:
    """An idle worker hears of a new job before its poll: no time passes, and the notification is a unit of its own."""
    history, jobs = take(server, worker("sound"), Start(client="A"), ENQUEUE, Proceed(client="A"))
    assert jobs == {"J1": "running"}
    assert len(of(history, Advanced)) == 1


def test_one_deploy_waits_for_the_other(server: Cluster, worker: Worker) -> None:
    """The advisory lock of an environment holds the second job's body back until the first is over."""
    both = (DEPLOY, DEPLOY, Start(client="A"), Start(client="B"))
    history, jobs = take(server, worker("sound"), *both)
    assert [event.client for event in of(history, Working) if isinstance(event, Working)] == ["A"]
    assert [event.client for event in of(history, Blocked) if isinstance(event, Blocked)] == ["B"]
    assert jobs == {"J1": "running", "J2": "running"}
    history, _ = take(server, worker("sound"), *both, Finish(client="A"), Proceed(client="B"))
    assert [event.client for event in of(history, Working) if isinstance(event, Working)] == ["A", "A", "B"]


def test_asked_to_end_it_finishes_its_job(server: Cluster, worker: Worker) -> None:
    """The process ends with the answer to its last COMMIT, and that completion is still seen as its own."""
    history, jobs = take(server, worker("sound"), *RUNS, End(client="A"), Finish(client="A"))
    assert calls(history) == ["A claim", "A complete"]
    assert [event.client for event in of(history, Ended) if isinstance(event, Ended) and not event.line] == ["A"]
    assert jobs == {"J1": "completed"}


def test_a_lost_answer_is_asked_for_again(server: Cluster, worker: Worker) -> None:
    """The completion committed and its answer was lost: a second one, fenced, changes nothing."""
    lost = (Finish(client="A", stop=1), CutLine(client="A", line=2, fate=Fate.AFTER))
    history, jobs = take(server, worker("sound"), *RUNS, *lost, Wait(), Proceed(client="A"))
    tags = [event.tag for event in history if isinstance(event, Executed) and "'completed'" in event.sql]
    assert tags == ["UPDATE 1", "UPDATE 0"]
    assert jobs == {"J1": "completed"}


def test_a_drain_ends_what_waited_for_a_program(server: Cluster, worker: Worker) -> None:
    """Maintenance waits for a row that a program has locked: once the program goes on, so does maintenance."""
    held = (*RUNS, Finish(client="A", stop=2), Stop(client="A"), Advance(seconds=31.0), RECLAIM)
    found, history = judged(server, worker("sound"), *held, drained=True)
    assert found is None
    waits = [(event.client, event.by) for event in of(history, Blocked) if isinstance(event, Blocked)]
    assert waits[0] == ("M", ("A",))


FAULTY: dict[str, tuple[str, tuple[Step, ...]]] = {
    "unfenced": ("fenced-settlement", (*RUNS, *LATE, Continue(client="A"), Finish(client="A"))),
    "unfenced-heartbeat": (
        "fenced-heartbeat",
        (*RUNS, *LATE, Start(client="B"), Advance(seconds=1.0), Continue(client="A"), Proceed(client="A")),
    ),
    "catch-then-fail": (
        "final-states",
        (*RUNS, Finish(client="A", stop=1), CutLine(client="A", line=2, fate=Fate.AFTER), Proceed(client="A")),
    ),
    "select-then-update": (
        "exclusive-claim",
        (ENQUEUE, Start(client="A", stop=2), Start(client="B"), Proceed(client="A")),
    ),
    "forces": (
        "fenced-settlement",
        (*RUNS, *CUT, *LATE, Continue(client="A"), Proceed(client="A")),
    ),
    "runs-late": ("exclusive-claim", (*WAITED, CutLine(client="B", line=3))),
}
"""For each fault the promise that it breaks, and a short story in which it does."""


@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_breaks_its_promise(server: Cluster, worker: Worker, fault: str) -> None:
    """The faulty worker breaks the promise in its story; in the same story the sound one keeps all of them."""
    promise, steps = FAULTY[fault]
    assert judged(server, worker(fault), *steps)[0] == promise
    possible = [step for step in steps if step != steps[-1]]  # the sound one may have nothing to do at the end
    assert judged(server, worker("sound"), *possible, drained=True)[0] is None


def test_a_death_comes_before_what_it_allows(server: Cluster, worker: Worker) -> None:
    """B dies, its lock goes to A, and A begins the job after B's end: the two never run it at once."""
    found, history = judged(server, worker("runs-late"), *WAITED, Kill(client="B"))
    assert found is None
    bodies = [(event.client, event.over) for event in history if isinstance(event, Working)]
    assert bodies == [("B", False), ("B", True), ("A", False)]


def test_a_change_is_its_doers_and_not_of_one_who_waited_for_it(server: Cluster, worker: Worker) -> None:
    """The answer to B's heartbeat is lost, so B gives up its lock, and A has it: the heartbeat is still B's."""
    beats = (DEPLOY, DEPLOY, Start(client="B", stop=5), Start(client="A"), Advance(seconds=1.0))
    history, _ = take(server, worker("sound"), *beats, CutLine(client="B", line=2, fate=Fate.AFTER))
    assert [event.client for event in of(history, Blocked) if isinstance(event, Blocked)] == ["A"]
    assert calls(history) == ["B claim", "A claim", "B heartbeat"]
    last = [event for event in history if isinstance(event, Executed)][-1]
    assert (last.client, "pg_advisory_lock" in last.sql) == ("A", True)


def test_a_package_that_is_not_there(server: Cluster, worker: Worker) -> None:
    """What `preload` names must be a package that Node finds from the program's directory."""
    target = worker("sound")
    assert target.command is not None
    broken = evolve(target, command=evolve(target.command, preload=("no-such-package",)))
    with pytest.raises(TargetError, match=r"worker\.preload: found no-such-package.*Cannot find module"):
        take(server, broken, Start(client="A"))


def test_a_process_that_was_started_ahead_finds_no_trace_of_that(
    server: Cluster, worker: Worker, tmp_path: Path
) -> None:
    """Its options, descriptors and clock are as if it had been started when its life began."""
    (tmp_path / "worker.js").write_text(
        "console.log(JSON.stringify([process.env.NODE_OPTIONS, process.execArgv, process.env.PGQMODEL_AHEAD, "
        "Date.now() - 1893456000000, require('fs').readdirSync('/proc/self/fd').some((fd) => "
        "{ try { return require('fs').readlinkSync('/proc/self/fd/' + fd).startsWith('socket') } catch { } })]))"
    )
    target = worker("sound")
    assert target.command is not None
    command = evolve(target.command, directory=str(tmp_path))
    with pytest.raises(TargetError, match=r"null,\[\],null,5000,false"):
        take(server, evolve(target, command=command), Advance(seconds=5.0), Start(client="A"))


def test_the_same_seed_tells_the_same_bytes(server: Cluster, worker: Worker) -> None:
    """Random stories with stops, kills, cuts and time, told twice: no byte differs."""
    first, again = random_stories(server, worker("sound"), seed=2, stories=3, times=2)
    assert {Ended, Executed, Working} <= {type(event) for history in first for event in history}
    assert [render(history) for history in again] == [render(history) for history in first]


def test_a_killed_worker_is_succeeded(server: Cluster, worker: Worker) -> None:
    """The lease of a killed worker lapses, its job is taken back, and another one completes it."""
    found, history = judged(server, worker("sound"), *RUNS, Kill(client="A"), drained=True)
    assert found is None
    assert calls(history)[-1].endswith("complete")
