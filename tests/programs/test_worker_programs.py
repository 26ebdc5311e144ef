"""Workers that are programs: what they do is seen at the gate, on our time, and judged by what they commit."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from pgqmodel.errors import TargetError
from pgqmodel.history import Advanced, Connected, Ended, Event, Executed, Invoked, Returned, Working, render
from pgqmodel.operations import Status
from pgqmodel.server import Cluster
from pgqmodel.steps import Advance, Continue, CutLine, End, Fate, Finish, Kill, Proceed, Start, Step, Stop, Wait
from pgqmodel.target import Command, Target
from programs.told import ENQUEUE, RECLAIM, of, python_target, random_stories, take

RUNS = (ENQUEUE, Start(client="A"))
"""A worker has claimed the job and runs its body."""


@pytest.fixture(scope="module")
def sound() -> Target:
    """A worker that does everything right."""
    return python_target("sound")


def calls(history: list[Event]) -> list[str]:
    """The operations of programs, in their order, each with its client."""
    return [f"{event.client} {event.operation}" for event in history if isinstance(event, Invoked) and event.line]


def test_what_a_program_does_is_inferred_from_its_commits(server: Cluster, sound: Target) -> None:
    """A claim, a body, a completion: nobody told us, the rows did."""
    history, jobs = take(server, sound, *RUNS, Finish(client="A"))
    assert calls(history) == ["A claim", "A complete"]
    working = [event for event in history if isinstance(event, Working)]
    assert [(event.job, event.line, event.over, event.answer) for event in working] == [
        ("J1", "A.1", False, ""),
        ("J1", "A.1", True, "done"),
    ]
    assert jobs == {"J1": "completed"}


def test_a_body_may_fail(server: Cluster, sound: Target) -> None:
    """The body's statement answers `fail`, and the program settles the job as failed."""
    history, jobs = take(server, sound, *RUNS, Finish(client="A", fails=True))
    assert calls(history) == ["A claim", "A fail"]
    assert jobs == {"J1": "failed"}


def test_a_heartbeat_comes_at_its_time(server: Cluster, sound: Target) -> None:
    """Ten seconds after the claim a thread beats on a connection of its own; none of that takes real time."""
    history, _ = take(server, sound, *RUNS, Wait(), Proceed(client="A"))
    assert [event.seconds for event in history if isinstance(event, Advanced)][1:] == [10.001]
    beat = [event for event in history if isinstance(event, Invoked) and event.operation == "heartbeat"]
    assert [(event.line, event.job) for event in beat] == [("A.2", "J1")]


def test_a_stopped_program_misses_its_beats(server: Cluster, sound: Target) -> None:
    """It is stopped past its lease, another one runs the job, and its own completion changes nothing."""
    late = (Stop(client="A"), Advance(seconds=31.0), RECLAIM, Start(client="B"), Continue(client="A"))
    history, jobs = take(server, sound, *RUNS, *late, Finish(client="A"))
    assert calls(history) == ["A claim", "B claim"]
    assert jobs == {"J1": "running"}
    updates = [event for event in history if isinstance(event, Executed) and event.client == "A"]
    assert "UPDATE 0" in {event.tag for event in updates}


_DRAWS = """
import time, uuid, psycopg
connection = psycopg.connect(autocommit=True)
connection.execute("UPDATE jobs SET worker = %s", [str(uuid.uuid4())])
time.sleep(1000)
"""


def test_each_life_of_a_program_draws_values_of_its_own(server: Cluster, sound: Target) -> None:
    """Two workers that name themselves by random identifiers have two, and so has one that is started again."""
    assert sound.command is not None
    drawing = evolve(sound, command=evolve(sound.command, words=("python3", "-c", _DRAWS), preload=()))
    steps = (Start(client="A"), Start(client="B"), Kill(client="A"), Start(client="A"))
    once, again = (take(server, drawing, *steps)[0] for _ in range(2))
    drawn = [event.parameters for event in once if isinstance(event, Executed)]
    assert len(drawn) == len({*drawn}) == 3
    assert render(once) == render(again)


_LEAVES = """
import time, psycopg
with psycopg.connect(autocommit=True) as connection:
    connection.execute("UPDATE jobs SET status = 'completed'")
time.sleep(1000)
"""


def test_what_a_program_did_before_it_closed_its_connection_is_told(server: Cluster, sound: Target) -> None:
    """A program that opens a connection for one statement is seen like one that keeps it."""
    assert sound.command is not None
    leaving = evolve(sound, command=evolve(sound.command, words=("python3", "-c", _LEAVES), preload=()))
    history, jobs = take(server, leaving, ENQUEUE, Start(client="A"))
    assert [event.line for event in history if isinstance(event, Executed)] == ["A.1", "A.1"]
    assert (calls(history), jobs) == (["A complete"], {"J1": "completed"})


_CLAIMS_TWICE = """
import time, psycopg
with psycopg.connect(autocommit=True) as connection:
    connection.execute("UPDATE jobs SET status = 'running', worker = 'w', heartbeat_at = now()")
    time.sleep(10)
    connection.execute("UPDATE jobs SET heartbeat_at = now()")
    time.sleep(40)
    connection.execute("UPDATE jobs SET status = 'running', worker = 'w', heartbeat_at = now()")
    time.sleep(1000)
"""


def test_a_worker_that_claims_its_own_job_again_is_seen_to_claim(server: Cluster, sound: Target) -> None:
    """The rows of a claim by the same worker look like those of a heartbeat; its statement is that of a claim."""
    assert sound.command is not None
    again = evolve(sound, command=evolve(sound.command, words=("python3", "-c", _CLAIMS_TWICE), preload=()))
    history, _ = take(server, again, ENQUEUE, Start(client="A"), *(Wait(), Proceed(client="A")) * 2)
    assert calls(history) == ["A claim", "A heartbeat", "A claim"]


