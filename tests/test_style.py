"""Style that a linter does not see: sizes, docstrings, names, and what may not stand in a file."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
CLASS_LINES_MAX = 250
BANNED_NAMES = {"utils.py", "helpers.py", "misc.py", "common.py"}
BANNED_TEXT = {
    r"/root/|/tmp/w\b|/home/\w": "a path of some machine",
    r"\bTODO\b|\bFIXME\b|\bXXX\b": "an unfinished thing",
    "[\U0001f300-\U0001faff]": "an emoji",
}


def tracked(*patterns: str) -> list[Path]:
    """The files that git tracks or would track, by pattern."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


SOURCES = tracked("*.py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_can_be_read(path: Path) -> None:
    """Files, classes and functions stay short, say what they are, and bear a name that means something."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert path.name not in BANNED_NAMES
    assert len(text.splitlines()) <= FILE_LINES_MAX
    assert not text.strip() or ast.get_docstring(tree), "a module says what it owns"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and path.is_relative_to(ROOT / "pgqmodel"):
            assert (node.end_lineno or 0) - node.lineno < CLASS_LINES_MAX, node.name
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES_MAX, node.name
            if node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{node.name} states the promise it keeps"


@pytest.mark.parametrize(
    "path", tracked("*.py", "*.md", "*.toml", "*.sql"), ids=lambda path: str(path.relative_to(ROOT))
)
def test_nothing_stands_there_that_should_not(path: Path) -> None:
    """No machine's paths, no unfinished things, no emoji."""
    if path == Path(__file__):
        return
    text = path.read_text(encoding="utf-8")
    for pattern, what in BANNED_TEXT.items():
        assert not re.search(pattern, text), what
