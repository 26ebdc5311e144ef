"""The folder that people copy: every statement is there by its name, has a comment, and is run exactly as it stands."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from pgqmodel.operations import OPERATIONS
from pgqmodel.reference import reference
from pgqmodel.reference.statements import EXTRAS, STATEMENTS

FOLDER = files("pgqmodel.reference")


def test_every_operation_has_one_statement() -> None:
    """operations.sql has every operation once and nothing else; extras.sql has what the client uses."""
    assert sorted(STATEMENTS) == sorted(OPERATIONS)
    assert list(EXTRAS) == list(reference().extras) == ["create_run", "log_lines", "due"]


@pytest.mark.parametrize("name", ["operations.sql", "extras.sql"])
def test_a_file_of_statements_runs_as_it_is_read(name: str) -> None:
    """Each statement has a comment above it, ends in a semicolon, and is run without either."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    found = STATEMENTS if name == "operations.sql" else EXTRAS
    assert len(re.findall(r"^-- name: \w+\n-- \w", text, re.MULTILINE)) == text.count(";\n") == len(found)
    for sql in found.values():
        assert f"\n{sql.strip()};\n" in text
        assert ";" not in sql
        assert "--" not in sql


def test_the_readme_names_every_file() -> None:
    """Who opens the folder finds each of its files explained, and each operation named."""
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    there = {path.name for path in FOLDER.iterdir() if path.name not in {"__init__.py", "__pycache__", "README.md"}}
    assert {name for name in there if f"`{name}`" not in readme} == set()
    assert [name for name in OPERATIONS if not re.search(rf"\b{name}\b", readme)] == []
