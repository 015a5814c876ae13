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


@pytest.mark.parametrize("form", [Form.BAR, Form.SIDEWAYS, Form.LINE])
def test_an_interval_is_drawn_around_its_number_and_none_is_cut_off(form: Form) -> None:
    chart = Chart("rate", ["a", "b"], {"s": [10.0, 20.0]}, form=form, intervals={"s": [(5.0, 80.0), None]})
    drawn = chart.svg().decode()
    assert drawn.count('class="ci"') == 1
    assert re.search(r">80(?:\.0)?<", drawn), "the axis reaches to the end of the interval"


def test_sideways_the_first_place_stands_above_the_others_as_in_the_table() -> None:
    drawn = Chart("x", ["first", "last"], {"s": [1, 2]}, form=Form.SIDEWAYS).svg().decode()
    heights = {
        name: float(re.search(rf'y="([0-9.]+)"[^>]*>{name}<', drawn)[1])  # type: ignore[index]
        for name in ("first", "last")
    }
    assert heights["first"] < heights["last"]


def test_a_logarithmic_axis_has_a_line_for_each_power_of_ten() -> None:
    points = [(0.0002, 20.0), (3.0, 0.5)]
    drawn = Chart("DET", [], {"a": points}, form=Form.POINTS, logarithmic=True).svg().decode()
    found = re.findall(r"<text[^>]*>([0-9.]+)</text>", drawn)
    assert {"0.0001", "0.001", "0.01", "0.1", "1", "10"} <= set(found)
    assert set(found) <= {f"{10.0**power:g}" for power in range(-4, 3)}
