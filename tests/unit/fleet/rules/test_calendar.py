"""The days that rule packs set."""

from __future__ import annotations

from datetime import date

from fleet.rules.calendar import Occasion, month_grid, rolling, rule_days, weeks
from protocol.rules.pack import RulePack
from protocol.rules.shelf import Shelf
from protocol.shipped_packs import default_pack, shipped_pack


def days(*packs: RulePack, first: str, last: str) -> list[tuple[str, str, str]]:
    found = rule_days(Shelf(packs, default_pack()), date.fromisoformat(first), date.fromisoformat(last))
    return [(str(each.day), each.pack_id, each.occasion.value) for each in found]


def test_r2_6_r2_9_r7_3_the_days_of_an_annual_window() -> None:
    assert days(shipped_pack("SJZ-2017"), first="2026-06-01", last="2027-05-31") == [
        ("2026-06-30", "SJZ-2017", "key_date"),
        ("2026-08-15", "SJZ-2017", "opens"),
        ("2026-10-31", "SJZ-2017", "closes"),
        ("2026-12-01", "SJZ-2017", "stop_from"),
    ]


def test_r2_2_r7_1_the_days_of_half_years() -> None:
    assert days(shipped_pack("LZ-2019"), first="2027-01-01", last="2027-12-31") == [
        ("2027-01-01", "LZ-2019", "half_opens"),
        ("2027-06-30", "LZ-2019", "half_closes"),
        ("2027-07-01", "LZ-2019", "half_opens"),
        ("2027-12-21", "LZ-2019", "stop_from"),
        ("2027-12-31", "LZ-2019", "half_closes"),
    ]


def test_a_window_over_new_year_closes_in_the_year_after() -> None:
    written = shipped_pack("HZ-2020").model_dump(mode="json")
    over = RulePack.model_validate({**written, "cycle": {"kind": "annual_window", "opens": "12-15", "closes": "01-15"}})
    found = days(over, first="2026-12-01", last="2027-02-01")
    assert [each for each in found if each[2] in ("opens", "closes")] == [
        ("2026-12-15", "HZ-2020", "opens"),
        ("2027-01-15", "HZ-2020", "closes"),
    ]


def test_a_version_sets_days_only_while_it_holds() -> None:
    old = shipped_pack("SJZ-2017")
    new = RulePack.model_validate(
        {
            **old.model_dump(mode="json"),
            "version": 2,
            "valid_from": "2027-01-01",
            "cycle": {"kind": "annual_window", "opens": "03-01", "closes": "04-30"},
        }
    )
    found = days(old, new, first="2026-12-01", last="2027-12-31")
    assert ("2027-01-01", "SJZ-2017", "begins") in found
    assert [each[0] for each in found if each[2] == "opens"] == ["2027-03-01"]
    assert [each[0] for each in found if each[2] == "stop_from"] == ["2026-12-01", "2027-12-01"]


def test_the_month_of_birth_opens_every_month() -> None:
    written = shipped_pack("GZ-2018").model_dump(mode="json")
    born = RulePack.model_validate({**written, "cycle": {"kind": "birth_month"}})
    found = days(born, first="2026-11-20", last="2027-02-01")
    assert [each[0] for each in found if each[2] == Occasion.BIRTH_MONTH] == ["2026-12-01", "2027-01-01", "2027-02-01"]


def test_r2_5_who_has_twelve_months_has_no_day_in_common_with_others() -> None:
    shelf = Shelf((shipped_pack("SX-2018"),), default_pack())
    assert [pack.pack_id for pack in rolling(shelf, date(2026, 11, 20))] == ["SX-2018"]
    assert rule_days(shelf, date(2026, 1, 1), date(2026, 12, 31)) == []


def test_weeks_begin_on_monday_and_a_month_has_all_of_its_days() -> None:
    assert weeks(date(2026, 11, 20), 2) == [date(2026, 11, 16), date(2026, 11, 23)]
    grid = month_grid(date(2026, 11, 1))
    assert all(len(week) == 7 for week in grid)
    assert grid[0] == [None] * 6 + [date(2026, 11, 1)]
    assert [day for week in grid for day in week if day] == [date(2026, 11, number) for number in range(1, 31)]
