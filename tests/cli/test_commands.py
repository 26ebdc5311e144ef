"""The list of commands: shown, completed and corrected without importing a single one of them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from cli.commands import PROGRAM, run
from pgqmodel import __version__
from pgqmodel.cli.main import COMMANDS, cli

LISTING = "import sys; from pgqmodel.cli.main import cli; {call}; print(*sys.modules, file=sys.stderr)"
CALLS = {
    "help": "cli.main(['--help'], standalone_mode=False)",
    "version": "cli.main(['--version'], standalone_mode=False)",
    "completion": "import click; print(*cli.shell_complete(click.Context(cli), 're'))",
}


@pytest.mark.parametrize("call", CALLS)
def test_the_list_imports_no_command(call: str) -> None:
    """Help, version and the completion of a command's name load neither a command nor a library but click."""
    script = LISTING.format(call=CALLS[call])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = done.stderr.split()
    ours = {name for name in loaded if name.startswith("pgqmodel.")}
    assert done.stdout
    assert ours <= {"pgqmodel.cli", "pgqmodel.cli.main", "pgqmodel.cli.terminal", "pgqmodel.errors", "pgqmodel.phrases"}
    assert not {"attrs", "trio", "psycopg", "hypothesis", "rich", "networkx", "httpx"} & {*loaded}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_what_the_table_says(name: str) -> None:
    """The module has a command of that name, whose own help tells of the same action."""
    command = cli.get_command(click.Context(cli), name)
    module, says = COMMANDS[name]
    assert command is getattr(import_module(f"pgqmodel.cli.{module}"), name)
    assert command.name == name
    own = command.get_short_help_str(limit=200)
    assert own.split()[0] == says.split()[0]


def test_every_command_is_in_the_table() -> None:
    """No module of the command line has a command that the program does not offer."""
    folder = Path(str(import_module("pgqmodel.cli").__file__)).parent
    modules = [import_module(f"pgqmodel.cli.{path.stem}") for path in folder.glob("*.py") if path.stem != "__init__"]
    found = {thing.name for module in modules for thing in vars(module).values() if isinstance(thing, click.Command)}
    assert found == {*COMMANDS, "cli"}


def test_the_list_answers_as_before(tmp_path: Path) -> None:
    """Every command with its line in the help; the version; a misspelt command with the one that was meant."""
    listed = run("--help", cwd=tmp_path).out
    assert [name for name, (_, says) in COMMANDS.items() if f"  {name:<7}  {says}\n" not in listed] == []
    assert run("--version", cwd=tmp_path).out == f"pgqmodel, version {__version__}\n"
    ended = run("chekc", cwd=tmp_path)
    assert ended.code == 2
    assert "No such command 'chekc'. Did you mean 'check'?" in " ".join(ended.err.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pgqmodel re", "report"),
        ("pgqmodel check ref", "reference"),
        ("pgqmodel sim heartbeat-reclaim-v", "heartbeat-reclaim-virtual"),
        ("pgqmodel sim al", "all"),
        ("pgqmodel init --style out", "outbox"),
    ],
)
def test_tab_completes(tmp_path: Path, words: str, expected: str) -> None:
    """The shell is offered the commands that begin so, and, behind a command, its own words."""
    asked = {"_PGQMODEL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run([PROGRAM], cwd=tmp_path, env=os.environ | asked, capture_output=True, text=True, check=False)
    assert f"plain,{expected}" in done.stdout.splitlines()
    assert done.stderr == ""


def test_tab_completes_the_traces_that_lie_here(tmp_path: Path) -> None:
    """Behind `replay` the findings are offered that `check` has written here."""
    finding = tmp_path / "pgqmodel-findings" / "jobs-double-claim"
    finding.mkdir(parents=True)
    (finding / "trace.json").touch()
    test_tab_completes(tmp_path, "pgqmodel replay pgq", "pgqmodel-findings/jobs-double-claim/trace.json")


def test_the_module_is_the_program(tmp_path: Path) -> None:
    """`python -m pgqmodel` is what `pgqmodel` is, and calls itself so."""
    command = [sys.executable, "-m", "pgqmodel"]
    done = subprocess.run([*command, "targets"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == run("targets", cwd=tmp_path).out
    wrong = subprocess.run([*command, "chek"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (wrong.returncode, "Did you mean 'check'?" in wrong.stderr) == (2, True)
