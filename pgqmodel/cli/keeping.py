"""Writes findings to files and shrinks them: the best stories so far stay, even after an interrupt.

A signal that ends the program waits while files are written. It ends the shrinking, not the run: the findings are
reported as they are then.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import click
from attrs import define, evolve, field

from pgqmodel.cli.written import Written
from pgqmodel.errors import NoVerdictError
from pgqmodel.explore.batches import Caught
from pgqmodel.explore.fleet import Fleet
from pgqmodel.explore.replaying import ReplayVerdict
from pgqmodel.explore.shrinking import REPLAYS as UNSTEADY_REPLAYS
from pgqmodel.explore.shrinking import Ending, seen_once
from pgqmodel.explore.simplifying import cost
from pgqmodel.trace import Trace

__all__ = ["INTERRUPTED", "keep_shrinking", "write_down"]

INTERRUPTED = Ending(early="it was interrupted")
REPLAYS = 2
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
Place = Callable[[str], Written]
"""Gives the place of a finding by its anomaly."""


def keep_shrinking(
    fleet: Fleet, found: Sequence[Caught], seed: int, seconds: float | None, place: Place
) -> list[Written]:
    """Write findings to files, and replace them by shorter stories; return one of each cause, simplest first.

    A finding that does not come back stays as it was found, with a sentence on how often it came back since.
    """
    desk = _Desk(fleet=fleet, seed=seed, place=place)
    with _one_signal():
        try:
            confirmed = [evolve(each, trace=trace) for each in found if (trace := desk.take(each)) is not None]
            deadline = None if seconds is None else time.monotonic() + seconds
            for number, story in fleet.shrink(confirmed, seed, deadline):
                with _held():
                    desk.kept[number].improve(story)
                if story.ending is not None and story.ending.note:
                    click.echo(f"note: {story.ending.note}", err=True)
            for written in desk.kept:
                with _held():
                    written.replayed = (written.ending and written.ending.replayed) or _replayed(fleet, written)
        except KeyboardInterrupt:
            for written in desk.kept:
                written.ending = written.ending or INTERRUPTED
            desk.kept += write_down(found[desk.taken :], place)
    return _distinct([*desk.kept, *desk.unsteady])


@define(kw_only=True)
class _Desk:
    """The written findings so far: those in `kept` came back from a clean database, those in `unsteady` did not."""

    fleet: Fleet
    seed: int
    place: Place
    kept: list[Written] = field(factory=list)
    unsteady: list[Written] = field(factory=list)
    taken: int = 0
    """The number of findings that have been taken."""

    def take(self, caught: Caught) -> Trace | None:
        """Write a finding; return its trace from a clean database, or None if it does not come back."""
        with _held():
            trace = self.fleet.confirm(caught.finding, self.seed)
            self.taken += 1
            if trace is None:
                self.unsteady.append(_seen_once(self.fleet, caught, self.place))
                return None
            written = self.place(trace.anomaly)
            written.write(trace, shortest=False)
            self.kept.append(written)
        click.echo(f"found {trace.anomaly}: {written.shown}; looking for its shortest story", err=True)
        return trace


def write_down(found: Iterable[Caught], place: Place) -> list[Written]:
    """Write findings as they were found, after an interrupt."""
    kept = []
    with _held():
        for each in found:
            kept.append(place(each.trace.anomaly))
            kept[-1].write(each.trace, shortest=False)
            kept[-1].ending = INTERRUPTED
    return kept


def _seen_once(fleet: Fleet, caught: Caught, place: Place) -> Written:
    """Write a finding that did not come back: it happened on a real server, so it is told."""
    written = place(caught.trace.anomaly)
    story = seen_once(caught.trace, _back(fleet, caught.trace, UNSTEADY_REPLAYS))
    written.improve(story)
    written.replayed = story.ending.replayed if story.ending is not None else None
    click.echo(f"found {caught.trace.anomaly}, replayed {written.replayed} times: {written.shown}", err=True)
    return written


def _replayed(fleet: Fleet, written: Written) -> str | None:
    """How often its shortest story comes back; None if no world is left to try it."""
    try:
        return f"{_back(fleet, written.found, REPLAYS)} of {REPLAYS}"
    except NoVerdictError:
        return None


def _back(fleet: Fleet, trace: Trace, times: int) -> int:
    """The number of replays in which a story ends as it did."""
    replays = (fleet.replay(trace) for _ in range(times))
    return sum(each.verdict is ReplayVerdict.REPRODUCED for each in replays)


def _distinct(kept: Iterable[Written]) -> list[Written]:
    """One finding of each cause, simplest first. A shorter story may need fewer operations, so causes can meet."""
    best: dict[tuple[str, tuple[str, ...]], Written] = {}
    for written in sorted(kept, key=lambda each: cost(each.found.steps)):
        trace = written.found
        if best.setdefault((trace.promise, trace.operations), written) is not written:
            written.discard()
    return list(best.values())


@contextlib.contextmanager
def _held() -> Iterator[None]:
    """Delay signals that end the program."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _one_signal() -> Iterator[None]:
    """Turn the first signal into a KeyboardInterrupt; a second one must not break off the work after the first."""
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
