from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from models.tools.plots import Axis, Rate, Series, line_plot, rate_plot

LINEAR = Axis("score", -0.3, 1.0)
LOG = Axis("rate", 1e-4, 1.0, is_log=True)


def drawn(name: str = "a & b") -> str:
    return line_plot("<title>", LINEAR, LOG, [Series(name, [(0.0, 0.5), (0.5, 0.01), (9.0, 1e-9)])])


def test_a_plot_is_well_formed_whatever_its_texts_say():
    for text in (drawn('"<&>'), rate_plot("a < b", [Rate("print & cut", 0.1, (0.0, 0.3))])):
        assert ET.fromstring(text).tag.endswith("svg")


def test_the_same_figures_give_the_same_bytes():
    assert drawn() == drawn()


def test_what_lies_beyond_an_axis_is_put_at_its_end():
    points = next(line for line in drawn().splitlines() if line.startswith("<polyline")).split('"')[1].split()
    x, y = map(float, points[-1].split(","))
    frame = ET.fromstring(drawn()).find("{http://www.w3.org/2000/svg}rect")
    assert frame is not None
    left, top, width, height = (float(frame.attrib[name]) for name in ("x", "y", "width", "height"))
    assert (x, y) == pytest.approx((left + width, top + height))


def test_ticks_are_round_and_inside():
    assert LOG.ticks() == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    assert Axis("", 0.0, 1.0).ticks() == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert all(LINEAR.low <= tick <= LINEAR.high for tick in LINEAR.ticks())


def test_larger_values_lie_further_along():
    assert LOG.place(1e-4) == 0.0
    assert LOG.place(1e-2) == pytest.approx(0.5)
    assert LINEAR.place(1.0) == 1.0
