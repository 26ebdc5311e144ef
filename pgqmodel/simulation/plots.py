"""Plots as SVG inside a page: matplotlib draws them, and the page's style sets colours and type.

Other modules decide what to draw; nothing here knows a simulation.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import matplotlib as mpl
from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from pgqmodel.simulation.wording import duration, number

__all__ = ["FREQUENT", "LINES_MAX", "Panel", "Tag", "frequent", "kind", "percentiles", "timeline"]

FREQUENT = 12
"""A fault that happened more often than this is shown as a row of short ticks instead of long lines."""
LINES_MAX = 6
_INK, _MUTED, _RULE, _ACCENT, _FAULT = "#010101", "#020202", "#030303", "#040404", "#050505"
_COLOURS = {_INK: "--ink", _MUTED: "--muted", _RULE: "--rule", _ACCENT: "--accent", _FAULT: "--fault"}
"""Placeholder colours. The page's style replaces them, so that one drawing works in both colour schemes."""
_STYLES = ((_ACCENT, "-"), (_INK, "-"), (_MUTED, "-"), (_ACCENT, "--"), (_INK, "--"), (_MUTED, "--"))
_WIDTHS = {False: 920, True: 360}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 12,
    "axes.linewidth": 0.8,
    "axes.titley": 1.0,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "text.color": _INK,
    "text.parse_math": False,
    "xtick.color": _RULE,
    "ytick.color": _RULE,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _MUTED,
    "ytick.major.size": 0,
    "grid.color": _RULE,
    "grid.linewidth": 0.8,
}
_LEFT, _RIGHT, _LANE, _TITLE, _AXIS = 62, 10, 16, 38, 44
_LANES = 3
_LEAST_SECONDS = 1e-6
"""The lowest value of a log scale if all times are 0, as on a clock that stands still."""
_LETTER = 6.4
"""The approximate width of a letter, to keep labels apart."""

_TICKS = {False: (0, 50, 90, 99, 99.9, 99.99, 99.999), True: (0, 90, 99, 99.9, 99.99, 99.999)}

Point = tuple[float, float]
Tag = tuple[float, str, bool]
"""A line through all panels: its time, its label, and whether it is a phase of the load (else it is a fault)."""
_TAG_COLOURS = {True: _MUTED, False: _FAULT}


@frozen(kw_only=True)
class Panel:
    """One curve over time with its own scale. `upper` bounds an area above it; `times` are durations on a log scale."""

    title: str
    points: Sequence[Point]
    upper: Sequence[Point] = ()
    times: bool = False
    gap: float = 1.0
    """Points further apart than this are not joined, because nothing was measured between them."""


def timeline(panels: Sequence[Panel], marks: Sequence[Tag], span: float, *, name: str, says: str, narrow: bool) -> str:
    """The panels one below the other on one time axis; each mark is a line through all of them, with a label."""
    width, tall = _WIDTHS[narrow], 84 if narrow else 92
    often = frequent(label for _, label, phase in marks if not phase)
    ticks = [at for at, label, phase in marks if not phase and kind(label) in often]
    placed = _place([tag for tag in marks if tag[2] or kind(tag[1]) not in often], span, width)
    head = _LANE * max([1 + spot.lane for spot in placed], default=0)
    height = head + len(panels) * (tall + _TITLE) + _AXIS
    with mpl.rc_context(_SETTINGS | {"svg.hashsalt": name}):
        figure = Figure(figsize=(width / 72, height / 72))
        for place, panel in enumerate(panels):
            bottom = height - head - (place + 1) * (tall + _TITLE)
            box = (_LEFT / width, bottom / height, (width - _LEFT - _RIGHT) / width, tall / height)
            axes = figure.add_axes(box)
            _draw(axes, panel, span, last=place == len(panels) - 1)
            _tick_often(axes, ticks)
        _mark(figure, placed, head)
        return _svg(figure, name, says)


def kind(label: str) -> str:
    """The kind of a mark: its label without the words that have digits, such as `kill` for `kill w3`."""
    return " ".join(word for word in label.split() if not any(each.isdigit() for each in word)) or label


def frequent(labels: Iterable[str]) -> dict[str, int]:
    """The frequent kinds of marks, with their counts."""
    return {name: count for name, count in Counter(kind(label) for label in labels).items() if count > FREQUENT}


