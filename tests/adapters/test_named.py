"""Names of libraries and versions: what is understood, what is refused, and what a target is made of. No network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pgqmodel.adapters import adapt, environments, libraries, named
from pgqmodel.errors import TargetError
from pgqmodel.target import load
from pgqmodel.target import names as targets

PRINTS = "import sys; sys.stdout.write('CREATE TABLE jobs ();')"


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and a pip that installs nothing and succeeds."""
    monkeypatch.setattr(named, "cache_directory", lambda: tmp_path)
    monkeypatch.setattr(environments, "_run", lambda words, asked, needed: "")
    return tmp_path / "adapters"


@pytest.fixture
def printing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The worker scripts print a schema without their libraries."""
    script = tmp_path / "worker.py"
    script.write_text(f'# /// script\n# dependencies = ["procrastinate>=3.0"]\n# ///\n{PRINTS}\n')
    monkeypatch.setattr(named.Library, "worker", property(lambda library: script))


@pytest.mark.parametrize(
    ("name", "library", "version"),
    [
        ("procrastinate", "procrastinate", None),
        ("procrastinate==3.2.2", "procrastinate", "3.2.2"),
        ("pgqueuer==1.0.0rc1", "pgqueuer", "1.0.0rc1"),
    ],
)
def test_a_library_and_a_version_are_understood(name: str, library: str, version: str | None) -> None:
    """A library alone means its newest version."""
    found = named.named(name)
    assert found is not None
    assert (found.name, found.version) == (library, version)


@pytest.mark.parametrize("name", ["jobs", "package.module:object", "a/b==c.toml", "reference"])
def test_other_names_are_left_to_others(name: str) -> None:
    """What does not look like a library and a version is some other kind of target."""
    assert named.named(name) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "procrastinat==3.2.2",
            "there is no adapter for 'procrastinat'; expected one of .* Did you mean 'procrastinate'",
        ),
        ("procrastinate>=3", "names no version; expected procrastinate==VERSION, or procrastinate for the newest"),
        ("procrastinate==", "names no version; expected procrastinate==VERSION"),
        ("procrastinate==../3", "there is no target"),
    ],
)
def test_a_name_that_is_wrong_is_refused(name: str, says: str) -> None:
    """The message says what there is instead."""
    with pytest.raises(TargetError, match=says):
        load(name)


def test_adapters_are_listed() -> None:
    """`pgqmodel targets` names them, and nothing of them is loaded for that."""
    assert {"pgqueuer", "procrastinate"} <= set(targets())
    assert "adapter for procrastinate: " in targets()["procrastinate"]


@pytest.mark.parametrize("name", libraries())
def test_an_adapter_is_two_short_files(name: str) -> None:
    """A target file and a worker script, which says as PEP 723 has it what it needs."""
    library = named.Library(name=name)
    lines = [line for file in (library.target, library.worker) for line in file.read_text().splitlines()]
    assert len([line for line in lines if line.strip()]) <= 80
    assert library.needed[0].startswith(f"{name}>=")


def test_a_target_is_made_once_and_is_plain(shelf: Path, printing: None) -> None:
    """The second load finds the files of the first: a target file, its worker, and the schema that was printed."""
    made = adapt("procrastinate==3.2.2")
    assert made is not None
    assert (made.source, made.file.name) == ("procrastinate==3.2.2", "procrastinate.toml")
    assert made.file.with_name("schema.sql").read_text().endswith("CREATE TABLE jobs ();")
    before = made.file.stat().st_mtime_ns
    assert adapt("procrastinate==3.2.2") == made
    assert made.file.stat().st_mtime_ns == before
    target = load("procrastinate==3.2.2")
    assert (target.source, target.name) == (made.source, "procrastinate-3.2.2")


def test_a_failed_installation_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, shelf: Path, printing: None, tmp_path: Path
) -> None:
    """An environment is there whole or not at all, and the message has the reason that pip gives."""
    monkeypatch.undo()
    monkeypatch.setattr(named, "cache_directory", lambda: tmp_path)
    said = "ERROR: No matching distribution found for procrastinate==99"
    failed = subprocess.CompletedProcess([], 1, "", said)
    monkeypatch.setattr(environments.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(TargetError, match=r"procrastinate==99: pip cannot install it: No matching distribution"):
        adapt("procrastinate==99")
    assert [path.name for path in shelf.iterdir()] == ["procrastinate.lock"]


def test_a_schema_that_is_not_printed_is_told(monkeypatch: pytest.MonkeyPatch, shelf: Path) -> None:
    """A version whose worker script fails makes no target; the message has what the script said."""
    with pytest.raises(TargetError, match=r"(?s)procrastinate==3\.2\.2: it does not print its schema.*No module named"):
        adapt("procrastinate==3.2.2")
    made = [path.name for place in shelf.iterdir() if place.is_dir() for path in place.iterdir()]
    assert not [name for name in made if name.startswith(("target-", "unfinished-"))]


def test_of_many_versions_the_last_are_named() -> None:
    """There may be a hundred versions; a message names the last ones."""
    versions = ", ".join(f"1.{number}" for number in range(90))
    reason = environments._reason(f"ERROR: Could not find a version (from versions: {versions})")
    assert reason == "Could not find a version (from versions: .., 1.82, 1.83, 1.84, 1.85, 1.86, 1.87, 1.88, 1.89)"


def test_nothing_is_loaded_before_it_is_named() -> None:
    """A target of another kind is loaded without the packages of adapters."""
    script = (
        "import sys, pgqmodel.target; print([name for name in sys.modules if name in ('venv', 'pip', 'procrastinate')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
