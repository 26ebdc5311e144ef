"""`log-complete` and `log-bounded`: what a subscriber received of a job, held against the lines that were committed.

A subscriber that connects again goes on after the last line it has; what it received altogether is one sequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from pgqmodel.promises import log_bounded
from pgqmodel.promises.log_complete import DUPLICATE, LOST, REORDERED

__all__ = ["Flaw", "flaws"]

_MANGLED = log_bounded.PROMISE.anomaly


@frozen(kw_only=True)
class Flaw:
    """One thing that is wrong with what a subscriber received: the anomaly, the line's sequence, and a sentence."""

    anomaly: str
    sequence: int
    explanation: str


def flaws(
    committed: Mapping[int, str], received: Sequence[tuple[int, str]], subscriber: str, job: str
) -> Iterator[Flaw]:
    """Everything that is wrong, by kind: invented or doubled lines, the order, their text, and what never came.

    `committed` maps each line's sequence to its text, or to a digest of it, as `received` has it too.
    """
    seen: set[int] = set()
    last = None
    for sequence, text in received:
        if sequence not in committed:
            yield _flaw(_MANGLED, sequence, f"{subscriber} received line {sequence} of {job}, which nobody wrote.")
        elif sequence in seen:
            yield _flaw(DUPLICATE, sequence, f"{subscriber} received line {sequence} of {job} twice.")
        elif last is not None and sequence < last:
            yield _flaw(REORDERED, sequence, f"{subscriber} received line {sequence} of {job} after line {last}.")
        elif committed[sequence] != text:
            told = f"{subscriber} received line {sequence} of {job} with another text than was committed."
            yield _flaw(_MANGLED, sequence, told)
        seen.add(sequence)
        last = sequence if last is None else max(last, sequence)
    for sequence in sorted(committed.keys() - seen):
        yield _flaw(LOST, sequence, f"{subscriber} never received line {sequence} of {job}, which was committed.")


def _flaw(anomaly: str, sequence: int, explanation: str) -> Flaw:
    return Flaw(anomaly=anomaly, sequence=sequence, explanation=explanation)