def _draw(axes: Axes, panel: Panel, span: float, *, last: bool) -> None:
    axes.set_title(_line(panel.title), loc="left", fontsize=12, pad=8)
    axes.set_xlim(0, span)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=span > 6))
    axes.tick_params(labelbottom=last)
    if last:
        axes.set_xlabel("seconds since the start", fontsize=12)
    xs, ys = _broken(panel.points, panel.gap)
    alone = _alone(ys)
    if panel.upper:
        _, tops = _broken(panel.upper, panel.gap)
        axes.fill_between(xs, ys, tops, color=_ACCENT, alpha=0.22, linewidth=0)
        for place in alone:
            axes.plot([xs[place]] * 2, [ys[place], tops[place]], color=_ACCENT, alpha=0.22, linewidth=4)
    axes.plot(xs, ys, color=_ACCENT, linewidth=1.6, solid_joinstyle="round")
    axes.plot([xs[place] for place in alone], [ys[place] for place in alone], "o", color=_ACCENT, markersize=4)
    times = [y for y in (*ys, *(y for _, y in panel.upper)) if y > 0] if panel.times else []
    if times:
        _scale_times(axes, times)
    else:
        axes.set_ylim(0, max([y for _, y in panel.points], default=0) * 1.25 or 1)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def _scale_times(axes: Axes, times: Sequence[float]) -> None:
    """A log scale from one power of ten to another, so that values can be read even from a flat curve."""
    axes.set_yscale("log")
    least, most = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)) + 1e-9)
    axes.set_ylim(10.0**least, 10.0 ** max(most, least + 1))
    axes.yaxis.set_major_locator(LogLocator(numticks=5))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _round_time(value)))


def _round_time(seconds: float) -> str:
    """A time for a tick: `1 ms`, not `1.00 ms`."""
    figure, unit = duration(seconds).split(" ")
    return f"{number(round(float(figure.replace(',', '')), 3))} {unit}"


def _broken(points: Sequence[Point], gap: float) -> tuple[list[float], list[float]]:
    """The coordinates, with a break between points that are further apart than the gap."""
    xs: list[float] = []
    ys: list[float] = []
    for x, y in points:
        if xs and x - xs[-1] > gap:
            xs.append((x + xs[-1]) / 2)
            ys.append(math.nan)
        xs.append(x)
        ys.append(y)
    return xs, ys


def _alone(ys: Sequence[float]) -> list[int]:
    """The places of points that are joined to no other one; a curve through a single point would be invisible."""
    holes = [True, *(math.isnan(y) for y in ys), True]
    return [place for place in range(len(ys)) if holes[place] and not holes[place + 1] and holes[place + 2]]


def _line(text: str) -> str:
    """The printable characters of a text in one line, because a drawing can show no control characters."""
    return "".join(each if each.isprintable() else " " for each in text)


def _tick_often(axes: Axes, times: Sequence[float]) -> None:
    if times:
        axes.vlines(times, 0.9, 1.0, transform=axes.get_xaxis_transform(), color=_FAULT, linewidth=1)


@frozen(kw_only=True)
class _Spot:
    """The place of a mark's line and label; lane -1 if no lane is free for the label, so only the line is drawn."""

    x: float
    starts: float
    label: str
    lane: int
    colour: str


def _place(marks: Sequence[Tag], span: float, width: float) -> list[_Spot]:
    """Find a free lane for each mark's label, from left to right."""
    free, placed = [0.0] * _LANES, []
    for at, label, phase in sorted(marks):
        x = _LEFT + at / span * (width - _LEFT - _RIGHT)
        wide = len(label) * _LETTER + 10
        starts = x if x + wide <= width else x - wide - 2
        lane = next((lane for lane, end in enumerate(free) if end <= starts), -1)
        placed.append(_Spot(x=x, starts=starts, label=_line(label), lane=lane, colour=_TAG_COLOURS[phase]))
        if lane >= 0:
            free[lane] = starts + wide
    return placed


def _mark(figure: Figure, placed: Sequence[_Spot], head: float) -> None:
    """A line for each mark from its label's lane down to the axis."""
    width, height = figure.get_figwidth() * 72, figure.get_figheight() * 72
    for spot in placed:
        top = (height - head if spot.lane < 0 else height - 4 - spot.lane * _LANE) / height
        line = Line2D(
            [spot.x / width] * 2, [_AXIS / height, top], color=spot.colour, linewidth=1, alpha=0.7, zorder=0.5
        )
        figure.add_artist(line)
        if spot.lane >= 0:
            figure.text((spot.starts + 4) / width, top, spot.label, color=spot.colour, fontsize=11, va="top")


