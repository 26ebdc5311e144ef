"""Turns a worker's output into log lines that Postgres can store. Pure.

A worker's output is bytes; Postgres' text is Unicode without NUL. So NUL, and each byte that is not UTF-8, becomes
U+FFFD, Unicode's replacement character. A line longer than the maximum is cut on a character boundary, and its end says
how much is missing. So a reader can see that a line is not the original.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["LINE_BYTES_MAX", "LINE_BYTES_MIN", "array_of", "clean_line"]

LINE_BYTES_MAX = 1 << 20
LINE_BYTES_MIN = 64
"""The smallest maximum: the mark of a cut must fit."""
_UNSAYABLE = re.compile("[\x00\ud800-\udfff]")


def clean_line(line: bytes | str, bytes_max: int = LINE_BYTES_MAX) -> str:
    """The line as it can be stored, of at most `bytes_max` bytes in UTF-8.

    A line end at its end is dropped. The mark counts the missing bytes of the line as it would have been stored.
    """
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    text = _UNSAYABLE.sub("\ufffd", text.removesuffix("\n").removesuffix("\r"))
    if len(text) * 4 <= bytes_max:
        return text
    data = text.encode()
    return text if len(data) <= bytes_max else _cut(data, max(bytes_max, LINE_BYTES_MIN))


def array_of(lines: Sequence[str]) -> str:
    """Clean lines as the text of a Postgres array. A few passes over all lines at once are faster than psycopg.

    No clean line has a NUL, so NUL separates the lines until all are quoted.
    """
    if not lines:
        return "{}"
    quoted = "\0".join(lines).replace("\\", "\\\\").replace('"', '\\"').replace("\0", '","')
    return '{"' + quoted + '"}'


def _cut(data: bytes, bytes_max: int) -> str:
    """The beginning of the data, up to a character boundary, and the mark."""
    room = bytes_max - len(_mark(len(data)))
    kept = data[:room].decode("utf-8", "ignore")
    return kept + _mark(len(data) - len(kept.encode()))


def _mark(count: int) -> str:
    return f"... [cut: {count} bytes]"
