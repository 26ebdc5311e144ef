"""A table of wrapped cells for a terminal; it knows widths only, not the meaning of the cells."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import zip_longest

__all__ = ["table"]

_GAP = "  "
_NARROWEST = 12

Cell = Sequence[str]


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]], width: int) -> str:
    """The table in at most `width` columns, if its longest words allow that; a cell is a list of lines to wrap."""
    widths = _widths(header, rows, width - len(_GAP) * (len(header) - 1))
    lines = [_line(header, widths), _line(["-" * wide for wide in widths], widths)]
    for row in rows:
        wrapped = [_wrapped(cell, wide) for cell, wide in zip(row, widths, strict=True)]
        lines.extend(_line(parts, widths) for parts in zip_longest(*wrapped, fillvalue=""))
    return "\n".join(lines) + "\n"


def _widths(header: Sequence[str], rows: Sequence[Sequence[Cell]], width: int) -> list[int]:
    """Column widths: first the longest line of each column; then the widest columns shrink until the table fits."""
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    widths = [
        max(len(title), *(len(line) for cell in column for line in cell), 0)
        for title, column in zip(header, columns, strict=True)
    ]
    while sum(widths) > width and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _wrapped(cell: Cell, width: int) -> list[str]:
    return [part for line in cell for part in textwrap.wrap(line, width, subsequent_indent="  ") or [""]]


def _line(parts: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(part.ljust(wide) for part, wide in zip(parts, widths, strict=True)).rstrip()
