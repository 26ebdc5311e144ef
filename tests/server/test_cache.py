"""What is kept between runs: healed when damaged, shared by parallel runs, and only where it is safe."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pgqmodel.server import installation
from pgqmodel.server.binaries import cache_directory
from pgqmodel.server.cache import copy_data


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of its own, that the server's user can enter; pytest's folders are for nobody else."""
    with TemporaryDirectory(prefix="cache-") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("PGQMODEL_CACHE", folder)
        cache_directory.cache_clear()
        yield Path(folder)
        cache_directory.cache_clear()


def test_a_damaged_data_directory_is_made_again(cache: Path, major: int, tmp_path: Path) -> None:
    """A file that lost its end, or is gone, does not reach a server."""
    copy_data(installation(major), tmp_path / "first")
    (template,) = cache.glob("initialised-*")
    (template / "data" / "global" / "pg_control").write_bytes(b"")
    (template / "data" / "postgresql.conf").unlink()
    copy_data(installation(major), tmp_path / "second")
    for name in ("global/pg_control", "postgresql.conf"):
        assert (tmp_path / "second" / name).stat().st_size == (tmp_path / "first" / name).stat().st_size > 0
    assert list(cache.glob("initialised-*")) == [template]


def test_parallel_runs_share_one_cache(cache: Path, major: int, tmp_path: Path) -> None:
    """Whoever comes first fills it, and nobody gets half of it."""
    copies = [tmp_path / str(number) for number in range(3)]
    with ThreadPoolExecutor(max_workers=3) as pool:
        list(pool.map(lambda copy: copy_data(installation(major), copy), copies))
    assert len({len(list(copy.rglob("*"))) for copy in copies}) == 1
    assert len(list(cache.glob("initialised-*"))) == 1


def test_a_cache_that_everybody_may_write_to_is_not_trusted(cache: Path) -> None:
    """Programs are run from there, so a stranger must not be able to put one."""
    cache.chmod(0o777)
    assert cache_directory() != cache
