"""What a terminal gets: colour where one can see it and nobody objects, and tables as wide as COLUMNS says."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import click
import pytest

from cli.commands import PROGRAM
from pgqmodel.cli.terminal import color_wanted, painted, terminal_width
from report.examples import EXAMPLES

ESCAPE = "\x1b["
PLAIN = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"}}


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A trace with a verdict in it."""
    path = tmp_path / "trace.json"
    path.write_text(EXAMPLES["stale-settlement"].dumps())
    return path


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, None),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, None),
        ({"TERM": "dumb"}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "0"}, None),
        ({"CLICOLOR_FORCE": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
    ids=str,
)
def test_who_decides_about_colour(environment: dict[str, str], wanted: bool | None) -> None:
    """NO_COLOR goes before all, then a dumb terminal, then what forces it; else the stream itself decides."""
    assert color_wanted(environment) is wanted


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("baseline: broken on Postgres 18.4, seed 1", "broken"),
        ("reference: held on Postgres 18.4, seed 1", "held"),
        ("  not exercised   stage-order     0        0", "not exercised"),
        ("Yet B's fail changed J1.", "Yet B's fail changed J1."),
    ],
)
def test_a_verdict_stands_out_and_no_word_changes(line: str, word: str) -> None:
    """Colour is laid over the one word that counts; without it the text is what it was."""
    shown = painted(line)
    assert f"m{word}{ESCAPE}0m" in shown
    assert click.unstyle(shown) == line


def test_plain_words_stay_plain() -> None:
    """What is no verdict is not painted."""
    assert painted("step  P         A\n") == "step  P         A\n"


def seen_on_a_terminal(path: Path, **environment: str) -> str:
    """What `pgqmodel report` prints where standard output is a terminal."""
    master, slave = pty.openpty()
    done = subprocess.Popen([PROGRAM, "report", path], stdout=slave, stderr=slave, env=PLAIN | environment)
    os.close(slave)
    pieces = []
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # so Linux says that nobody has the other end any more
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(master)
    assert done.wait() == 0
    return b"".join(pieces).decode()


def test_a_terminal_is_painted_on_and_a_pipe_is_not(trace: Path) -> None:
    """The same command: colour on a terminal, none there by NO_COLOR, none in a pipe, and some in a pipe by force."""
    assert ESCAPE in seen_on_a_terminal(trace, TERM="xterm")
    assert ESCAPE not in seen_on_a_terminal(trace, TERM="xterm", NO_COLOR="1")
    for more, painted_on in ({}, False), ({"FORCE_COLOR": "1"}, True):
        piped = subprocess.run([PROGRAM, "report", trace], env=PLAIN | more, capture_output=True, text=True, check=True)
        assert (ESCAPE in piped.stdout) is painted_on


def test_columns_say_how_wide_a_table_may_be(monkeypatch: pytest.MonkeyPatch, trace: Path) -> None:
    """COLUMNS counts, in a pipe too; no line of a narrow table is wider than it."""
    monkeypatch.setenv("COLUMNS", "80")
    assert terminal_width() == 80
    told = [
        subprocess.run(
            [PROGRAM, "report", trace], env=PLAIN | {"COLUMNS": wide}, capture_output=True, text=True, check=True
        )
        for wide in ("80", "160")
    ]
    narrow, wide = (max(len(line) for line in each.stdout.splitlines()) for each in told)
    assert narrow <= 80 < wide
