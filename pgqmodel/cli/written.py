"""What a finding leaves on disk: the trace, the report, and the specification where plain SQL can say it."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from pgqmodel.cli.report import write
from pgqmodel.errors import UsageError
from pgqmodel.report import NotInSqlError, render_markdown, render_spec
from pgqmodel.trace import Trace

__all__ = ["Written", "write_finding"]


@frozen(kw_only=True)
class Written:
    """A finding and where it lies."""

    trace: Trace
    path: Path
    report: Path
    spec: Path | None


def write_finding(trace: Trace, directory: Path) -> Written:
    """Write everything about a finding into `directory`; UsageError if that cannot be done."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{directory} cannot be made: {error.strerror}; expected a place for the finding. Name one with --out"
        raise UsageError(message) from error
    path, report = directory / "trace.json", directory / "report.md"
    spec = _write_spec(trace, directory / "repro.spec")
    write(path, trace.dumps())
    write(report, render_markdown(trace, path=str(path), spec=spec is not None))
    return Written(trace=trace, path=path, report=report, spec=spec)


def _write_spec(trace: Trace, path: Path) -> Path | None:
    """The specification, or None (and no old one left) where plain SQL cannot say the trace."""
    try:
        write(path, render_spec(trace))
    except NotInSqlError:
        path.unlink(missing_ok=True)
        return None
    return path
