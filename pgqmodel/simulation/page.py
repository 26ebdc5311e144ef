"""A run as one self-contained HTML page: its parts, their order and its plots; and an index of pages.

`page.html.j2`, `index.html.j2` and `style.css` decide the looks, `plots.py` draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from attrs import frozen
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from pgqmodel.judge import Outcome
from pgqmodel.phrases import counted, often
from pgqmodel.promises import PROMISES
from pgqmodel.report.evidence import evidence
from pgqmodel.simulation import wording
from pgqmodel.simulation.latency import PERCENTILES
from pgqmodel.simulation.plots import LINES_MAX, Panel, frequent, percentiles, timeline
from pgqmodel.simulation.result import Overall, Result
from pgqmodel.simulation.series import Series

__all__ = ["render_index", "render_page"]

_MIB = 1024 * 1024
_GAPS = 4
"""The number of buckets without a value that makes a gap in a curve."""
_SAYS = {
    Overall.HELD: "Every promise that was put to the test held, every check and threshold too.",
    Overall.BROKEN: "A promise broke.",
    Overall.MISSED: "Every promise held, but a check failed or a threshold was missed.",
    Overall.UNKNOWN: "There is no verdict.",
}


@frozen(kw_only=True)
class _Plot:
    """A drawing in two widths; the page shows the one that fits."""

    title: str
    caption: str
    wide: Markup
    narrow: Markup


def render_page(result: Result) -> str:
    """The page, as HTML."""
    return _render(
        "page.html.j2",
        result=result,
        says=_SAYS[result.verdict],
        began=datetime.fromtimestamp(result.started_at, UTC),
        broken=[*result.of(Outcome.BROKEN), *result.of(Outcome.UNKNOWN)],
        tested=[judged for judged in result.promises if judged.outcome is not Outcome.NOT_EXERCISED],
        promises=PROMISES,
        percentiles=list(PERCENTILES),
        latencies={name: value.statistics() for name, value in sorted(result.measures.latencies.items())},
        over_time=[*_latency(result), *_throughput(result)],
        often=frequent(mark.label for mark in result.measures.marks if not mark.phase),
        faults=[mark for mark in result.measures.marks if not mark.phase],
        figures={name: series.statistics() for name, series in sorted(_other_series(result).items())},
        tail=_tail(result),
        machine=[*_cpu(result), *_memory(result), *_waits(result), *_others(result)],
    )


def render_index(results: Sequence[Result], pages: Mapping[str, str]) -> str:
    """One line for each run, with the reasons if it did not hold; `pages` has the links to existing pages."""
    return _render("index.html.j2", results=results, pages=pages)


def _render(template: str, **values: Any) -> str:
    """An HTML page from a template of this package, with the common style."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(_read)
    )
    environment.filters.update(
        number=wording.number, duration=wording.duration, often=often, phrase=wording.phrase, evidence=evidence
    )
    return environment.get_template(template).render(style=Markup(_read("style.css")), **values)  # noqa: S704 - our own


def _read(name: str) -> str:
    return resources.files("pgqmodel.simulation").joinpath(name).read_text(encoding="utf-8")


def _latency(result: Result) -> Iterable[_Plot]:
    panels = [
        Panel(
            title=name,
            points=[(at - result.started_at, bucket.quantile(0.5)) for at, bucket in series.points()],
            upper=[(at - result.started_at, bucket.quantile(0.99)) for at, bucket in series.points()],
            times=True,
            gap=series.width * _GAPS,
        )
        for name, series in _fullest(result.measures.trails).items()
    ]
    caption = "The line is the median, the area above it reaches to the 99th percentile; log scale."
    yield from _timeline(result, "Latency over time", caption, panels)


def _throughput(result: Result) -> Iterable[_Plot]:
    panels = [
        Panel(title=f"{name}, a second", points=[(at - result.started_at, rate) for at, rate in series.rates()])
        for name, series in _fullest(result.measures.rates).items()
    ]
    yield from _timeline(result, "Throughput over time", "How many a second.", panels)


