"""`--pg URL` on a server that listens elsewhere than on 5432: by socket or TCP, as superuser or with CREATEDB alone."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.commands import run
from pgqmodel.server import Cluster, SideConnection, named

ROLES = ("postgres", "plain")


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Cluster]:
    """A server on a free port, for a socket and for TCP, with a role that may create databases and nothing else."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"port": str(port), "listen_addresses": "127.0.0.1"}
    with Cluster(clock=False, settings=settings) as server:
        with SideConnection(server.conninfo()) as side:
            side.execute("CREATE ROLE plain LOGIN CREATEDB PASSWORD 'hush'")
        yield server


@pytest.fixture(params=["socket", "tcp"])
def url(request: pytest.FixtureRequest, elsewhere: Cluster) -> str:
    """The server's URL, by either way, for some user."""
    if request.param == "tcp":
        return f"postgresql://{{user}}:hush@127.0.0.1:{elsewhere.port}/postgres"
    return f"host={elsewhere.socket_dir} port={elsewhere.port} dbname=postgres user={{user}} password=hush"


@pytest.mark.parametrize("role", ROLES)
def test_a_finding_there_replays_with_the_command_of_its_report(url: str, role: str, runs: int, tmp_path: Path) -> None:
    """Checks there come to a verdict, and what they find comes back with the printed command, which has no password."""
    server = url.format(user=role)
    for seed in range(1, runs + 1):
        out = tmp_path / str(seed)
        checked = run(
            "check",
            "baseline",
            "--pg",
            server,
            "--first",
            "--examples",
            120,
            "--seed",
            seed,
            "--out",
            out,
            "--json",
            cwd=tmp_path,
        )
        assert checked.code == 1, checked.err
        report = (out / "report.md").read_text()
        assert "hush" not in report
        command = next(line for line in report.splitlines() if line.startswith("$ pgqmodel replay"))
        words = [server if word == named(server) else word for word in shlex.split(command)[2:]]
        assert server in words
        replayed = run(*words, "--json", cwd=tmp_path)
        assert replayed.record["verdict"] == "reproduced", replayed.out + replayed.err


@pytest.mark.parametrize("role", ROLES)
def test_a_sound_queue_holds_there(url: str, role: str, runs: int, tmp_path: Path) -> None:
    """The reference keeps its promises there too."""
    for seed in range(1, runs + 1):
        server = url.format(user=role)
        checked = run("check", "reference", "--pg", server, "--examples", 40, "--seed", seed, "--json", cwd=tmp_path)
        assert checked.record["verdict"] == "held", checked.out + checked.err


def test_a_simulation_runs_there(url: str, runs: int, tmp_path: Path) -> None:
    """A simulation's workers find the server through their doors, whatever its port; small runs may miss a limit."""
    for seed in range(1, runs + 1):
        told = run(
            *("sim", "mass-enqueue", "--scale", 0.1, "--seed", seed, "--pg", url.format(user="postgres"), "--json"),
            cwd=tmp_path,
        )
        assert told.code in {0, 1}, told.err
        assert [name for name, promise in told.record["promises"].items() if promise["verdict"] == "broken"] == []
