"""`log-complete` and `log-bounded`: compares the lines that a subscriber received of a job with the committed lines.

A subscriber that connects again goes on after its last line; all lines that it received are one sequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from pgqmodel.promises import log_bounded
from pgqmodel.promises.delivery_reasons import LineFate, LineReceived
from pgqmodel.promises.log_complete import DUPLICATE, LOST, REORDERED

__all__ = ["Flaw", "flaws"]

_MANGLED = log_bounded.PROMISE.anomaly


@frozen(kw_only=True)
class Flaw:
    """One fault in a subscriber's lines: the anomaly, and the fact that shows it."""

    anomaly: str
    fact: LineReceived


def flaws(
    committed: Mapping[int, str], received: Sequence[tuple[int, str]], subscriber: str, job: str
) -> Iterator[Flaw]:
    """Every flaw: lines that no client wrote, came twice, in a wrong order or with a wrong text, or never came.

    `committed` maps each line's sequence to its text, or to a digest of it, as `received` has it too.
    """
    seen: set[int] = set()
    last = None

    def flaw(anomaly: str, sequence: int, fate: LineFate, after: int | None = None) -> Flaw:
        return Flaw(
            anomaly=anomaly,
            fact=LineReceived(subscriber=subscriber, sequence=sequence, job=job, fate=fate, after=after),
        )

    for sequence, text in received:
        if sequence not in committed:
            yield flaw(_MANGLED, sequence, LineFate.INVENTED)
        elif sequence in seen:
            yield flaw(DUPLICATE, sequence, LineFate.DOUBLED)
        elif last is not None and sequence < last:
            yield flaw(REORDERED, sequence, LineFate.LATE, last)
        elif committed[sequence] != text:
            yield flaw(_MANGLED, sequence, LineFate.ALTERED)
        seen.add(sequence)
        last = sequence if last is None else max(last, sequence)
    for sequence in sorted(committed.keys() - seen):
        yield flaw(LOST, sequence, LineFate.MISSING)
