"""What the tests of the queue as a system share: a server in real time, and the queue on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgqmodel.server import Cluster
from working import Side, prepared


@pytest.fixture(scope="session")
def real_server(major: int) -> Iterator[Cluster]:
    """A server whose clock goes on by itself."""
    with Cluster(major, clock=False) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def database(real_server: Cluster) -> Iterator[Side]:
    """One database for all tests of a module."""
    with prepared(real_server, "queue") as side:
        yield side


@pytest.fixture
def side(database: Side) -> Side:
    """The queue, empty."""
    database.sql("TRUNCATE job_queue, job_logs, environments")
    return database
