"""Running the real command line, as a user does; judges nothing."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

__all__ = ["PROGRAM", "Ended", "run"]

PROGRAM = Path(sysconfig.get_path("scripts")) / "pgqmodel"
PATIENCE_SECONDS = 240


@frozen(kw_only=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def record(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def run(*words: object, cwd: Path, program: Sequence[object] = (PROGRAM,)) -> Ended:
    """Run `pgqmodel`, or another program that is given, with these words, in a directory."""
    line = [*map(str, program), *map(str, words)]
    done = subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    return Ended(code=done.returncode, out=done.stdout, err=done.stderr)
