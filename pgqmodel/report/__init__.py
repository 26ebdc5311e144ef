"""Reports: a trace in other forms. Pure: no Postgres, no files; the caller writes the text to a file."""

from __future__ import annotations

from pgqmodel.report.advice import advise
from pgqmodel.report.formats import FORMATS, Format, Page
from pgqmodel.report.markdown import render as render_markdown
from pgqmodel.report.sentences import SENTENCES, Sentence, told
from pgqmodel.report.spec import NotInSqlError
from pgqmodel.report.spec import render as render_spec
from pgqmodel.report.text import render as render_text
from pgqmodel.report.understanding import explain, understanding_json

__all__ = [
    "FORMATS",
    "SENTENCES",
    "Format",
    "NotInSqlError",
    "Page",
    "Sentence",
    "advise",
    "explain",
    "render_markdown",
    "render_spec",
    "render_text",
    "told",
    "understanding_json",
]
