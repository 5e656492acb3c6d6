"""Charts as inline SVG: no scripts, no fonts of their own, colours from the page's style sheet (classes `s0`, `s1`, ...)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from markupsafe import Markup, escape


@dataclass(frozen=True, kw_only=True)
class Series:
    """One model's shares by category, 0..1, with the ends of their intervals; None if there are no items."""

    label: str
    values: Sequence[float | None]
    lows: Sequence[float | None] = ()
    highs: Sequence[float | None] = ()


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line through points (x, y); `style` is the number of its colour."""

    label: str
    points: Sequence[tuple[float, float]]
    style: int = 0


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Values to count in a histogram; `style` is the number of their colour."""

    label: str
    values: Sequence[float]
    style: int = 0


def radar(axes: Sequence[str], series: Sequence[Series], *, title: str) -> Markup:
    """A radar chart of shares, as in the paper's figure 1: the rim is 100 %."""
    size, radius = 460, 150
    angles = [2 * math.pi * index / len(axes) - math.pi / 2 for index in range(len(axes))]

    def at(angle: float, share: float) -> str:
        return f"{radius * share * math.cos(angle):.1f},{radius * share * math.sin(angle):.1f}"

    rings = [f'<polygon class="grid" points="{" ".join(at(a, ring) for a in angles)}"/>' for ring in (0.25, 0.5, 0.75, 1)]
    spokes = [f'<path class="grid" d="M0,0L{at(angle, 1)}"/>' for angle in angles]
    names = [_axis_name(angle, radius + 14, name) for angle, name in zip(angles, axes, strict=True)]
    rim = [f'<text class="tick" x="3" y="{-radius * ring + 10:.0f}">{ring:.0%}</text>' for ring in (0.5, 1)]
    shapes = [
        f'<polygon class="area s{index}" points="{" ".join(at(a, v or 0) for a, v in zip(angles, one.values, strict=True))}"/>'
        for index, one in enumerate(series)
    ]
    body = "".join([*rings, *spokes, *names, *rim, *shapes])
    return _svg(f"{-size / 2} {-200} {size} 400", body, title=title, css="radar")


def _axis_name(angle: float, distance: float, name: str) -> str:
    x, y = distance * math.cos(angle), distance * math.sin(angle)
    anchor = "middle" if abs(x) < 20 else ("start" if x > 0 else "end")
    return f'<text class="axis" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{escape(name)}</text>'


