"""Charts: what is drawn where, by hand, and texts escaped."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spatialreasoner.report import charts
from spatialreasoner.report.charts import Bars, Curve, Series

NAMES = ["a<b", "c&d", "e", "f"]


def parsed(chart: str) -> ElementTree.Element:
    return ElementTree.fromstring(chart)


def test_radar_puts_shares_on_their_axes() -> None:
    chart = charts.radar(NAMES, [Series(label="m", values=[1.0, 0.5, None, 0.0])], title="t")
    points = parsed(chart).find(".//polygon[@class='area s0']")
    assert points is not None
    assert points.get("points") == "0.0,-150.0 75.0,0.0 0.0,0.0 -0.0,0.0"


def test_forest_draws_one_dot_a_known_value() -> None:
    series = [
        Series(label="m", values=[0.5, None, 1.0, 0.0], lows=[0.4, None, 0.9, None], highs=[0.6, None, 1.0, None]),
        Series(label="n", values=[0.1, 0.2, 0.3, 0.4]),
    ]
    tree = parsed(charts.forest(NAMES, series, title="t"))
    assert len(tree.findall(".//circle[@class='dot s0']")) == 3
    assert len(tree.findall(".//path[@class='whisker s0']")) == 2
    assert len(tree.findall(".//circle[@class='dot s1']")) == 4
    assert "a<b" in [text.text for text in tree.findall(".//text")]


def test_lines_reach_from_the_first_to_the_last_step() -> None:
    chart = charts.lines([Curve(label="x", points=[(0, 0.0), (10, 1.0)])], title="loss")
    line = parsed(chart).find(".//polyline")
    assert line is not None
    assert line.get("points") == "52.0,176.0 352.0,26.0"
    assert charts.lines([], title="t") == ""


def test_scatter_leaves_out_what_has_no_logarithm() -> None:
    chart = charts.scatter([(1.0, 1.1, True), (1.0, 3.0, False), (1.0, 0.0, False), (0.0, 1.0, False)], title="t")
    assert (chart.count('class="hit"'), chart.count('class="miss"')) == (1, 1)


def test_histogram_counts_every_value_once() -> None:
    values = [0.0, 0.1, 1.0, 2.5, 5.0, 5.0]
    tree = parsed(charts.histogram([Bars(label="x", values=values)], title="t", x_name="x"))
    heights = [float(bar.get("height", 0)) for bar in tree.findall(".//rect")]
    ticks = [float(text.text or 0) for text in tree.findall(".//text") if re.fullmatch(r"[\d.]+", text.text or "")]
    assert sum(heights) == pytest.approx(150 * len(values) / 2)  # the fullest bin has two: the axis ends there
    assert 5 in ticks


@example(0.0, 5e-324)
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_ticks_are_few_and_hold_the_values(one: float, other: float) -> None:
    chart = parsed(charts.lines([Curve(label="x", points=[(0, one), (1, other)])], title="t"))
    ticks = [float(text.text or 0) for text in chart.findall(".//text[@text-anchor='end']")][:-1]  # the last is the last step
    low, high = sorted((one, other))
    slack = 1e-5 * max(abs(low), abs(high), 1e-6)  # they are written with six digits
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= 11
