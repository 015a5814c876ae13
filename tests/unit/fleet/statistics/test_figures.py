from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.statistics.fairness import by_age, by_region, cells_of
from fleet.statistics.figures import Cell, apart, hide_small, merge_bands, risk_ratio, wilson, worst_to_best
from fleet.store.areas import Area


def test_wilson_gives_the_published_interval() -> None:
    # Source: R. G. Newcombe, Stat. Med. 17 (1998) 857-872, table I, method 3: 81/263, 15/148, 0/20, 1/29.
    for successes, trials, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = wilson(successes, trials)
        assert found is not None
        assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    assert wilson(0, 0) is None


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share_and_stays_within_0_and_1(trials: int, data: st.DataObject) -> None:
    found = wilson(data.draw(st.integers(0, trials)), trials)
    assert found is not None
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_feature_84_the_ratio_of_worst_to_best_has_its_interval() -> None:
    # Worked by hand: (20/100) / (10/100) = 2; half width 1.96 * sqrt(1/20 - 1/100 + 1/10 - 1/100) = 0.7067 on the logarithm.
    found = risk_ratio((20, 100), (10, 100))
    assert (found.value, found.low, found.high) == (
        pytest.approx(2),
        pytest.approx(0.9866, abs=1e-3),
        pytest.approx(4.0544, abs=1e-3),
    )
    nothing = risk_ratio((5, 50), (0, 50))
    assert nothing.low < nothing.value < nothing.high
    cells = [Cell("60-64", 110, 10, 10), Cell("65-69", 100, 20, 0), Cell("70-74", 20, 19, 0, is_hidden=True)]
    ratio = worst_to_best(cells)
    assert ratio is not None
    assert (ratio.worst, ratio.best) == ("65-69", "60-64"), "what is hidden takes no part"
    assert worst_to_best(cells[:1]) is None


def test_feature_84_small_age_bands_are_merged_with_their_neighbours() -> None:
    cells = {
        name: Cell(name, sessions, 1, 0)
        for name, sessions in {"60-64": 3, "65-69": 4, "70-74": 20, "75-79": 30, "85-89": 6, "90+": 2}.items()
    }
    assert [(cell.key, cell.sessions, cell.failed, cell.is_hidden) for cell in by_age(cells, 10)] == [
        ("60-74", 27, 3, False),
        ("75+", 38, 3, False),
    ]


def test_feature_84_a_single_small_cell_takes_the_next_smallest_with_it() -> None:
    cells = [Cell("a", 4, 1, 0), Cell("b", 30, 1, 0), Cell("c", 50, 1, 0), Cell("d", 0, 0, 0)]
    assert [cell.key for cell in hide_small(cells, 10) if cell.is_hidden] == ["a", "b"]
    two = [Cell("a", 4, 1, 0), Cell("b", 5, 1, 0), Cell("c", 50, 1, 0), Cell("e", 60, 1, 0)]
    assert [cell.key for cell in hide_small(two, 10) if cell.is_hidden] == ["a", "b", "c"], "nine together are too few"


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12), st.integers(3, 20))
def test_feature_84_no_hidden_cell_can_be_computed_from_the_total(parts: list[tuple[int, int]], least: int) -> None:
    cells = [Cell(str(place), a + b, 0, b) for place, (a, b) in enumerate(parts)]
    shown = hide_small(cells, least)
    hidden = [cell for cell in shown if cell.is_hidden]
    assert all(cell.finished >= least or not cell.sessions for cell in shown if not cell.is_hidden)
    if hidden and any(cell.sessions for cell in shown if not cell.is_hidden):
        assert len(hidden) >= 2
        assert sum(cell.finished for cell in hidden) >= least
    assert [(c.key, c.sessions) for c in shown] == [(c.key, c.sessions) for c in cells]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(3, 20))
def test_merging_bands_loses_nobody(sizes: list[int], least: int) -> None:
    cells = [Cell(f"{60 + 5 * place}-{64 + 5 * place}", size, 0, 0) for place, size in enumerate(sizes)]
    merged = merge_bands(cells, least)
    assert sum(cell.sessions for cell in merged) == sum(sizes)
    assert len(merged) == 1 or all(cell.finished >= least for cell in merged)


def test_regions_are_hidden_among_their_neighbours_and_unknown_ones_stand_alone() -> None:
    areas = {
        "1": Area("1", None, 1, "p"),
        **{f"1{n}": Area(f"1{n}", "1", 2, "c") for n in range(2)},
        **{f"1{n}{m}": Area(f"1{n}{m}", f"1{n}", 3, "x") for n in range(2) for m in range(3)},
    }
    sessions = {"100": 5, "101": 30, "102": 40, "110": 50, "111": 60, "away": 70}
    cells = {key: Cell(key, number, 0, 0) for key, number in sessions.items()}
    found = {cell.key: cell.is_hidden for cell in by_region(cells, areas, 3, 10)}
    assert found == {"100": True, "101": True, "102": False, "110": False, "111": False, "away": False}
    assert {cell.key: cell.sessions for cell in by_region(cells, areas, 2, 10)} == {"10": 75, "11": 110, "away": 70}


def test_sessions_with_nothing_to_compare_with_are_no_failures() -> None:
    rows = [
        ("a", "certified", 5),
        ("a", "no_reference", 7),
        ("a", "poor_sample", 2),
        ("a", "review", 1),
        ("a", "cancelled", 3),
    ]
    assert cells_of(rows) == {"a": Cell("a", 11, 2, 3)}


def test_feature_84_a_cell_stands_out_where_its_interval_lies_above_that_of_all_others_together() -> None:
    cells = [Cell("a", 400, 20, 0), Cell("b", 400, 24, 0), Cell("c", 200, 40, 50), Cell("d", 30, 30, 0, is_hidden=True)]
    assert apart(cells) == ["c"], "40 of 150 against 44 of 800; the hidden one is on neither side"
    assert apart(cells, abandon=True) == ["c"]
    assert apart([Cell("a", 400, 20, 0), Cell("b", 40, 4, 0)]) == [], "5 and 10 %, and too few to say so"
    assert apart([Cell("a", 100, 100, 0)]) == [], "there are no others"
    assert apart([Cell("a", 40, 0, 40), Cell("b", 40, 0, 0)], abandon=True) == ["a"]


def test_feature_84_a_few_sessions_never_stand_out() -> None:
    few, many = Cell("few", 10, 2, 0), [Cell(f"c{number}", 200, 6, 0) for number in range(5)]
    assert few.failure().low > wilson(30, 1000).high, "5.7 to 51 %, and everybody else 2.1 to 4.3 %"  # type: ignore[union-attr]
    assert apart([few, *many]) == []
    assert apart([Cell("more", 100, 20, 0), *many]) == ["more"]