def forest(rows: Sequence[str], series: Sequence[Series], *, title: str) -> Markup:
    """Dots with interval bars: one row per category, one dot per model, from 0 to 100 %."""
    left, width, lane, gap = 130, 390, 11, 12
    height = len(series) * lane + gap
    marks: list[str] = []
    for tick in (0, 25, 50, 75, 100):
        x = left + width * tick / 100
        marks.append(f'<path class="grid" d="M{x:.1f},0V{len(rows) * height}"/>')
        marks.append(f'<text class="tick" x="{x:.1f}" y="{len(rows) * height + 14}" text-anchor="middle">{tick} %</text>')
    for row, name in enumerate(rows):
        top = row * height
        middle = top + height / 2
        marks.append(f'<text class="axis" x="{left - 12}" y="{middle + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        for index, one in enumerate(series):
            marks += _interval(one, row, index, left, width, top + gap / 2 + lane * (index + 0.5))
    return _svg(f"0 0 {left + width + 20} {len(rows) * height + 20}", "".join(marks), title=title, css="forest")


def _interval(one: Series, row: int, index: int, left: float, width: float, y: float) -> list[str]:
    value = one.values[row]
    if value is None:
        return []
    marks = [f'<circle class="dot s{index}" cx="{left + width * value:.1f}" cy="{y:.1f}" r="3.6"/>']
    low = one.lows[row] if one.lows else None
    high = one.highs[row] if one.highs else None
    if low is not None and high is not None:
        span = f"M{left + width * low:.1f},{y:.1f}H{left + width * high:.1f}"
        marks.insert(0, f'<path class="whisker s{index}" d="{span}"/>')
    return marks


def lines(curves: Sequence[Curve], *, title: str, x_name: str = "step", zero: bool = False) -> Markup:
    """Curves over one pair of axes, with a legend where there is more than one."""
    drawn = [curve for curve in curves if curve.points]
    xs = [x for curve in drawn for x, _ in curve.points]
    ys = [y for curve in drawn for _, y in curve.points] + ([0.0] if zero else [])
    if not xs:
        return Markup("")
    left, top, width, height = 52, 26, 300, 150
    x_low, x_high = min(xs), max(max(xs), min(xs) + 1)
    ticks = _ticks(min(ys), max(ys))
    y_low, y_high = ticks[0], ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        return left + width * (x - x_low) / (x_high - x_low), top + height * (1 - (y - y_low) / (y_high - y_low))

    marks = [f'<text class="chart-title" x="{left}" y="14">{escape(title)}</text>']
    for tick in ticks:
        y = place(x_low, tick)[1]
        marks.append(f'<path class="grid" d="M{left},{y:.1f}H{left + width}"/>')
        marks.append(f'<text class="tick" x="{left - 6}" y="{y + 3.5:.1f}" text-anchor="end">{tick:g}</text>')
    for x, anchor in ((x_low, "start"), (x_high, "end")):
        marks.append(
            f'<text class="tick" x="{place(x, y_low)[0]:.1f}" y="{top + height + 16}" text-anchor="{anchor}">{x:g}</text>'
        )
    middle = left + width / 2
    marks.append(f'<text class="tick" x="{middle}" y="{top + height + 16}" text-anchor="middle">{escape(x_name)}</text>')
    for curve in drawn:
        marks.append(_curve(curve, [place(x, y) for x, y in curve.points]))
    if len(drawn) > 1:
        marks += _legend(drawn, left, top + height + 32)
    return _svg(
        f"0 0 {left + width + 12} {top + height + (42 if len(drawn) > 1 else 24)}", "".join(marks), title=title, css="lines"
    )


def _curve(curve: Curve, points: Sequence[tuple[float, float]]) -> str:
    if len(points) == 1:
        return f'<circle class="dot s{curve.style}" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3"/>'
    return f'<polyline class="curve s{curve.style}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _legend(curves: Sequence[Curve], left: float, y: float) -> list[str]:
    marks: list[str] = []
    x = left
    for curve in curves:
        marks.append(f'<path class="curve s{curve.style}" d="M{x},{y}h16"/>')
        marks.append(f'<text class="tick" x="{x + 21}" y="{y + 3.5}">{escape(curve.label)}</text>')
        x += 40 + 6.2 * len(curve.label)
    return marks


def _ticks(low: float, high: float, *, intervals: int = 4) -> list[float]:
    """Round numbers from below the lowest value to above the highest, with about `intervals` intervals.

    >>> _ticks(0.12, 0.71)
    [0.0, 0.2, 0.4, 0.6, 0.8]
    """
    span = high - low if high - low > 1e-9 else max(abs(high), 1e-6)
    rough = span / intervals
    unit = 10 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 2.5, 5, 10) if factor * unit >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, max(last, first + 1) + 1)]


