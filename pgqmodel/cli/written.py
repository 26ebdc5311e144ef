"""The files of a finding: the trace, the report, and the specification if plain SQL can express the trace.

A directory holds one finding. While it is shrunk, its files are replaced, each as a whole. A directory with another
finding is left alone: the next free number is added to the name.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
from attrs import define, field

from pgqmodel.errors import UsageError
from pgqmodel.explore.shrinking import Ending, Shrunk
from pgqmodel.report import NotInSqlError, render_markdown, render_spec
from pgqmodel.trace import Trace

__all__ = ["Written", "place_for"]

_TRACE, _REPORT, _SPEC = "trace.json", "report.md", "repro.spec"
_FINDINGS = Path("pgqmodel-findings")
_NAME_BYTES_MAX = 150
"""The limit for the queue's name. A directory's name may have 255 bytes, and anomaly and number come behind it."""


def place_for(queue: str, anomaly: str) -> Path:
    """The directory of a finding if none was asked for: always below our own, with any name of a queue."""
    fit = re.sub(r"[^\w.-]+", "-", queue).encode()[:_NAME_BYTES_MAX].decode(errors="ignore")
    return _FINDINGS / f"{fit}-{anomaly}"


@define
class Written:
    """A finding and its files; `wanted` is the directory asked for, `server` is set if we did not start the server."""

    wanted: Path
    server: str = ""
    trace: Trace | None = None
    ending: Ending | None = None
    """The end of its shrinking."""
    replayed: str | None = None
    """How often it came back in how many replays."""
    directory: Path = field(init=False)

    @property
    def found(self) -> Trace:
        """The written trace."""
        assert self.trace is not None
        return self.trace

    @property
    def path(self) -> Path:
        """The path of its trace."""
        return self.directory / _TRACE

    @property
    def shown(self) -> str:
        """The path of its trace in a form that a terminal can show."""
        return click.format_filename(self.path)

    @property
    def replay(self) -> str:
        """The command that replays it."""
        return f"pgqmodel replay {shlex.quote(self.shown)}" + (
            f" --pg {shlex.quote(self.server)}" if self.server else ""
        )

    @property
    def report(self) -> Path:
        """The path of its report."""
        return self.directory / _REPORT

    def write(self, trace: Trace, *, shortest: bool) -> None:
        """Write all files of a finding, or of a shorter story of it; UsageError if that fails."""
        try:
            if self.trace is None:
                self.directory = _new_directory(self.wanted, trace.dumps())
            else:
                _replace(self.path, trace.dumps())
            self.trace = trace
            spec = self._write_spec(trace)
            _replace(
                self.report,
                render_markdown(trace, path=str(self.path), server=self.server, spec=spec, shortest=shortest),
            )
        except OSError as error:
            message = (
                f"{self.wanted} cannot be written to: {error.strerror}; expected a place for the finding. "
                "Name one with --out"
            )
            raise UsageError(message) from error

    def improve(self, story: Shrunk) -> None:
        """Write a shorter story of it, or the end of its shrinking."""
        self.ending = story.ending
        self.write(story.trace, shortest=story.ending is not None and not story.ending.early)

    def discard(self) -> None:
        """Remove its files, because another finding shows the same."""
        for name in (_TRACE, _REPORT, _SPEC):
            (self.directory / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.directory.rmdir()

    def _write_spec(self, trace: Trace) -> bool:
        """Write the specification, or remove it if plain SQL cannot express the trace. Return whether there is one."""
        try:
            _replace(self.directory / _SPEC, render_spec(trace))
        except NotInSqlError:
            (self.directory / _SPEC).unlink(missing_ok=True)
            return False
        return True


def _new_directory(wanted: Path, trace: str) -> Path:
    """The first directory without a finding, beginning with the wanted one; the trace is written there.

    A link fails if the file exists, so two runs that begin at the same time get different directories.
    """
    named = wanted if wanted.name not in {"", ".."} else wanted.resolve()
    for number in itertools.count(1):
        place = wanted if number == 1 else named.with_name(f"{named.name}-{number}")
        place.mkdir(parents=True, exist_ok=True)
        if not any((place / name).exists() for name in (_TRACE, _REPORT, _SPEC)):
            with _beside(place / _TRACE, trace) as new, contextlib.suppress(FileExistsError):
                (place / _TRACE).hardlink_to(new)
                return place
    raise AssertionError


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader at any time finds the whole old file or the whole new one."""
    with _beside(path, text) as new:
        new.replace(path)


@contextlib.contextmanager
def _beside(path: Path, text: str) -> Iterator[Path]:
    """A temporary file beside another one, with the text; half a surrogate pair, as in file names, is escaped."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_text(text, encoding="utf-8", errors="backslashreplace")
        yield new
    finally:
        new.unlink(missing_ok=True)
