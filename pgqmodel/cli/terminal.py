"""The terminal for results: its width, and the colours of words.

Colour is added to the finished text, line by line, so renderers decide words and widths and know no terminal. click
removes colour if standard output is no terminal.
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
"""The width if standard output is no terminal and COLUMNS is not set."""

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
"""Patterns and their colours; the first pattern that matches in a line counts, and its first group is painted."""


def color_wanted(environment: Mapping[str, str] = os.environ) -> bool | None:
    """Whether to use colour: False with NO_COLOR or on a dumb terminal, True with FORCE_COLOR, None: on terminals.

    NO_COLOR comes before the others, as no-color.org asks for.
    """
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    forced = any(environment.get(name, "0") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE"))
    return True if forced else None


def terminal_width() -> int:
    """The number of columns for a table: COLUMNS if it is set, else the terminal's width, else 110."""
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
