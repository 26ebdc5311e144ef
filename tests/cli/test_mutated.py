"""Edited and damaged histories and target files: each is refused with a sentence or judged; nothing else is raised."""

from __future__ import annotations

import contextlib
import copy
import json
import random
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.histories import history
from cli.commands import run
from cli.test_verify import example
from pgqmodel.cli.verify import verify
from pgqmodel.errors import PgqmodelError, TargetError
from pgqmodel.history import render
from pgqmodel.target import load
from report.examples import EXAMPLES
from report.test_damaged import mutate

MUTATIONS = 150
TEMPLATE = files("pgqmodel.target.template")
TARGET = (TEMPLATE / "jobs.toml").read_text(encoding="utf-8")
WITHOUT_COMMITS = "\n".join(
    line for line in example().splitlines() if '"committed"' not in line and '"observed"' not in line
)
HISTORIES = {
    "documented": example() + example(1),
    "without commits": WITHOUT_COMMITS,
    "made up": render(list(history(120, seed=2))),
    **{name: render(trace.history) for name, trace in EXAMPLES.items()},
}


def judge(path: Path, data: bytes, *options: str) -> None:
    """Run `verify` in this process: an exception that is not ours comes through."""
    path.write_bytes(data)
    with contextlib.suppress(PgqmodelError):
        CliRunner().invoke(verify, [str(path), *options], catch_exceptions=False, standalone_mode=False)


@pytest.mark.parametrize("name", HISTORIES)
def test_a_mutated_history_is_refused_or_judged(name: str, tmp_path: Path) -> None:
    """Whatever is changed in a history, `verify` gives a verdict or refuses it with a sentence of ours."""
    text = HISTORIES[name]
    records = [json.loads(line) for line in text.splitlines()]
    for seed in range(MUTATIONS):
        chance = random.Random(seed)
        mutated = copy.deepcopy(records)
        for _ in range(chance.choice([1, 1, 2, 4])):
            mutate(mutated, chance)
        judge(tmp_path / "history.jsonl", "\n".join(map(json.dumps, mutated)).encode(), *["--json"] * (seed % 2))
        judge(tmp_path / "history.jsonl", text.encode()[: chance.randrange(len(text))])


def _first(history: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(history.splitlines()[0])
    return found


def _judged_by(**promises: Any) -> str:
    header = _first(example())
    return "\n".join([json.dumps(header | {"promises": promises}), *example().splitlines()[1:]])


IMPOSSIBLE = {
    "an order by no name": (_judged_by(**{"claim-order": [[{}, "asc"]]}), "claim-order is"),
    "an order in no direction": (_judged_by(**{"claim-order": [["id", {}]]}), "claim-order is"),
    "a limit of no name": (_judged_by(**{"live-limit": {"column": [], "limit": 1}}), "live-limit is"),
    "a limit that is a text": (_judged_by(**{"live-limit": {"column": "id", "limit": "1"}}), "live-limit is"),
    "a commit of no number": (example().replace('"by": [1]', '"by": [{}]'), "it is by call {}, which never began"),
    "half a character": (example().replace("p1", "\\ud800"), "it has half a character"),
}


@pytest.mark.parametrize(("text", "said"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_mutations_found_is_refused_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    """Exit code 2, the line, what was found and what was expected."""
    (tmp_path / "history.jsonl").write_text(text)
    ended = run("verify", "history.jsonl", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, ""), ended
    assert said in ended.err
    assert "line " in ended.err
    assert "expected" in ended.err


def test_a_job_may_move_to_another_stage(tmp_path: Path) -> None:
    """A job whose stage is another than before is counted there, and what waited for it is judged on."""
    stages = [example().replace('"priority": 5, "order"', '"run": "r", "stage": 1, "order"').splitlines()]
    moved = [line.replace('"stage": 1', '"stage": 2') if '"step": 12' in line else line for line in stages[0]]
    (tmp_path / "history.jsonl").write_text("\n".join(moved))
    assert run("verify", "history.jsonl", cwd=tmp_path).code == 0


def _toml(value: Any) -> str:
    """A JSON value as TOML writes it within a line; None has no form there."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float) and not value.is_integer():
        return str(value)
    return json.dumps(value).replace("null", "nil")


def test_a_mutated_target_is_refused_or_read(tmp_path: Path) -> None:
    """Whatever is changed in a target file, loading it gives a target or a sentence of ours that names the file."""
    (tmp_path / "schema.sql").write_text("SELECT 1", encoding="utf-8")
    path = tmp_path / "jobs.toml"
    read = 0
    for seed in range(2 * MUTATIONS):
        chance = random.Random(seed)
        document = [tomllib.loads(TARGET)]
        for _ in range(chance.choice([1, 1, 2])):
            mutate(document[0], chance)
        text = "\n".join(f"{json.dumps(key)} = {_toml(value)}" for key, value in document[0].items())
        for data in (text.encode("utf-8", "surrogatepass"), TARGET.encode()[: chance.randrange(len(TARGET))]):
            path.write_bytes(data)
            try:
                load(str(path))
                read += 1
            except TargetError as error:
                assert str(path) in str(error)
    assert read > MUTATIONS / 10


@pytest.mark.parametrize("seed", range(3))
def test_check_refuses_a_mutated_target(seed: int, tmp_path: Path) -> None:
    """The command ends with code 2 and one sentence before any server is started."""
    (tmp_path / "schema.sql").write_text("SELECT 1", encoding="utf-8")
    text = TARGET[: random.Random(seed).randrange(len(TARGET) // 2)]
    (tmp_path / "jobs.toml").write_text(text, encoding="utf-8")
    ended = run("check", "jobs.toml", "--seconds", "1", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, ""), ended
    assert "jobs.toml" in ended.err
    assert "Traceback" not in ended.err
