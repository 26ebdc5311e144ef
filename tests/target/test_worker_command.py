"""The program that a target file names for its workers: what it may say, and what it is told if that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgqmodel.body import body_of, is_body
from pgqmodel.errors import TargetError
from pgqmodel.target import Target, load

FILE = """
name = "q"
setup_sql = "CREATE TABLE jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, status text, until timestamptz)"
[worker]
{worker}
[promises]
{promises}
[observe]
jobs = "SELECT id AS job, status AS state{until} FROM jobs"
[observe.states]
pending = ["queued"]
running = ["running"]
completed = ["done"]
[operations.enqueue]
statements = ["INSERT INTO jobs (status) VALUES ('queued') RETURNING id AS job"]
{more}
"""
PROGRAM = 'command = ["python3", "worker.py"]'


def read(
    directory: Path, worker: str, *, promises: str = "no-lost-job = true", until: str = "", more: str = ""
) -> Target:
    """The target in a file with this worker."""
    file = directory / "jobs.toml"
    file.write_text(FILE.format(worker=worker, promises=promises, until=until, more=more))
    return load(str(file))


def test_a_program_needs_no_operations_of_a_worker(tmp_path: Path) -> None:
    """The file has an enqueue, and says how the program is started."""
    target = read(tmp_path, PROGRAM + '\ncount = 3\nenvironment = {MODE = "x"}\npreload = ["json"]')
    assert target.command is not None
    assert (target.command.words, target.workers, target.command.preload) == (("python3", "worker.py"), 3, ("json",))
    assert (dict(target.command.environment), target.command.directory) == ({"MODE": "x"}, str(tmp_path.resolve()))


def test_the_fingerprint_is_of_the_program_too(tmp_path: Path) -> None:
    """A trace that was recorded with another worker.py is told so."""
    before = read(tmp_path, PROGRAM).fingerprint
    (tmp_path / "worker.py").write_text("pass")
    with_file = read(tmp_path, PROGRAM).fingerprint
    (tmp_path / "worker.py").write_text("import time")
    assert len({before, with_file, read(tmp_path, PROGRAM).fingerprint}) == 3


@pytest.mark.parametrize(
    ("worker", "said"),
    [
        ("command = []", r"worker\.command: found an empty list"),
        ('command = "python3 worker.py"', r"worker\.command: found .*expected a program and its arguments"),
        ('command = ["no-such-program"]', r"worker\.command\[0\]: found .*no-such-program.*install it"),
        (PROGRAM + "\ncount = 9", r"worker\.count: found 9; expected a number of 1 to 8"),
        (PROGRAM + "\ncount = true", r"worker\.count: found True"),
        (PROGRAM + "\nmax_connections = 0", r"worker\.max_connections: found 0"),
        (PROGRAM + "\nenvironment = {A = 1}", r"worker\.environment\.A"),
        (PROGRAM + '\nunlock = "after"', r"worker.*unlock"),
        (PROGRAM + '\nready = "soon"', r"worker\.ready: found 'soon'"),
        ('command = ["sh", "run"]\npreload = ["json"]', r"worker\.preload: found the command 'sh run'"),
    ],
)
def test_a_wrong_program_is_refused_by_its_key(tmp_path: Path, worker: str, said: str) -> None:
    """Each message names the key, what was found, and what to do."""
    with pytest.raises(TargetError, match=said):
        read(tmp_path, worker)


def test_promises_about_answers_are_refused(tmp_path: Path) -> None:
    """What a program was answered is not known, so nothing is judged that speaks of it."""
    with pytest.raises(TargetError, match=r"promises\.claim-complete: found a promise about answers"):
        read(tmp_path, PROGRAM, promises="claim-complete = true")


@pytest.mark.parametrize("name", ["recovery", "fenced-heartbeat"])
def test_some_promises_need_the_end_of_each_lease(tmp_path: Path, name: str) -> None:
    """A heartbeat that the rows do not show cannot be seen, so a silent holder could not be told from a living one."""
    with pytest.raises(TargetError, match=rf"promises\.{name}: found no column lease_until"):
        read(tmp_path, PROGRAM, promises=f"{name} = true")
    assert read(tmp_path, PROGRAM, promises=f"{name} = true", until=", until AS lease_until").command is not None


def test_a_worker_cannot_be_both(tmp_path: Path) -> None:
    """Statements of a worker beside its program would never run."""
    claim = '[operations.claim]\nstatements = ["SELECT 1"]'
    with pytest.raises(TargetError, match=r"operations\.claim: found an operation of a worker"):
        read(tmp_path, PROGRAM, more=claim)


@pytest.mark.parametrize(
    ("sql", "parameters", "job"),
    [
        ("SELECT pgqmodel.work($1)", ("7",), "7"),
        ("select  PGQMODEL.work ( $2 , 'saw')", ("x", 8), "8"),
        ("SELECT pgqmodel.work('it''s')", (), "it's"),
        ("SELECT pgqmodel.work(12)", (), "12"),
        ("SELECT pgqmodel.work($3)", ("7",), None),
        ("SELECT work($1) FROM pgqmodel", ("7",), None),
    ],
)
def test_the_body_of_a_job_is_one_statement(sql: str, parameters: tuple[object, ...], job: str | None) -> None:
    """The identifier is a parameter, a text or a number."""
    assert body_of(sql, parameters) == job
    assert is_body(sql) or job is None