def percentiles(curves: Mapping[str, Sequence[Point]], *, name: str, says: str, narrow: bool) -> str:
    """Latency over percentile, stretched towards the tail; at most `LINES_MAX` curves of (percent, seconds)."""
    width, height, margin = _WIDTHS[narrow], 260 if narrow else 320, 96 if narrow else 150
    drawn = {label: curve for label, curve in curves.items() if curve}
    nines = max([_nines(percent) for curve in drawn.values() for percent, _ in curve if percent < 100], default=0.0)
    nines = nines or 1.0
    with mpl.rc_context(_SETTINGS | {"svg.hashsalt": name}):
        figure = Figure(figsize=(width / 72, height / 72))
        box = (_LEFT / width, _AXIS / height, (width - _LEFT - margin) / width, (height - _AXIS - 14) / height)
        axes = figure.add_axes(box)
        times = [y for curve in drawn.values() for _, y in curve if y > 0] or [_LEAST_SECONDS]
        for (label, curve), (colour, dash) in zip(drawn.items(), _STYLES, strict=False):
            xs = [min(_nines(percent), nines) for percent, _ in curve]
            ys = [max(y, min(times)) for _, y in curve]  # 0 has no logarithm
            axes.plot(xs, ys, dash, color=colour, linewidth=1.8, label=label)
        _scale_times(axes, times)
        axes.grid(axis="both")
        axes.set_xlim(0, nines)
        ticks = [_nines(percent) for percent in _TICKS[narrow]]
        axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if tick <= nines]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 - 100 / 10**value:.6g}"))
        axes.set_xlabel("percentile", fontsize=12)
        _label_ends(axes, list(drawn), height - _AXIS - 14, letters=int((margin - 8) / _LETTER))
        return _svg(figure, name, says)


def _nines(percent: float) -> float:
    return -math.log10(max(1 - percent / 100, 1e-9))


def _label_ends(axes: Axes, labels: Sequence[str], tall: float, letters: int) -> None:
    """Write each curve's name beside its end, and move names apart that would overlap."""
    low, high = (math.log10(limit) for limit in axes.get_ylim())
    ends = []
    for line, label in zip(axes.get_lines(), labels, strict=False):
        last = max(float(line.get_ydata()[-1]), 10**low)  # type: ignore[index, arg-type]
        ends.append(((math.log10(last) - low) / (high - low) * tall, _line(label), line.get_color()))
    above = -math.inf
    for y, label, colour in sorted(ends, key=lambda end: end[0]):
        above = max(y, above + 15)
        short = label if len(label) <= letters else f"{label[: letters - 2]}.."
        axes.text(1.012, above / tall, short, transform=axes.transAxes, color=colour, va="center", fontsize=12)


def _svg(figure: Figure, name: str, says: str) -> str:
    """The drawing as an element of an HTML page: its ids are unique, colours and type come from the page."""
    written = io.StringIO()
    with warnings.catch_warnings():
        # The browser draws the letters; matplotlib only measures them, so missing glyphs do not matter.
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    drawing = written.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    for pattern, instead in _CHANGES:
        drawing = re.sub(pattern, instead, drawing, flags=re.DOTALL)
    for stand_in, variable in _COLOURS.items():
        drawing = drawing.replace(stand_in, f"var({variable})")
    drawing = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", drawing)
    box = re.search(r'viewBox="[^"]*"', drawing)
    assert box
    rest = drawing[drawing.index(">") + 1 :]
    return f'<svg role="img" aria-label="{escape(says)}" {box[0]}>{rest}'


_CHANGES = (
    (r"<metadata>.*?</metadata>", ""),
    (r"<style[^>]*>.*?</style>", ""),
    (r"<!--.*?-->", ""),
    (r"; font-family: [^;\"]*", ""),
    (r' transform="rotate\(-0 [^"]*"', ""),
    (r"xlink:href", "href"),
    (r"\n\s*", "\n"),
)
"""Parts of the SVG that the page does not need, or sets itself."""
