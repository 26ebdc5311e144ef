"""A fork server for Python programs, run by the program's own Python: it imports once, and forks for each start.

It is a program by itself and uses the standard library alone. It reads one JSON object a line: the page of time that
the new process enters, its environment, its output, its arguments; and it answers with the new process' id.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import runpy
import signal
import sys
import traceback
from pathlib import Path

_ADDR_NO_RANDOMIZE = 0x0040000
_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG."""
_LIBC = ctypes.CDLL(None)


def main() -> None:
    """Import what the arguments name, then fork for each request until standard input closes."""
    _fix_addresses()
    _LIBC.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    sys.path.insert(0, str(Path.cwd()))
    for name in sys.argv[1:]:
        importlib.import_module(name)
    _say({"ready": 1})
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        pid = os.fork()
        if not pid:
            _become(request)
        _say({"pid": pid})


def _say(answer: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _fix_addresses() -> None:
    """Start again without address randomisation: the order of some sets depends on addresses."""
    flags = _LIBC.personality(0xFFFFFFFF)
    if flags >= 0 and not flags & _ADDR_NO_RANDOMIZE and _LIBC.personality(flags | _ADDR_NO_RANDOMIZE) >= 0:
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - it is this program


def _become(request: dict[str, object]) -> None:
    """Turn the new process into the program; never returns."""
    os.setsid()
    _LIBC.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(str(request["output"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, place in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, place)
    environment = request["environment"]
    assert isinstance(environment, dict), "the other side writes an object"
    os.environ.clear()
    os.environ.update(environment)
    if _LIBC.pgqmodel_enter(str(request["page"]).encode()):
        os._exit(70)
    if "random" in sys.modules:
        sys.modules["random"].seed(os.urandom(32))  # it was seeded at its import, for all children alike
    words = request["words"]
    assert isinstance(words, list), "the other side writes a list"
    os._exit(_run([str(word) for word in words]))


def _run(words: list[str]) -> int:
    """Run a script, or a module behind -m, as Python itself does; the exit code."""
    code: object = 0
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = words
            sys.path[0] = str(Path(words[0]).resolve().parent)
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - whatever ends the program is its own affair
        traceback.print_exc()
        code = 1
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    main()
