"""`pgqmodel sim`: what it writes and says, its exit codes, and that nothing is left of it however it ends."""

from __future__ import annotations

import json
import os
import shlex
import signal
from pathlib import Path

import pytest
from attrs import evolve

from cli.commands import run
from cli.place import Place
from pgqmodel.cli.main import cli
from pgqmodel.client.recorder import read_client_history
from pgqmodel.history import Connected
from pgqmodel.simulation import Stage
from pgqmodel.simulation.installed import simulations
from pgqmodel.simulation.result import Result

STAGES = ("sim", "stage-ordering", "--jobs", 40, "--workers", 2, "--seed", 3)
STREAMS = ("sim", "log-streaming", "--jobs", 2, "--size", "subscribers=4", "--seconds", 120, "--out", "out")
KEYS = [
    "simulation",
    "target",
    "verdict",
    "exit_code",
    "unknown",
    "postgres",
    "scale",
    "sizes",
    "started_at",
    "seconds",
    "promises",
    "not_exercised",
    "checks",
    "thresholds",
    "counters",
    "latencies",
    "series",
    "marks",
    "phases",
    "notes",
    "environment",
    "command",
]
SMALLEST = """
name = "smallest"
setup = ["schema.sql"]
[promises]
exclusive-claim = true
no-lost-job = true
[observe]
jobs = "SELECT id, id::text AS job, state, worker AS holder, attempts AS attempt FROM jobs"
[observe.states]
pending = ["new"]
running = ["taken"]
completed = ["done"]
[operations.enqueue]
statements = ["INSERT INTO jobs (payload) VALUES (%(payload)s) RETURNING id::text AS job"]
[operations.claim]
statements = ['''
UPDATE jobs SET state = 'taken', worker = %(worker)s, attempts = attempts + 1
WHERE id = (SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id::text AS job, payload, attempts AS attempt
''']
[operations.fail]
statements = ["UPDATE jobs SET state = 'new' WHERE id = %(job)s::bigint AND worker = %(worker)s"]
[operations.complete]
statements = ["UPDATE jobs SET state = 'done' WHERE id = %(job)s::bigint AND worker = %(worker)s"]
"""
SCHEMA = """
CREATE TABLE jobs (
    id bigserial PRIMARY KEY, payload jsonb NOT NULL, state text NOT NULL DEFAULT 'new', worker text,
    attempts integer NOT NULL DEFAULT 0
);
"""


