"""Where a finding lies: one directory each, nothing overwritten, every file whole and of UTF-8."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest
from attrs import evolve

from pgqmodel.cli.written import Written, place_for
from report.examples import EXAMPLES

TRACE = EXAMPLES["stale-settlement"]


def test_a_new_finding_overwrites_nothing(tmp_path: Path) -> None:
    """A number is added to the directory's name, whether its parent is there or not, and all are laid out alike."""
    names = []
    for _ in range(3):
        written = Written(tmp_path / "deep" / "found")
        written.write(TRACE, shortest=True)
        names.append(written.directory.name)
        assert {path.name for path in written.directory.iterdir()} == {"trace.json", "report.md", "repro.spec"}
    assert names == ["found", "found-2", "found-3"]


NAMES = {
    "an ordinary name": ("jobs-2.fast", "jobs-2.fast"),
    "a name in another script": ("größe", "größe"),
    "an absolute path": ("/etc/jobs", "-etc-jobs"),
    "a way out": ("../../jobs", "..-..-jobs"),
    "only a way out": ("..", ".."),
    "no name": ("", ""),
    "spaces and control characters": ("my jobs\n\x1b[31m", "my-jobs-31m"),
    "half a surrogate pair": ("jobs\ud800", "jobs-"),
    "300 bytes": ("x" * 300, "x" * 150),
    "300 bytes of two each": ("y" + "é" * 150, "y" + "é" * 74),
}


@pytest.mark.parametrize(("queue", "fit"), NAMES.values(), ids=NAMES)
def test_a_queues_name_need_not_be_fit_for_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queue: str, fit: str
) -> None:
    """Whatever a queue is called, its findings are written, each in a directory of our own."""
    monkeypatch.chdir(tmp_path)
    for number in ("", "-2"):
        written = Written(place_for(queue, "stale-settlement"))
        written.write(TRACE, shortest=True)
        assert written.directory == Path("pgqmodel-findings", f"{fit}-stale-settlement{number}")
        assert written.path.is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["pgqmodel-findings"]


def test_a_report_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """A directory with other files is used, but not if one of ours would overwrite one of theirs."""
    (tmp_path / "report.md").write_text("mine")
    written = Written(tmp_path)
    written.write(TRACE, shortest=True)
    assert written.directory == tmp_path.with_name(f"{tmp_path.name}-2")
    assert (tmp_path / "report.md").read_text() == "mine"


def test_a_shorter_story_takes_the_place_of_the_longer(tmp_path: Path) -> None:
    """While one finding is shrunk it stays in its directory, and its report says whether it is the shortest."""
    written = Written(tmp_path / "found")
    written.write(evolve(TRACE, shrunk_steps=9), shortest=False)
    assert "not shortened to the end" in written.report.read_text(encoding="utf-8")
    written.write(evolve(TRACE, shrunk_steps=1), shortest=True)
    assert "shrunk to 1 step beyond" in written.report.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["found"]


def test_files_are_utf8_whatever_is_in_them(tmp_path: Path) -> None:
    """A name that is no UTF-8, as a file system may have it, and a fence in a set-up do not harm the files."""
    name = os.fsdecode(b"caf\xe9.toml")
    written = Written(tmp_path / "found")
    written.write(evolve(TRACE, target=name), shortest=True)
    written.report.read_bytes().decode("utf-8")
    assert json.loads(written.path.read_bytes())["target"] == name


def test_the_replay_command_can_be_pasted(tmp_path: Path) -> None:
    """A directory with a space in its name is one word of the command."""
    written = Written(tmp_path / "my findings")
    written.write(TRACE, shortest=True)
    assert shlex.split(written.replay) == ["pgqmodel", "replay", str(written.path)]
