"""How long and from how many seeds the finding power is tested: whole in `nox -s quality`, bounded everywhere else."""

from __future__ import annotations

import pytest

__all__: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--seeds 3 --seconds 60` is the whole of it; `--steps 200000` is for a night."""
    group = parser.getgroup("quality")
    group.addoption("--seeds", type=int, default=1, help="from how many seeds each seeded bug is looked for")
    group.addoption("--seconds", type=float, default=6.0, help="for how long each sound queue is explored")
    group.addoption("--steps", type=int, default=0, help="explore each sound queue, seed by seed, up to so many steps")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with a `seed` runs once for each of them."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(1, metafunc.config.getoption("--seeds", 1) + 1))


@pytest.fixture
def seconds(pytestconfig: pytest.Config) -> float:
    """For how long a sound queue is explored."""
    return float(pytestconfig.getoption("--seconds", 6.0))


@pytest.fixture
def steps(pytestconfig: pytest.Config) -> int:
    """How many steps a sound queue must stand at least."""
    return int(pytestconfig.getoption("--steps", 0))


@pytest.fixture
def whole(pytestconfig: pytest.Config) -> bool:
    """Whether everything is to be looked for, from several seeds."""
    return int(pytestconfig.getoption("--seeds", 1)) > 1