def test_json_of_a_simulation(tmp_path: Path) -> None:
    """One object with the contract's keys on standard output, the same in a file beside the page and the history.

    What an earlier run left there is replaced, and the command in it asks for the same run.
    """
    place = tmp_path / "pgqmodel-sims" / "reference-stage-ordering"
    place.mkdir(parents=True)
    (place / "history.jsonl").write_text("of an earlier run")
    ended = run(*STAGES, "--json", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    record = ended.record
    assert list(record) == KEYS
    assert (record["simulation"], record["target"], record["verdict"]) == ("stage-ordering", "reference", "held")
    assert record["sizes"] == {"jobs": 40, "workers": 2}
    assert record["promises"]["stage-order"]["verdict"] == "held"
    assert json.loads((place / "result.json").read_text()) == record
    assert "<!doctype html>" in (place / "page.html").read_text()[:200].lower()
    assert run("verify", place / "history.jsonl", cwd=tmp_path).code == 0
    assert sorted(path.name for path in place.iterdir()) == ["history.jsonl", "page.html", "result.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["pgqmodel-sims"]
    words = shlex.split(record["command"])
    assert words[0] == "pgqmodel"
    assert sorted(words[1:]) == sorted([*map(str, STAGES), "--target", "reference"])


def test_a_broken_promise_is_said_to_a_person(tmp_path: Path) -> None:
    """Exit code 1; the summary names the anomaly, counts it, and shows one in sentences."""
    ended = run(*STAGES, "--target", "baseline", "--out", "found", cwd=tmp_path)
    assert ended.code == 1, ended.err
    assert "stage-skip" in ended.out
    assert "Yet " in ended.out
    assert "Traceback" not in ended.err
    assert [path.name for path in (tmp_path / "found").iterdir()] == ["baseline-stage-ordering"]
    page = (tmp_path / "found" / "baseline-stage-ordering" / "page.html").read_text()
    assert "stage-skip" in page


def test_all_of_those_that_suit_a_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a small queue has no operations for is left out, with a note each; the rest are run, and told as one."""
    (tmp_path / "smallest.toml").write_text(SMALLEST)
    (tmp_path / "schema.sql").write_text(SCHEMA)
    some = {name: simulations()[name] for name in ("lock-contention", "log-streaming", "stage-ordering")}
    monkeypatch.setattr("pgqmodel.cli.sim.simulations", lambda: some)
    monkeypatch.chdir(tmp_path)
    words = ["sim", "all", "--target", "smallest.toml", "--jobs", "20", "--workers", "2", "--json"]
    code = cli.main(words, standalone_mode=False)
    told = capsys.readouterr()
    assert [line.split()[1] for line in told.err.splitlines()] == ["lock-contention", "log-streaming"]
    (result,) = json.loads(told.out)["simulations"]
    assert (code, result["simulation"], result["target"]) == (0, "stage-ordering", "smallest")
    assert {promise["verdict"] for promise in result["promises"].values()} == {"held"}
    found = sorted(path.name for path in (tmp_path / "pgqmodel-sims").iterdir())
    assert found == ["index.html", "smallest-stage-ordering"]


def test_a_run_that_fails_leaves_the_files_of_the_run_before(tmp_path: Path) -> None:
    """A major version that is not installed is exit code 2, and page, result and history lie there as they did."""
    place = tmp_path / "pgqmodel-sims" / "reference-stage-ordering"
    place.mkdir(parents=True)
    before = {name: f"{name} of an earlier run" for name in ("history.jsonl", "page.html", "result.json")}
    for name, text in before.items():
        (place / name).write_text(text)
    assert run(*STAGES, "--pg", "17", cwd=tmp_path).code == 2
    assert {path.name: path.read_text() for path in place.iterdir()} == before


def test_one_that_fails_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first fails by a defect: one sentence, no verdict for it; the next is run; JSON and index tell of both.

    The page of the one that ran cannot be drawn: its result is there all the same.
    """

    async def fall(stage: Stage) -> None:
        message = "min() of nothing"
        raise ValueError(message)

    def draw(result: Result) -> str:
        message = "no room for a plot"
        raise ValueError(message)

    sound = simulations()["stage-ordering"]
    some = {"broken": evolve(sound, name="broken", load=fall), "stage-ordering": sound}
    monkeypatch.setattr("pgqmodel.cli.sim.simulations", lambda: some)
    monkeypatch.setattr("pgqmodel.simulation.page.render_page", draw)
    monkeypatch.chdir(tmp_path)
    code = cli.main(["sim", "all", "--jobs", "20", "--workers", "2", "--json"], standalone_mode=False)
    told = capsys.readouterr()
    assert code == 3
    assert [each["verdict"] for each in json.loads(told.out)["simulations"]] == ["unknown", "held"]
    failure, note = told.err.splitlines()
    assert failure.startswith("pgqmodel: broken: broken ended in ValueError: min() of nothing; expected a verdict.")
    assert note.startswith("note: pgqmodel-sims/reference-stage-ordering/page.html could not be made")
    folder = tmp_path / "pgqmodel-sims"
    assert "min() of nothing" in (folder / "index.html").read_text()
    files = sorted(path.name for path in (folder / "reference-stage-ordering").iterdir())
    assert files == ["history.jsonl", "result.json"]


def test_simulations_are_listed(tmp_path: Path) -> None:
    """Every name with what it shows; no server is started for that."""
    ended = run("sim", "--list", cwd=tmp_path)
    assert ended.code == 0
    assert [line for line in ended.out.splitlines() if not line.startswith(" ")] == list(simulations())


# -- however it ends ---------------------------------------------------------------------------------------------------


def histories(place: Place) -> list[Path]:
    """The workers' histories that there are."""
    return sorted(place.root.glob("pgqmodel-*/socket/clients/w*-1.jsonl"))


def in_the_middle(place: Place) -> bool:
    """Whether every job of the simulation writes lines: its server, service, subscribers and workers are there."""
    found = histories(place)
    return len(found) == 7 and all(b'"operation": "log"' in path.read_bytes() for path in found[:2])


def stop_a_worker(place: Place) -> None:
    """Stop a worker's process as the nemesis does; only what kills it gets through to it."""
    first = next(event for event in read_client_history(histories(place)[0]) if isinstance(event, Connected))
    os.kill(int(first.client.removesuffix("-heart").rpartition(".")[2]), signal.SIGSTOP)


@pytest.mark.parametrize(
    ("how", "group", "code"),
    [
        (signal.SIGTERM, False, 143),
        (signal.SIGINT, False, 130),
        (signal.SIGINT, True, 130),
        (signal.SIGKILL, False, -9),
        (signal.SIGHUP, False, 129),
        (signal.SIGHUP, True, 129),
    ],
    ids=["SIGTERM", "SIGINT", "Ctrl-C", "SIGKILL", "SIGHUP", "closed terminal"],
)
def test_a_signal_in_the_middle_leaves_nothing(place: Place, how: signal.Signals, group: bool, code: int) -> None:
    """Server, service, subscribers and workers, a stopped one among them, are gone with it; so are the directories.

    Nothing is on standard output, and no traceback is shown.
    """
    program = place.start(*STREAMS, "--json")
    place.wait_until(lambda: in_the_middle(place), "jobs write lines", program)
    stop_a_worker(place)
    assert place.end(program, how, group=group) == (code, "")


def test_a_signal_while_it_opens_leaves_nothing(place: Place) -> None:
    """A simulation that is ended before its stage is open leaves as little as one that ran."""
    program = place.start(*STREAMS)
    place.wait_until(lambda: bool(place.left()), "a server begins", program)
    assert place.end(program, signal.SIGTERM)[0] == 143
