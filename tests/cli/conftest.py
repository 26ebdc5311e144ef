"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.place import Place


@pytest.fixture
def place() -> Iterator[Place]:
    """A directory to run the program in, and to look at what it leaves."""
    with Place.made() as place:
        yield place