_TAKES_LEAVE = """
import time, psycopg
with psycopg.connect(autocommit=True) as connection:
    connection.execute("UPDATE jobs SET status = 'running', worker = 'w', heartbeat_at = now()")
    connection.execute("UPDATE jobs SET worker = NULL, heartbeat_at = 'epoch'")
    time.sleep(1000)
"""


def test_a_job_whose_holder_is_taken_away_is_not_claimed(server: Cluster, sound: Target) -> None:
    """A worker that signs off leaves its job running, with nobody who has it: that is no claim and no heartbeat."""
    assert sound.command is not None
    leaving = evolve(sound, command=evolve(sound.command, words=("python3", "-c", _TAKES_LEAVE), preload=()))
    history, _ = take(server, leaving, ENQUEUE, Start(client="A"))
    assert calls(history) == ["A claim"]


def test_a_killed_program_starts_anew(server: Cluster, sound: Target) -> None:
    """Its connections end, what it had not committed is gone, and the next life counts its connections from 1."""
    killed = (ENQUEUE, Start(client="A", stop=2), Kill(client="A"))
    history, jobs = take(server, sound, *killed)
    assert [event.crashed for event in of(history, Ended) if isinstance(event, Ended)] == [True]
    assert (calls(history), jobs) == ([], {"J1": "pending"})
    again, jobs = take(server, sound, *killed, Start(client="A"))
    assert {event.line for event in again if isinstance(event, Executed)} == {"A.1"}
    assert (calls(again), jobs) == (["A claim"], {"J1": "running"})


@pytest.mark.parametrize(("fate", "state"), [(Fate.BEFORE, "running"), (Fate.AFTER, "completed")])
def test_a_connection_is_cut(server: Cluster, sound: Target, fate: Fate, state: str) -> None:
    """The settlement is held, its connection breaks: the server had it or had it not, and the program cannot tell."""
    cut = CutLine(client="A", line=1, fate=fate)
    history, jobs = take(server, sound, *RUNS, Finish(client="A", stop=1), cut)
    assert jobs == {"J1": state}
    answers = [event.status for event in history if isinstance(event, Returned) and event.client == "A"]
    assert answers == [Status.OK] + [Status.UNKNOWN] * (fate is Fate.AFTER)


def test_a_program_may_end_by_itself(server: Cluster, sound: Target) -> None:
    """This one ends at SIGTERM: that is seen, and it can be started again."""
    history, _ = take(server, sound, *RUNS, End(client="A"), Start(client="A"))
    assert len(of(history, Ended)) == 1
    assert [event.client for event in of(history, Connected) if isinstance(event, Connected)].count("A") == 2


def test_no_more_connections_than_it_may_have(server: Cluster) -> None:
    """The second connection is refused, the heartbeat's thread dies of it, and the job goes on."""
    history, _ = take(server, python_target("sound", most=1), *RUNS, Wait())
    assert {event.line for event in history if isinstance(event, Executed)} == {"A.1"}


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Proceed(client="A"), "A waits for nothing"),
        (Start(client="A"), "A runs already"),
        (Finish(client="B"), "B does not run"),
        (Continue(client="A"), "A is not stopped"),
        (CutLine(client="A", line=7), r"A\.7 is not there"),
        (Kill(client="P"), "P is no program"),
    ],
)
def test_a_step_that_cannot_be_taken_says_why(server: Cluster, sound: Target, step: Step, reason: str) -> None:
    """The reason names the program."""
    with pytest.raises(Exception, match=reason):
        take(server, sound, *RUNS, step)


@pytest.mark.parametrize("name", ["sound", "holding", "select-then-update"])
def test_the_same_seed_tells_the_same_bytes(server: Cluster, name: str) -> None:
    """Random stories with stops, kills, cuts and time, three times over: no byte differs."""
    first, *others = random_stories(server, python_target(name), seed=4, stories=4, times=3)
    assert any(isinstance(event, Executed) for history in first for event in history)
    for again in others:
        assert [render(history) for history in again] == [render(history) for history in first]


def test_a_program_that_does_not_start_is_the_owners_fault(server: Cluster, sound: Target, tmp_path: Path) -> None:
    """The error has the end of what it wrote."""
    (tmp_path / "broken.py").write_text("raise SystemExit('no such queue')")
    broken = evolve(sound, command=Command(words=("python3", "broken.py"), directory=str(tmp_path)))
    with pytest.raises(TargetError, match=r"ended before its first statement.*no such queue"):
        take(server, broken, Start(client="A"))


def test_a_forked_program_may_end_at_once(server: Cluster, sound: Target, tmp_path: Path) -> None:
    """It may be gone before we can look at it; that is told as any other end."""
    (tmp_path / "short.py").write_text("print('nothing to do')")
    command = Command(words=("python3", "short.py"), directory=str(tmp_path), preload=("json",))
    with pytest.raises(TargetError, match=r"ended before its first statement.*nothing to do"):
        take(server, evolve(sound, command=command), Start(client="A"))


def test_a_library_that_is_not_there(server: Cluster, sound: Target, tmp_path: Path) -> None:
    """What `preload` names must be importable by the program's own Python."""
    (tmp_path / "worker.py").write_text("")
    command = Command(words=("python3", "worker.py"), directory=str(tmp_path), preload=("no_such_library",))
    with pytest.raises(TargetError, match=r"preload.*no_such_library"):
        take(server, evolve(sound, command=command), Start(client="A"))
