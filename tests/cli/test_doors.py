"""Bad calls of the command line: worker, serve, verify and sim refuse each clearly, and nothing has happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli.place import Place
from pgqmodel.cli.sim import _Size

NOBODY = "postgresql://nobody:secret@127.0.0.1:1/x"
WORKER = ("worker", "--pg", NOBODY, "--name", "w1")
SERVE = ("serve", "--pg", NOBODY, "--secret-file", "secret")
FILES = {
    "secret": b"it is known to two\n",
    "empty": b"\n",
    "huge": b"x" * 5_000,
    "taken": b"a file where a folder is wanted\n",
    "words.jsonl": b"Once upon a time\n",
    "list.jsonl": b"[1, 2, 3]\n",
    "empty.jsonl": b"",
    "binary.jsonl": b"\0\1\2\n",
    "torn.jsonl.gz": b"\x1f\x8b\x08 and no more",
    "queue.toml": b'name = "mine"\n',
}
"""What lies in the place of every call; a call that was refused has changed none of it."""
CASES: dict[tuple[str, ...], str] = {
    # workers
    ("worker", "--name", "w1"): "Missing option '--pg'",
    ("worker", "--pg", NOBODY): "Missing option '--name'",
    ("worker", "--pg", "host", "--name", "w1"): "host",
    ("worker", "--pg", "color=red", "--name", "w1"): "color",
    ("worker", "--pg", NOBODY, "--name", ""): "'' is not a worker's name; expected",
    ("worker", "--pg", NOBODY, "--name", "a/b"): "'a/b' is not a worker's name; expected",
    ("worker", "--pg", NOBODY, "--name", "w" * 41): "is not a worker's name; expected",
    (*WORKER, "--target", "nobody"): "there is no target 'nobody'; expected",
    (*WORKER, "--target", "queue.toml"): "queue.toml",
    (*WORKER, "--poll", "0"): "--poll",
    (*WORKER, "--poll", "nan"): "--poll",
    (*WORKER, "--poll", "soon"): "'soon' is not a valid float",
    (*WORKER, "--heartbeat", "-1"): "--heartbeat",
    (*WORKER, "--heartbeat", "inf"): "--heartbeat",
    (*WORKER, "--reclaim-every", "nan"): "--reclaim-every",
    (*WORKER, "--timeout", "0"): "--timeout",
    (*WORKER, "--grace", "nan"): "--grace",
    (*WORKER, "--history", "gone/w1.jsonl"): "gone/w1.jsonl cannot be written to: No such file",
    (*WORKER, "--history", "taken/w1.jsonl"): "taken/w1.jsonl cannot be written to: Not a directory",
    (*WORKER, "--clock", "gone"): "gone is not a clock: ",
    (*WORKER, "--clock", "empty"): "empty is not a clock: ",
    (*WORKER, "w2"): "unexpected extra argument (w2)",
    # the service
    ("serve", "--pg", NOBODY): "Missing option '--secret-file'",
    ("serve", "--secret-file", "secret"): "Missing option '--pg'",
    ("serve", "--pg", NOBODY, "--secret-file", "gone"): "--secret-file gone cannot be read: No such file",
    ("serve", "--pg", NOBODY, "--secret-file", "."): "--secret-file . cannot be read: Is a directory",
    ("serve", "--pg", NOBODY, "--secret-file", "empty"): "--secret-file empty holds no bytes; expected 1 to",
    ("serve", "--pg", NOBODY, "--secret-file", "huge"): "--secret-file huge holds",
    (*SERVE, "--port", "65536"): "--port",
    (*SERVE, "--connections", "0"): "--connections",
    (*SERVE, "--idle-seconds", "nan"): "--idle-seconds",
    (*SERVE, "--keep-alive-seconds", "-5"): "--keep-alive-seconds",
    (*SERVE, "--target", "nobody"): "there is no target 'nobody'; expected",
    (*SERVE, "--target", "baseline"): "the target baseline has no log channel; expected",
    SERVE: "cannot be reached",
    # histories
    ("verify",): "Missing argument 'HISTORY'",
    ("verify", "gone.jsonl"): "gone.jsonl cannot be read: No such file",
    ("verify", "."): ". cannot be read: Is a directory",
    ("verify", "taken/history.jsonl"): "cannot be read: Not a directory",
    ("verify", "words.jsonl"): "line 1 of the history is not an event: it is not JSON",
    ("verify", "empty.jsonl", "--json"): "expected a recorded history",
    ("verify", "binary.jsonl"): "expected a recorded history",
    ("verify", "torn.jsonl.gz"): "expected a recorded history",
    # simulations
    ("sim",): "sim was given no name; expected all, or one of",
    ("sim", "nothing"): "there is no simulation 'nothing'; expected all, or one of",
    ("sim", "all", "--target", "nobody"): "there is no target 'nobody'; expected",
    ("sim", "lock-contention", "--target", "queue.toml"): "queue.toml",
    ("sim", "stage-ordering", "--jobs", "0"): "--jobs",
    ("sim", "stage-ordering", "--jobs", "10000001"): "--jobs",
    ("sim", "stage-ordering", "--workers", "201"): "--workers",
    ("sim", "stage-ordering", "--seconds", "10"): "stage-ordering has no size seconds; expected some of jobs, workers",
    ("sim", "stage-ordering", "--size", "webhooks=5"): "stage-ordering has no size webhooks; expected some of",
    ("sim", "all", "--size", "beds=5"): "all has no size beds; expected some of",
    ("sim", "mass-enqueue", "--size", "webhooks"): "'webhooks'; expected a name and a whole number",
    ("sim", "mass-enqueue", "--size", "webhooks=٣"): "expected a name and a whole number",
    ("sim", "all", "--scale", "nan"): "--scale",
    ("sim", "all", "--scale", "1001"): "--scale",
    ("sim", "all", "--seed", "-1"): "--seed",
    ("sim", "stage-ordering", "--pg", "9"): "18 and 16",
    ("sim", "stage-ordering", "--pg", "elephant"): "--pg got a URL that libpq cannot read",
    ("sim", "stage-ordering", "--pg", NOBODY): "cannot be reached",
    ("sim", "heartbeat-reclaim-virtual", "--pg", NOBODY): "moves the server's clock",
    ("sim", "stage-ordering", "--out", "taken"): "taken",
    ("sim", "stage-ordering", "--out", "taken/out"): "cannot be written to: Not a directory",
}


@pytest.mark.parametrize(
    "size", ["webhooks=", "=5", "5", "webhooks=0", "webhooks=-1", "webhooks=1.5", "webhooks=10000001"]
)
def test_a_size_is_a_name_and_a_whole_number(size: str) -> None:
    """Anything else is refused, with what was found and an example of what is expected."""
    with pytest.raises(click.BadParameter, match=f"'{size}'; expected a name and a whole number from 1 to 10000000: "):
        _Size().convert(size, None, None)
    assert _Size().convert("webhooks=10000000", None, None) == ("webhooks", 10_000_000)


@pytest.fixture
def place() -> Iterator[Place]:
    """A directory with some files in it that are good for nothing."""
    with Place.made() as place:
        for name, content in FILES.items():
            (place.root / name).write_bytes(content)
        yield place


def shown(word: str) -> str:
    """A word of a call in a test's name."""
    return word if len(word) < 20 else word[:12] + "..."


@pytest.mark.parametrize(
    ("words", "said"), CASES.items(), ids=[" ".join(map(shown, words)).replace("/", ":") for words in CASES]
)
def test_a_bad_call_is_refused(place: Place, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, what is wrong on standard error and nothing else; no file, no process, no password, no traceback."""
    program = place.start(*words)
    out, err = program.communicate(timeout=60)
    assert (program.returncode, out) == (2, ""), err
    assert said in err
    assert is_told_whole(err), err
    assert "Traceback" not in err
    assert "secret@" not in err
    assert contents(place.root) == FILES
    assert place.processes() == []


def is_told_whole(err: str) -> bool:
    """Whether it is one sentence of ours in three parts, or the usage and one sentence of the command line's."""
    if err.startswith("pgqmodel: "):
        return err.count("\n") == 1 and "; " in err and ". " in err
    *usage, last = err.rstrip("\n").splitlines()
    return usage[0].startswith("Usage: pgqmodel ") and last.startswith("Error: ")


def contents(root: Path) -> dict[str, bytes | None]:
    """Every file below a directory with what is in it; a directory has nothing."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in sorted(root.rglob("*"))
    }
