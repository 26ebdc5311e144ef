"""The terminal that results are shown on: how wide it is, and what stands out in colour there.

Colour is laid over finished text, line by line: what renders a result decides its words and widths, and knows no
terminal. click drops it again where standard output is none.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from typing import Any

import click

__all__ = ["color_wanted", "painted", "terminal_width"]

WIDTH = 110
"""Where standard output is no terminal and COLUMNS does not say otherwise."""

_BAD, _GOOD, _UNSURE = {"fg": "red", "bold": True}, {"fg": "green", "bold": True}, {"fg": "yellow"}
_LOOKS: tuple[tuple[re.Pattern[str], Mapping[str, Any]], ...] = tuple(
    (re.compile(pattern), look)
    for pattern, look in (
        (r"^[^\s:][^:]*: (held)\b", _GOOD),
        (r"^[^\s:][^:]*: (broken|missed)\b", _BAD),
        (r"^[^\s:][^:]*: (unknown)\b", _UNSURE),
        (r"^([a-z]+(?:-[a-z]+)+) in \S+$", _BAD),
        (r"^(broken promise): ", _BAD),
        (r"(=> [a-z]+(?:-[a-z]+)+)$", _BAD),
        (r"^\s*(Yet .*)$", _BAD),
        (r"^  (not exercised)\b", _UNSURE),
        (r"^  (broken)  ", _BAD),
        (r"^  (FAIL|BROKEN)\b", _BAD),
        (r"^  (ok|pass|held)\b", _GOOD),
    )
)
"""What stands out, and how; the first group of the first pattern that is found in a line is painted."""


def color_wanted(environment: Mapping[str, str] = os.environ) -> bool | None:
    """Whether colour is wanted: False by NO_COLOR or a dumb terminal, True by FORCE_COLOR; None: where one can see it.

    NO_COLOR goes before the others, as no-color.org asks for.
    """
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    forced = any(environment.get(name, "0") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE"))
    return True if forced else None


def terminal_width() -> int:
    """How many columns a table may have: COLUMNS if it is set, else the terminal's, else 110."""
    return shutil.get_terminal_size((WIDTH, 24)).columns


def painted(text: str) -> str:
    """The same text in colour."""
    return "".join(_line(line) for line in text.splitlines(keepends=True))


def _line(line: str) -> str:
    for pattern, look in _LOOKS:
        if match := pattern.search(line.rstrip("\n")):
            start, end = match.span(1)
            return line[:start] + click.style(line[start:end], **look) + line[end:]
    return line
