"""The forms in which a trace can be told, by name; a program may add one with `FORMATS.add`."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from pgqmodel.catalogue import Catalogue
from pgqmodel.report.markdown import render as render_markdown
from pgqmodel.report.spec import render as render_spec
from pgqmodel.report.text import render as render_text
from pgqmodel.trace import Trace

__all__ = ["FORMATS", "Format", "Page"]


@frozen(kw_only=True)
class Page:
    """The context of a form: the trace's path, the terminal's columns, and whether a spec lies beside the trace."""

    path: str
    width: int = 0
    spec: bool = False


@frozen(kw_only=True)
class Format:
    """One form: its purpose, and its function `render`, which raises UsageError for a trace that it cannot tell."""

    name: str
    says: str
    render: Callable[[Trace, Page], str]


FORMATS = Catalogue(
    (
        Format(name="text", says="for the terminal", render=lambda trace, page: render_text(trace, page.width)),
        Format(
            name="markdown",
            says="as report.md",
            render=lambda trace, page: render_markdown(trace, path=page.path, spec=page.spec),
        ),
        Format(
            name="spec",
            says="for the isolationtester that comes with Postgres",
            render=lambda trace, page: render_spec(trace),
        ),
    )
)
"""The first is the default."""