def _cpu(result: Result) -> Iterable[_Plot]:
    panels = _gauges(result, "cpu_percent.", "{}, percent of one core")
    yield from _timeline(result, "CPU", "All processes of a group together; 100 percent is one core.", panels)


def _memory(result: Result) -> Iterable[_Plot]:
    panels = _gauges(result, "rss_bytes.", "{}, MiB", divisor=_MIB)
    caption = "Resident memory, all processes of a group together; pages they share count once for each."
    yield from _timeline(result, "Memory", caption, panels)


def _waits(result: Result) -> Iterable[_Plot]:
    panels = _gauges(result, "lock_waits", "sessions waiting for a lock")
    yield from _timeline(result, "Lock waits", "Sessions that waited for a lock of another, as sampled.", panels)


def _other_series(result: Result) -> dict[str, Series]:
    """The gauges that do not measure the machine."""
    known = ("cpu_percent.", "rss_bytes.", "lock_waits")
    return {name: series for name, series in result.measures.series.items() if not name.startswith(known)}


def _others(result: Result) -> Iterable[_Plot]:
    """Plots of gauges with more than one sample; a figure of the whole run stands only in the table."""
    names = [name for name, series in sorted(_other_series(result).items()) if len(series.buckets) > 1]
    panels = [panel for name in names[:LINES_MAX] for panel in _gauges(result, name, name)]
    yield from _timeline(result, "Other figures over time", "As sampled.", panels)


def _gauges(result: Result, prefix: str, title: str, divisor: float = 1) -> list[Panel]:
    return [
        Panel(
            title=title.format(name.removeprefix(prefix)) if "{}" in title else title,
            points=[(at - result.started_at, bucket.mean / divisor) for at, bucket in series.points()],
            gap=series.width * _GAPS,
        )
        for name, series in sorted(result.measures.series.items())
        if name.startswith(prefix)
    ][:LINES_MAX]


def _fullest(series: Mapping[str, Series]) -> dict[str, Series]:
    """The series with most values, as many as the page has room for, in the order of their names."""
    counted = sorted(series, key=lambda name: -series[name].statistics().get("count", 0))
    return {name: series[name] for name in sorted(counted[:LINES_MAX])}


def _timeline(result: Result, title: str, caption: str, panels: Sequence[Panel]) -> Iterable[_Plot]:
    """The plot, if it has any points; panels without points are left out."""
    panels = [panel for panel in panels if panel.points]
    if not panels:
        return
    marks = [(mark.at - result.started_at, mark.label, mark.phase) for mark in result.measures.marks]
    last = max([result.seconds, *(panel.points[-1][0] for panel in panels)])
    seen = [mark for mark in marks if 0 <= mark[0] <= last]
    marked = counted(len(seen), "fault or phase is", "faults and phases are")
    says = f"{title} of {', '.join(panel.title for panel in panels)}; {marked} marked."
    name = title.lower().replace(" ", "-")
    drawings = [
        Markup(timeline(panels, seen, last or 1.0, name=f"{name}-{width}", says=says, narrow=width == "narrow"))  # noqa: S704
        for width in ("wide", "narrow")
    ]  # safe: plots.py escapes every text that it draws
    yield _Plot(title=title, caption=caption, wide=drawings[0], narrow=drawings[1])


def _tail(result: Result) -> list[_Plot]:
    """The distribution of the latencies, if there are any."""
    found: dict[str, Any] = {name: value for name, value in result.measures.latencies.items() if value.count}
    fullest = sorted(sorted(found, key=lambda name: -found[name].count)[:LINES_MAX])
    curves = {name: [(percent, seconds) for percent, seconds in found[name].distribution()] for name in fullest}
    if not curves:
        return []
    title = "Latency by percentile"
    says = f"{title} of {', '.join(curves)}; the figures are in the table above."
    drawings = [
        Markup(percentiles(curves, name=f"percentiles-{width}", says=says, narrow=width == "narrow"))  # noqa: S704
        for width in ("wide", "narrow")
    ]
    caption = "How slow the slowest are: each further nine takes as much room as the one before."
    return [_Plot(title=title, caption=caption, wide=drawings[0], narrow=drawings[1])]
