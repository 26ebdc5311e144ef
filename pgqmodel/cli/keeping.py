"""Shrinking a finding that is written down already: whatever ends it, the best story so far stays.

A signal that ends the program waits until the first trace is there, and while files are replaced. After that it ends
the shrinking and not the run: the finding is reported as it is.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import click

from pgqmodel.cli.written import Written
from pgqmodel.errors import NoVerdictError
from pgqmodel.explore.fleet import Fleet
from pgqmodel.explore.judged import Finding
from pgqmodel.explore.shrinking import Ending

__all__ = ["INTERRUPTED", "keep_shrinking"]

INTERRUPTED = Ending(early="it was interrupted")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def keep_shrinking(fleet: Fleet, finding: Finding, seed: int, deadline: float | None, written: Written) -> Ending:
    """Write a finding down, and shorter stories of it in its place."""
    stories = fleet.shrink(finding, seed, deadline)
    with _one_signal():
        try:
            with _held():
                first = next(stories)
                ending = first.ending
                written.write(first.trace, shortest=False)
                click.echo(f"found {finding.broken.anomaly}: {written.shown}; looking for its shortest story", err=True)
            for story in stories:
                with _held():
                    ending = story.ending
                    written.write(story.trace, shortest=ending is not None and not ending.early)
        except KeyboardInterrupt:
            ending = INTERRUPTED
        except NoVerdictError as error:
            if written.trace is None:
                raise
            click.echo(f"note: {error}", err=True)
            ending = Ending(early="a world failed")
    assert ending is not None, "the last story says how the shrinking ended"
    return ending


@contextlib.contextmanager
def _held() -> Iterator[None]:
    """Signals that end the program come later."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _one_signal() -> Iterator[None]:
    """The first signal that ends the program is a KeyboardInterrupt; another one must not break off what it began."""
    before = {each: signal.getsignal(each) for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN}
    for each in before:
        signal.signal(each, _interrupt)
    try:
        yield
    finally:
        for each, handler in before.items():
            if signal.getsignal(each) is _interrupt:
                signal.signal(each, handler)


def _interrupt(signum: int, frame: object) -> None:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt
