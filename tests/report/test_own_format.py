"""A report format of one's own is one file: added by its public name, offered by the command, and used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from pgqmodel.cli.report import report
from pgqmodel.report import FORMATS, Format
from report.examples import EXAMPLES

SHORT = Format(
    name="short",
    says="as one line of JSON",
    render=lambda trace, page: json.dumps({"anomaly": trace.anomaly, "steps": len(trace.steps)}) + "\n",
)


@pytest.fixture
def added() -> Iterator[None]:
    """The format, known while a test runs."""
    FORMATS.add(SHORT)
    yield
    FORMATS.remove(SHORT.name)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A trace on disk."""
    path = tmp_path / "trace.json"
    path.write_text(EXAMPLES["stale-settlement"].dumps())
    return path


@pytest.mark.usefixtures("added")
def test_a_format_of_ones_own_is_used_by_its_name(trace: Path) -> None:
    """What it renders is what the command prints."""
    told = CliRunner().invoke(report, [str(trace), "--format", "short"], catch_exceptions=False)
    example = EXAMPLES["stale-settlement"]
    assert json.loads(told.output) == {"anomaly": example.anomaly, "steps": len(example.steps)}


def test_a_format_that_nobody_added_is_refused_with_those_there_are(trace: Path) -> None:
    """The command says what it found and what it would take."""
    told = CliRunner().invoke(report, [str(trace), "--format", "short"])
    assert told.exit_code == 2
    assert "'short' is not one of 'text', 'markdown', 'spec'." in told.output
