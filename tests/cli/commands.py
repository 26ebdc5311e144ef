"""Running the real command line, as a user does; judges nothing."""

from __future__ import annotations

import json
import subprocess
import sysconfig
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


def run(*words: object, cwd: Path) -> Ended:
    """Run `pgqmodel` with these words, in a directory."""
    done = subprocess.run(
        [PROGRAM, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    return Ended(code=done.returncode, out=done.stdout, err=done.stderr)
