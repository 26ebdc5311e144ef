"""Whether the zoo is visited: its tests install packages from the index, so they are asked for."""

from __future__ import annotations

import pytest

__all__: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--zoo` runs the tests that install libraries."""
    parser.getgroup("zoo").addoption(
        "--zoo", action="store_true", help="install real libraries and look for their bugs"
    )
