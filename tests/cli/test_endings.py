"""However a check ends, it leaves nothing behind and says what happened."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from cli.commands import run
from cli.place import Place

CHECK = ("check", "reference", "--seconds", 600, "--seed", 1, "--processes", 2, "--json")


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)], ids=str)
@pytest.mark.parametrize("group", [False, True], ids=["program", "group"])
def test_a_signal_leaves_nothing(place: Place, how: signal.Signals, code: int, group: bool) -> None:
    """Sent to the program alone or, as Ctrl-C does, to all of it: no process, no directory, no traceback."""
    program = place.start(*CHECK)
    place.wait_for_worlds(program, 2)
    assert place.end(program, how, group=group) == (code, "")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_a_second_signal_changes_nothing(place: Place, how: signal.Signals) -> None:
    """Whoever does not wait after the first one leaves nothing behind either."""
    program = place.start(*CHECK)
    place.wait_for_worlds(program, 2)
    program.send_signal(how)
    code, out = place.end(program, how)
    assert (code, out) == (128 + how, "")


def test_a_signal_while_it_starts_leaves_nothing(place: Place) -> None:
    """A check that is ended before its servers are up leaves as little as one that ran."""
    program = place.start(*CHECK)
    place.wait_until(lambda: bool(place.left()), "a server begins", program)
    assert place.end(program, signal.SIGTERM)[0] == 143


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGQUIT, signal.SIGTERM])
def test_a_server_that_is_stopped_is_no_verdict(place: Place, how: signal.Signals) -> None:
    """When somebody stops a server in the middle, the check ends with 3 and one clear sentence."""
    program = place.start(*CHECK)
    place.wait_for_worlds(program, 2)
    os.kill(place.servers()[0], how)
    out, err = program.communicate(timeout=60)
    assert (program.returncode, out) == (3, ""), err
    assert err.count("\n") == 1, err
    assert err.startswith("pgqmodel: the server")
    place.wait_until_clean()


def test_the_next_run_works(place: Place, tmp_path: Path) -> None:
    """After a check that was killed the next one does not notice."""
    program = place.start(*CHECK)
    place.wait_for_worlds(program, 2)
    os.killpg(program.pid, signal.SIGKILL)
    program.communicate(timeout=60)
    ended = run("check", "reference", "--examples", 3, "--json", cwd=tmp_path)
    assert (ended.code, ended.record["verdict"]) == (0, "held")
    place.wait_until_clean()
