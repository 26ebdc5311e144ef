"""Wrong calls and wrong targets: exit code 2, one sentence on standard error, nothing on standard output or on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands import run

WRONG = [
    (("check",), "Missing argument 'TARGET'"),
    (("check", "nobody"), "there is no target 'nobody'; expected"),
    (("check", "gone.toml"), "there is no such file"),
    (("check", "no.such:thing"), "cannot be imported"),
    (("check", "schema.sql"), "there is no target 'schema.sql'; expected"),
    (("check", "reference", "--seconds", "1", "--examples", "1"), "both --seconds and --examples were given"),
    (("check", "reference", "--seconds", "0"), "--seconds"),
    (("check", "reference", "--seconds", "-1"), "-1"),
    (("check", "reference", "--seed", "-1"), "--seed"),
    (("check", "reference", "--workers", "0"), "--workers"),
    (("check", "reference", "--producers", "5"), "--producers"),
    (("check", "reference", "--maintenance", "0"), "--maintenance"),
    (("check", "reference", "--faults", "fire"), "'fire'; expected a list of cut, crash, stall, twin, restart"),
    (("check", "reference", "--faults", "none,cut"), "expected a list of"),
    (("check", "reference", "--pg", "9"), "carries 18 and 16"),
    (("check", "reference", "--pg", "elephant"), "--pg got 'elephant'; expected 18, 16, or a URL"),
    (("check", "reference", "--pg", "postgresql://nobody:secret@127.0.0.1:1/x"), "cannot be reached"),
    (("replay", "gone.json"), "gone.json cannot be read"),
    (("report", "gone.json", "--format", "text"), "gone.json cannot be read"),
    (("report", "gone.json"), "gone.json cannot be read"),
    (("report", "gone.json", "--format", "pdf"), "pdf"),
    (("report", "gone.json", "--format", "html"), "'html' is not one of 'text', 'markdown', 'spec'"),
    (("verify", "history.jsonl"), "history.jsonl cannot be read"),
    (("sim", "nothing"), "there is no simulation 'nothing'"),
    (("nonsense",), "No such command"),
    (("chekc",), "Did you mean 'check'?"),
    (("check", "refrence"), "Did you mean 'reference'?"),
    (("sim", "lock-contenton"), "Did you mean 'lock-contention'?"),
    (("init",), "Missing argument 'DIRECTORY'"),
    (("init", "--style", "staus-column"), "expected one of advisory-lock, batch, "),
    (("init", "--style", "staus-column", "jobs.toml"), "Did you mean 'status-column'?"),
]
MISTAKES = [
    ("exclusive-claim = true", "exclusive-clam = true", "exclusive-clam"),
    ("[operations.cancel]", "[operations.stop]", "stop"),
    ("attempts = attempts + 1", "attempts = attempts +", "syntax error"),
    ("%(worker)s", "%(wirker)s", "wirker"),
    ('setup = ["schema.sql"]', 'setup = ["scheme.sql"]', "scheme.sql"),
    ("name =", "name", "it is not TOML"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_a_wrong_call_is_told_so(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """Whatever is wrong with a call, it says so on standard error, without a password, and writes nothing."""
    ended = run(*words, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, ""), ended
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert "secret" not in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("before", "after", "said"), MISTAKES, ids=[after for _, after, _ in MISTAKES])
def test_a_wrong_target_is_told_so(tmp_path: Path, before: str, after: str, said: str) -> None:
    """A target file that cannot be understood is refused with a sentence that names the file and what is wrong."""
    run("init", "demo", cwd=tmp_path)
    target = tmp_path / "demo" / "jobs.toml"
    text = target.read_text()
    assert before in text
    target.write_text(text.replace(before, after))
    ended = run("check", "demo/jobs.toml", "--examples", 1, "--processes", 1, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, ""), ended
    assert "demo/jobs.toml" in ended.err
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_every_command_explains_itself(tmp_path: Path) -> None:
    """Help goes to standard output, for the program and for each of its commands."""
    for words in ((), ("check",), ("replay",), ("report",), ("verify",), ("sim",), ("targets",), ("init",)):
        ended = run(*words, "--help", cwd=tmp_path)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.startswith("Usage: pgqmodel")
