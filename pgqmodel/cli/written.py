"""What a finding leaves on disk: the trace, the report, and the specification where plain SQL can say it.

A directory holds one finding. While that is shrunk its files are replaced, each of them whole; a directory that has one
already is left alone, and the next free number is added to its name.
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
"""A file system takes 255 for a directory; the anomaly, and a number perhaps, stand behind the queue's name."""


def place_for(queue: str, anomaly: str) -> Path:
    """The directory of a finding if none was asked for: always one below ours, whatever the queue is called."""
    fit = re.sub(r"[^\w.-]+", "-", queue).encode()[:_NAME_BYTES_MAX].decode(errors="ignore")
    return _FINDINGS / f"{fit}-{anomaly}"


@define
class Written:
    """A finding and where it lies; `wanted` is the directory that was asked for, `server` that which is not ours."""

    wanted: Path
    server: str = ""
    trace: Trace | None = None
    ending: Ending | None = None
    """How its shrinking ended."""
    replayed: str | None = None
    """How often it came back, of how many times."""
    directory: Path = field(init=False)

    @property
    def found(self) -> Trace:
        """Its trace, once it is written."""
        assert self.trace is not None
        return self.trace

    @property
    def path(self) -> Path:
        """Its trace."""
        return self.directory / _TRACE

    @property
    def shown(self) -> str:
        """The path of its trace as a terminal can show it."""
        return click.format_filename(self.path)

    @property
    def replay(self) -> str:
        """The command that replays it."""
        return f"pgqmodel replay {shlex.quote(self.shown)}" + (
            f" --pg {shlex.quote(self.server)}" if self.server else ""
        )

    @property
    def report(self) -> Path:
        """Its report."""
        return self.directory / _REPORT

    def write(self, trace: Trace, *, shortest: bool) -> None:
        """Write everything about a finding, or a shorter story of it; UsageError if that cannot be done."""
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
        """Write a shorter story of it, or how the shrinking ended."""
        self.ending = story.ending
        self.write(story.trace, shortest=story.ending is not None and not story.ending.early)

    def discard(self) -> None:
        """Take its files away, because another finding tells the same."""
        for name in (_TRACE, _REPORT, _SPEC):
            (self.directory / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.directory.rmdir()

    def _write_spec(self, trace: Trace) -> bool:
        """Write the specification, or leave none where plain SQL cannot say the trace; whether there is one."""
        try:
            _replace(self.directory / _SPEC, render_spec(trace))
        except NotInSqlError:
            (self.directory / _SPEC).unlink(missing_ok=True)
            return False
        return True


def _new_directory(wanted: Path, trace: str) -> Path:
    """The first directory, counted from the one that is wanted, without a finding; it has the trace from now on.

    A link fails where there is a file, so of two runs that begin at once each gets a directory of its own.
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
    """Write a file, so that whoever reads it meanwhile finds the old one or the new one, whole."""
    with _beside(path, text) as new:
        new.replace(path)


@contextlib.contextmanager
def _beside(path: Path, text: str) -> Iterator[Path]:
    """A file beside another one, with a text of its own; half a surrogate pair, as in a file's name, is escaped."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_text(text, encoding="utf-8", errors="backslashreplace")
        yield new
    finally:
        new.unlink(missing_ok=True)
