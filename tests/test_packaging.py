"""What is installed: the folders that the package lists are those there are, and everything that is declared loads."""

from __future__ import annotations

import tomllib
from importlib.metadata import entry_points, version
from importlib.resources import files
from pathlib import Path

import pytest

import pgqmodel
from pgqmodel.machine.registered import machines
from pgqmodel.target import load, names

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_folder_is_listed() -> None:
    """The explicit list of packages has every folder with Python in it, and no other."""
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "pgqmodel").rglob("__init__.py")}
    catalogues = {Path("pgqmodel") / name for name in ("statemachines", "sims") if list((ROOT / name).glob("*.py"))}
    listed = {Path(*name.split(".")) for name in PROJECT["tool"]["setuptools"]["packages"]}
    assert listed == folders | catalogues


def test_version_is_one() -> None:
    """The installed version is the one in the source."""
    assert version("pgqmodel") == pgqmodel.__version__


@pytest.mark.parametrize("group", ["pgqmodel.machines", "pgqmodel.targets", "console_scripts"])
def test_entry_points_load(group: str) -> None:
    """Every entry point that we declare gives something."""
    declared = [entry for entry in entry_points(group=group) if entry.value.startswith("pgqmodel.")]
    assert declared
    assert all(entry.load() is not None for entry in declared)


def test_the_catalogue_is_found() -> None:
    """Every file of the catalogue is one machine, found by its name."""
    there = {path.stem for path in (ROOT / "statemachines").glob("*.py")} - {"__init__"}
    assert set(machines()) >= there


@pytest.mark.parametrize("name", ["reference", "baseline"])
def test_targets_load(name: str) -> None:
    """The targets that are listed by name can be loaded, with the data files they need."""
    assert name in names()
    target = load(name)
    assert target.source == name
    assert target.setup[0].sql


@pytest.mark.parametrize(
    "file",
    [
        "clock/shim.h",
        "clock/shim_page.c",
        "reference/schema.sql",
        "reference/operations.sql",
        "reference/README.md",
        "reference/baseline.toml",
        "styles/status-column.toml",
        "py.typed",
    ],
)
def test_data_files_are_there(file: str) -> None:
    """What is no Python is packed, too."""
    assert (files("pgqmodel") / file).is_file()
