"""Runs the real command line on a target file, as a user would, and reads what it prints. Judges nothing."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from attrs import frozen

__all__ = ["Checked", "check"]

COMMAND = Path(sysconfig.get_path("scripts")) / "pgqmodel"
SHRINK_SECONDS = 150.0
"""As much as any finding takes to come to its shortest story: its size is known only then, on a busy machine too."""
PATIENCE_SECONDS = SHRINK_SECONDS + 30.0
"""Beyond the exploring: for shrinking what was found, and for ending."""


@frozen(kw_only=True)
class Checked:
    """How `pgqmodel check` ended: its exit code, its JSON if it printed any, and what it said on standard error."""

    code: int
    found: dict[str, Any]
    said: str


def check(target: Path, *, seed: int, seconds: float, out: Path, first: bool = True, postgres: int = 18) -> Checked:
    """Explore a target for at most `seconds`, or up to its `first` finding; it is written below `out`."""
    bounds = ["--seconds", f"{seconds:g}", "--shrink-seconds", f"{SHRINK_SECONDS:g}"]
    options = [
        "--seed",
        str(seed),
        *bounds,
        "--pg",
        str(postgres),
        "--json",
        "--out",
        str(out),
        *(["--first"] if first else []),
    ]
    ended = subprocess.run(
        [COMMAND, "check", target, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + PATIENCE_SECONDS,
        cwd=target.parent,
    )
    return Checked(code=ended.returncode, found=json.loads(ended.stdout or "{}"), said=ended.stderr)
