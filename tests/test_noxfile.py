"""The jobs file as a person uses it: it explains itself, and a wrong word gets an answer."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
SESSIONS = ("tests", "model", "quick", "quality", "bench", "lint", "types", "docs", "package")


def test_every_promised_session_is_there() -> None:
    """The sessions that README and CI name exist, and each says in a line what it does."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name in SESSIONS:
        assert name in functions
        assert ast.get_docstring(functions[name])


def test_ci_runs_what_the_readme_says() -> None:
    """The README's test command stands in CI's script, word for word."""
    command = "python3 noxfile.py -s tests"
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
