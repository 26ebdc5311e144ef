"""A trace for the terminal: what broke, the steps side by side, and why that is wrong."""

from __future__ import annotations

import textwrap

from pgqmodel.promises import PROMISES
from pgqmodel.report.layout import table
from pgqmodel.report.story import Row, Story, span, tell
from pgqmodel.trace import Trace

__all__ = ["render"]

_PLAIN = str.maketrans("", "", "`")


def render(trace: Trace, width: int = 110) -> str:
    """The trace in plain text, at most `width` columns wide if the words allow that."""
    story = tell(trace, brief=True)
    header = ["step", *(["time"] if story.time_moves else []), *story.clients, "the database afterwards"]
    rows = [_row(row, story) for row in story.rows]
    says = PROMISES[trace.promise].says
    told = "\n".join(
        [
            f"{trace.anomaly} in {trace.name}",
            textwrap.fill(f"broken promise: {trace.promise} - {says}", width, subsequent_indent="  "),
            "",
            table(header, rows, width),
            *(textwrap.fill(sentence, width) for sentence in trace.explanation),
            "",
        ]
    )
    was = [f"{name} was {value}" for name, value in story.names(trace, trace.names).items()]
    return "\n".join([told, *was, ""]) if was else told


def _row(row: Row, story: Story) -> list[list[str]]:
    time = [[f"{row.clock:g} s"]] if story.time_moves else []
    cells = [row.cells.get(client, ()) for client in story.clients]
    return [[span(row)], *time, *([_plain(phrase) for phrase in cell] for cell in (*cells, row.shows))]


def _plain(phrase: str) -> str:
    return phrase.translate(_PLAIN).replace("**", "")
