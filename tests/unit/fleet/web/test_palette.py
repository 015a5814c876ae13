"""What means something has one colour everywhere, that can be seen, and is told by more than colour."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest

import fleet.web
from fleet.store.stops import Stage
from fleet.terminals.standing import Concern, Standing
from fleet.web import palette
from fleet.web.charts import Chart, Form
from fleet.web.texts import load_texts
from protocol.outcomes import Outcome
from protocol.rules.obligations import CertificationState

WEB = Path(fleet.web.__file__).parent
TABLES: Mapping[str, Mapping[str, Any]] = tomllib.loads((WEB / "palette.toml").read_text(encoding="utf-8"))
DRAWN = [name for name, table in TABLES.items() if name != "kinds" and all("fill" in each for each in table.values())]
CODES = {
    "states": set(CertificationState),
    "outcomes": {*Outcome, "others"},
    "terminals": {*Standing, *Concern},
    "stages": set(Stage),
    "benefits": set(load_texts()["en"]["people"]["benefit_states"]),
}


def channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, relative luminance and contrast ratio."""

    def luminance(colour: str) -> float:
        linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels(colour)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_counted_as_the_standard_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("table", DRAWN)
def test_a_fill_stands_out_from_white_and_no_two_of_a_chart_are_alike(table: str) -> None:
    tones = [palette.tone_of(table, code) for code in TABLES[table] if code != "others"]
    assert [tone for tone in tones if contrast(tone.fill, "#ffffff") < 3] == []
    assert [pair for pair in combinations(tones, 2) if pair[0].fill == pair[1].fill] == []


@pytest.mark.parametrize("table", ["states", "outcomes", "zones", "messages"])
def test_parts_of_a_bar_that_lie_beside_each_other_differ_in_their_hatching(table: str) -> None:
    hatches = [palette.tone_of(table, code).hatch for code in TABLES[table] if code != "others"]
    assert all(one is not other for one, other in pairwise(hatches))
    assert len(set(hatches)) == len(hatches) or table == "outcomes"


def test_an_ink_is_read_on_its_ground_and_on_white() -> None:
    for kind in palette.kinds().values():
        assert contrast(kind.ink, kind.ground) >= 4.5
        assert contrast(kind.ink, "#ffffff") >= 4.5
    assert len({kind.symbol for kind in palette.kinds().values()}) == len(palette.kinds())


@pytest.mark.parametrize("table", CODES)
def test_every_code_has_a_place_and_no_place_is_of_nothing(table: str) -> None:
    assert set(TABLES[table]) == {str(code) for code in CODES[table]}
    assert {each["kind"] for each in TABLES[table].values()} <= set(palette.kinds())


def test_what_is_bad_is_never_green_and_what_is_good_always() -> None:
    for table in DRAWN:
        for code, found in TABLES[table].items():
            red, green, blue = channels(found["fill"])
            is_green = green > 1.2 * red and green > 1.2 * blue
            assert is_green == (found.get("kind") == "good"), (table, code)


def test_a_meaning_has_one_colour_in_all_tables_and_other_series_have_none_of_them() -> None:
    by_code: dict[str, set[str]] = {}
    for table in DRAWN:
        for code, found in TABLES[table].items():
            by_code.setdefault(code, set()).add(found["fill"])
    assert [code for code, fills in by_code.items() if len(fills) > 1] == []
    meant = {found["fill"] for table in DRAWN if table != "series" for found in TABLES[table].values()}
    assert not meant & {tone.fill for tone in palette.series()}


def test_the_style_sheet_has_the_colours_of_the_badges() -> None:
    sheet = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", (WEB / "static/console/base.css").read_text("utf-8")))
    for name, kind in palette.kinds().items():
        assert (sheet[name], sheet[f"{name}-ground"]) == (kind.ink, kind.ground)


@pytest.mark.parametrize(
    "shown", [["certified", "overdue"], ["overdue", "certified"], ["overdue"], list(TABLES["states"])]
)
def test_a_chart_draws_what_means_something_in_its_colour_wherever_it_stands(shown: list[str]) -> None:
    tones = [palette.tone_of("states", state) for state in shown]
    drawn = Chart("x", ["a", "b"], {each: [1, 1] for each in shown}, Form.STACKED, tones=tones).svg().decode()
    fills = dict(re.findall(r"\.color-(\d) a:visited\{stroke:#[0-9a-f]{6};fill:(#[0-9a-f]{6})\}", drawn))
    assert [fills[str(place)] for place in range(len(shown))] == [tone.fill for tone in tones]
    hatched = re.findall(r'<rect [^>]*style="fill: url\(#hatch-color-(\d+)\)"', drawn)
    # Both bars and the square in the legend.
    expected = [str(place) for place, tone in enumerate(tones) if tone.hatch is not palette.Hatch.NONE] * 3
    assert sorted(hatched) == sorted(expected if len(shown) > 1 else [])


def test_bars_of_states_have_the_colours_of_their_states() -> None:
    states = list(TABLES["states"])
    tones = [palette.tone_of("states", each) for each in states]
    drawn = Chart("x", states, {"people": [1, 2, 3, 4, 5]}, Form.SIDEWAYS, tones=tones).svg().decode()
    assert set(re.findall(r'style="fill: (#[0-9a-f]{6})', drawn)) == {tone.fill for tone in tones}


def test_a_fill_is_drawn_as_dark_as_it_is_written() -> None:
    drawn = Chart("x", ["a"], {"one": [1], "other": [2]}, Form.STACKED).svg().decode()
    assert set(re.findall(r"\.reactive\{[^}]*?fill-opacity:([\d.]+)", drawn)) == {"1"}


def test_lines_are_told_apart_by_their_dashes_and_a_limit_from_all_of_them() -> None:
    chart = Chart("x", ["a", "b"], {f"s{n}": [n, n] for n in range(8)}, marks={"limit": 2})
    dashes = re.findall(r"\.serie-\d[^{]*\{[^}]*stroke-dasharray:([^;}]+)", chart.svg().decode())
    assert len(dashes) == len(set(dashes)) == 9
