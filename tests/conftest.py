"""What all tests share: which Postgres they run on, and one server for those that do not break it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from pgqmodel.server import Cluster
from working import Side, prepared


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--pg 16` runs the tests on the other Postgres."""
    parser.addoption("--pg", type=int, default=18, choices=[16, 18], help="the major version of Postgres to test on")
    parser.addoption(
        "--interrupts", type=int, default=1, help="at how many moments a shrinking is interrupted, up to 30"
    )
    parser.addoption("--scales", default="", help="the scales of tests/sims/test_scales.py, such as 0.01,1")
    parser.addoption("--runs", type=int, default=1, help="how often tests/cli/test_another_port.py does everything")


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would every program that a test starts and ends by it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def major(pytestconfig: pytest.Config) -> int:
    """The major version of Postgres to test on."""
    return int(pytestconfig.getoption("--pg"))


@pytest.fixture(scope="session")
def runs(pytestconfig: pytest.Config) -> int:
    """How often, each time from another seed, what may go wrong seldom is done."""
    return int(pytestconfig.getoption("--runs"))


@pytest.fixture(scope="session")
def server(major: int) -> Iterator[Cluster]:
    """One embedded server for every test that leaves it as it was."""
    with Cluster(major) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def real_server(major: int) -> Iterator[Cluster]:
    """A server whose clock goes on by itself, for the queue as a system: its SQL, its clients, its service."""
    with Cluster(major, clock=False) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def database(real_server: Cluster) -> Iterator[Side]:
    """One database with the reference queue for all tests of a module."""
    with prepared(real_server, "queue") as side:
        yield side


@pytest.fixture
def side(database: Side) -> Side:
    """The reference queue, empty."""
    database.sql("TRUNCATE job_queue, job_logs, environments")
    return database
