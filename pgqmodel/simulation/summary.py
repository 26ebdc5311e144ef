"""The summary of a run for a terminal, in the style of a load tool: plain ASCII, at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence

from pgqmodel.judge import Outcome
from pgqmodel.phrases import counted
from pgqmodel.report.evidence import evidence, heading
from pgqmodel.simulation.latency import PERCENTILES
from pgqmodel.simulation.result import Overall, Result
from pgqmodel.simulation.wording import duration, number, phrase, size

__all__ = ["render_all", "render_summary"]

WIDTH = 100
_INDENT = "  "
_GAP = "   "
_TICKS = {True: "ok", False: "FAIL"}
_WORDS = {**{outcome: outcome.value for outcome in Outcome}, Outcome.BROKEN: "BROKEN"}
_ORDER = (Outcome.HELD, Outcome.BROKEN, Outcome.UNKNOWN, Outcome.NOT_EXERCISED)


def render_summary(result: Result) -> str:
    """The summary that a person sees at the end of a run."""
    sections = [list(lines) for lines in (section(result) for section in _SECTIONS)]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def render_all(results: Sequence[Result]) -> str:
    """One line for each run, the reasons for runs that did not simply hold, and the total."""
    rows = [_line(result) for result in results]
    bad = sum(result.exit_code != 0 for result in results)
    held = f"{len(results) - bad} of {counted(len(results), 'simulation')} held"
    total = f"{held}, {sum(result.seconds for result in results):,.1f} s"
    header = ("simulation", "target", "verdict", "promises", "checks", "thresholds", "seconds")
    return "\n".join([*_table(header, rows, left=3), *_why(results), "", total]) + "\n"


def _why(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        if result.reasons:
            yield ""
            yield f"{_ascii(result.name)}: {result.verdict.value}"
        for reason in result.reasons:
            yield from _prose(reason)


def _line(result: Result) -> tuple[str, ...]:
    verdict = result.verdict.value if result.verdict is Overall.HELD else result.verdict.value.upper()
    judged = len(result.promises) - len(result.of(Outcome.NOT_EXERCISED))
    return (
        result.name,
        result.target,
        verdict,
        _share(len(result.of(Outcome.HELD)), judged),
        _share(sum(check.ok for check in result.checks), len(result.checks)),
        _share(sum(outcome.passed for outcome in result.outcomes), len(result.outcomes)),
        f"{result.seconds:,.1f}",
    )


def _share(part: int, whole: int) -> str:
    """`3 of 4`; a dash if there was nothing to count."""
    return f"{part} of {whole}" if whole else "-"


def _title(result: Result) -> Iterator[str]:
    yield f"{_ascii(result.name)} on {_ascii(result.target)}: {result.verdict.value}{_but(result)}"
    if result.title:
        yield from _prose(result.title)
    facts = [f"Postgres {result.postgres}", f"{result.seconds:,.1f} s", f"scale {result.scale:g}"]
    sizes = [f"{name} {phrase(value)}" for name, value in result.sizes.items()]
    yield from _prose(", ".join([*facts, *sizes]))
    if result.unknown:
        yield from _prose(f"no verdict: {result.unknown}")


def _but(result: Result) -> str:
    """The restrictions that must be told beside `held`."""
    count = len(result.open)
    if not count or result.verdict is not Overall.HELD:
        return ""
    return f", but {count} threshold{' was' if count == 1 else 's were'} not measured"


def _checks(result: Result) -> Iterator[str]:
    rows = [(_TICKS[check.ok], check.name, number(check.passed), number(check.failed)) for check in result.checks]
    yield from _table(("checks", "", "passed", "failed"), rows, left=2)


def _counters(result: Result) -> Iterator[str]:
    seconds = result.seconds or 1.0
    counters = sorted(result.measures.counters.items())
    rows = [(name, number(count), f"{count / seconds:,.1f}/s") for name, count in counters]
    yield from _table(("counters", "count", "rate"), rows)


def _latencies(result: Result) -> Iterator[str]:
    rows = []
    for name, latency in sorted(result.measures.latencies.items()):
        found = latency.statistics()
        rows.append((name, number(latency.count), *(duration(found.get(each)) for each in (*PERCENTILES, "max"))))
    yield from _table(("latencies", "count", *PERCENTILES, "max"), rows)


def _gauges(result: Result) -> Iterator[str]:
    rows = []
    for name, series in sorted(result.measures.series.items()):
        found = series.statistics()
        write = size if name.startswith("rss_bytes.") else "{:,.1f}".format
        rows.append((name, number(found["count"]), *(write(found[each]) for each in ("mean", "max", "last"))))
    yield from _table(("gauges", "samples", "mean", "max", "last"), rows)


def _thresholds(result: Result) -> Iterator[str]:
    rows = [(outcome.word, outcome.threshold.name, outcome.limit, outcome.figure) for outcome in result.outcomes]
    yield from _table(("thresholds", "", "limit", "measured"), rows, left=2)


def _promises(result: Result) -> Iterator[str]:
    order = sorted(result.promises, key=lambda judged: _ORDER.index(judged.outcome))
    rows = [(_WORDS[each.outcome], each.promise, number(each.exercised), number(each.violations)) for each in order]
    yield from _table(("promises", "", "put to the test", "broken"), rows, left=2)


def _evidence(result: Result) -> Iterator[str]:
    for place, judged in enumerate([*result.of(Outcome.BROKEN), *result.of(Outcome.UNKNOWN)]):
        if place:
            yield ""
        yield _ascii(heading(judged)) + ("; one of them" if judged.violations > 1 else "")
        for sentence in evidence(judged):
            yield from _prose(sentence)


def _notes(result: Result) -> Iterator[str]:
    if result.notes:
        yield "notes"
    for note in result.notes:
        yield from _prose(note)


def _again(result: Result) -> Iterator[str]:
    if result.command:
        yield f"again   {result.command}"


_SECTIONS: tuple[Callable[[Result], Iterator[str]], ...] = (
    _title,
    _checks,
    _counters,
    _latencies,
    _gauges,
    _thresholds,
    _promises,
    _evidence,
    _notes,
    _again,
)


def _prose(text: str) -> list[str]:
    return textwrap.wrap(_ascii(text), WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _ascii(text: str) -> str:
    """The text in ASCII; other letters and control characters are written as escapes."""
    return "".join(
        each if each.isascii() and each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> Iterator[str]:
    """Aligned columns, the first `left` of them to the left; the widest of these shrinks until all fits.

    The first heading stands at the margin; if the second is empty, it extends over both columns.
    """
    cells = [[_ascii(cell) for cell in row] for row in rows]
    if not cells:
        return
    reaches_over = left > 1 and not header[1]
    titles = ["" if reaches_over else header[0], *header[1:]]
    widths = [max(len(cell) for cell in column) for column in zip(titles, *cells, strict=True)]
    room = WIDTH - len(_INDENT) - len(_GAP) * (len(widths) - 1)
    widest = max(range(left), key=lambda place: widths[place])
    widths[widest] = max(3, widths[widest] - max(0, sum(widths) - room))
    yield header[0] + _aligned(["", *header[1:]], widths, left)[len(header[0]) :]
    for row in cells:
        yield _aligned(row, widths, left)


def _aligned(row: Sequence[str], widths: Sequence[int], left: int) -> str:
    cut = [cell if len(cell) <= wide else f"{cell[: wide - 3]}..." for cell, wide in zip(row, widths, strict=True)]
    parts = [
        cell.ljust(wide) if place < left else cell.rjust(wide)
        for place, (cell, wide) in enumerate(zip(cut, widths, strict=True))
    ]
    return (_INDENT + _GAP.join(parts)).rstrip()
