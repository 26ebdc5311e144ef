"""One word, one thing: no two public classes, and no two files, have the same name."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("pgqmodel", "sims", "statemachines")


def sources() -> list[Path]:
    """Every Python file of the package."""
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def repeated(names: list[str]) -> set[str]:
    """The names that occur more than once."""
    return {name for name, count in Counter(names).items() if count > 1}


def public_classes(tree: ast.Module) -> list[str]:
    """The names of a module's classes, without those that begin with an underscore."""
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]


def test_a_public_class_name_is_used_once() -> None:
    """Who reads a class name knows which class is meant, whatever file it stands in."""
    found = [name for path in sources() for name in public_classes(ast.parse(path.read_text(encoding="utf-8")))]
    assert repeated(found) == set()


def test_a_file_name_is_used_once() -> None:
    """Who hears of a file knows which one; `__init__.py` belongs to its folder."""
    found = [path.name for path in sources() if path.name not in {"__init__.py", "__main__.py"}]
    assert repeated(found) == set()