def scatter(points: Sequence[tuple[float, float, bool]], *, title: str) -> Markup:
    """Predicted against true lengths on logarithmic axes, metres; the band is what counts as right (within 25 %).

    Args:
        points: (true, predicted, whether right); values that are not positive are left out.
        title: The chart's name.
    """
    shown = [(truth, said, right) for truth, said, right in points if truth > 0 and 1e-4 < said < 1e5]
    if not shown:
        return Markup("")
    side, left, top = 240, 46, 26
    values = [value for truth, said, _ in shown for value in (truth, said)]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)

    def place(value: float) -> float:
        return side * (math.log10(value) - low) / (high - low)

    marks = [f'<text class="chart-title" x="{left}" y="14">{escape(title)}</text>']
    for power in range(low, high + 1):
        at = side * (power - low) / (high - low)
        marks.append(f'<path class="grid" d="M{left + at:.1f},{top}v{side}M{left},{top + at:.1f}h{side}"/>')
        name = f"{10.0**power:g}"
        marks.append(f'<text class="tick" x="{left + at:.1f}" y="{top + side + 15}" text-anchor="middle">{name}</text>')
        marks.append(f'<text class="tick" x="{left - 6}" y="{top + side - at + 3.5:.1f}" text-anchor="end">{name}</text>')
    shift_up, shift_down = (side * math.log10(factor) / (high - low) for factor in (1.25, 0.75))
    corners = [(0, -shift_down), (0, -shift_up), (side, -shift_up), (side, -shift_down)]
    band = " ".join(f"{left + x:.1f},{top + side + (y - (side if x else 0)):.1f}" for x, y in corners)
    clip = f"clip-{crc32(title.encode())}"
    marks.append(f'<clipPath id="{clip}"><rect x="{left}" y="{top}" width="{side}" height="{side}"/></clipPath>')
    marks.append(f'<polygon class="band" clip-path="url(#{clip})" points="{band}"/>')
    for truth, said, right in shown:
        x, y = left + place(truth), top + side - place(said)
        marks.append(f'<circle class="{"hit" if right else "miss"}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>')
    marks.append(f'<text class="tick" x="{left + side / 2}" y="{top + side + 30}" text-anchor="middle">true, metres</text>')
    marks.append(
        f'<text class="tick" transform="translate(10,{top + side / 2})rotate(-90)" text-anchor="middle">answered, metres</text>'
    )
    return _svg(f"0 0 {left + side + 12} {top + side + 36}", "".join(marks), title=title, css="scatter")


def histogram(series: Sequence[Bars], *, title: str, x_name: str) -> Markup:
    """How values are spread: bars side by side, one colour per series, at most twelve bins."""
    values = [value for one in series for value in one.values]
    if not values:
        return Markup("")
    left, top, width, height = 40, 26, 380, 150
    edges = _ticks(min(values), max(values), intervals=10)
    step = edges[1] - edges[0]
    counts = [[sum(low <= value < low + step for value in one.values) for low in edges[:-1]] for one in series]
    for one, count in zip(series, counts, strict=True):
        count[-1] += sum(value == edges[-1] for value in one.values)  # the last bin holds its upper end
    ticks = _ticks(0, max(map(max, counts)))
    lane = width / (len(edges) - 1)
    bar = lane * 0.8 / len(series)
    marks = [f'<text class="chart-title" x="{left}" y="14">{escape(title)}</text>']
    for tick in ticks:
        y = top + height * (1 - tick / ticks[-1])
        marks.append(f'<path class="grid" d="M{left},{y:.1f}h{width}"/>')
        marks.append(f'<text class="tick" x="{left - 6}" y="{y + 3.5:.1f}" text-anchor="end">{tick:g}</text>')
    for place, edge in enumerate(edges):
        x = left + lane * place
        marks.append(f'<text class="tick" x="{x:.1f}" y="{top + height + 15}" text-anchor="middle">{edge:g}</text>')
    for index, (one, count) in enumerate(zip(series, counts, strict=True)):
        for place, number in enumerate(count):
            x, tall = left + lane * (place + 0.1) + bar * index, height * number / ticks[-1]
            shape = f'x="{x:.1f}" y="{top + height - tall:.1f}" width="{bar:.1f}" height="{tall:.1f}"'
            marks.append(f'<rect class="fill s{one.style}" {shape}/>')
    marks.append(
        f'<text class="tick" x="{left + width / 2}" y="{top + height + 31}" text-anchor="middle">{escape(x_name)}</text>'
    )
    legend = [Curve(label=one.label, points=(), style=one.style) for one in series]
    marks += _legend(legend, left, top + height + 46)
    return _svg(f"0 0 {left + width + 14} {top + height + 54}", "".join(marks), title=title, css="histogram")


def _svg(view_box: str, body: str, *, title: str, css: str) -> Markup:
    # every text in `body` was escaped where it was written
    return Markup(f'<svg class="{css}" viewBox="{view_box}" role="img" aria-label="{escape(title)}">{body}</svg>')
