from __future__ import annotations

import re

import pytest

from fleet.web.charts import Chart, Form


@pytest.mark.parametrize("form", [form for form in Form if form is not Form.POINTS])
def test_a_chart_names_its_places_and_series_and_has_no_script(form: Form) -> None:
    chart = Chart("通过率", ["一月", "二月"], {"认证": [3, None], "退回 <b>": [1, 2]}, form=form)
    drawn = chart.svg().decode()
    for word in ("一月", "二月", "认证", "退回 &lt;b&gt;"):
        assert word in drawn
    assert "<script" not in drawn
    assert not re.search(r'(?:href|src)="(?:https?:)?//', drawn)


def test_points_are_drawn_with_their_limit() -> None:
    chart = Chart("DET", [], {"a": [(0.1, 0.5), (0.2, 0.3)]}, form=Form.POINTS, marks={"limit": 0.4}, x_title="FMR")
    drawn = chart.svg().decode()
    assert "FMR" in drawn
    assert "limit" in drawn
    assert drawn.count("<circle") == 2


def test_the_same_numbers_are_drawn_alike() -> None:
    chart = Chart("x", ["a", "b"], {"s": [1, 2]})
    assert re.sub(r'id="[^"]*"|#chart-[-0-9a-f]+', "", chart.svg().decode()) == re.sub(
        r'id="[^"]*"|#chart-[-0-9a-f]+', "", chart.svg().decode()
    )
