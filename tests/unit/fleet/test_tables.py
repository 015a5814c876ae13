"""Tables of the command line: no word is cut, whatever the width."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape

from fleet.commands.shared import table

IDS = ("0123456789abcdef" * 2, "fedcba9876543210" * 2)
WORDS = "came to the counter with a relative and asked for another day"


def printed(width: int, *names: str, rows: list[tuple[str, ...]]) -> str:
    made = table(*names)
    for row in rows:
        made.add_row(*(escape(cell) for cell in row))
    out = io.StringIO()
    Console(file=out, width=width).print(made)
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 300])
def test_an_id_is_never_cut_in_two(width: int) -> None:
    shown = printed(
        width, "case", "subject", "kind", "more", rows=[(*IDS, "form", f"reports=event:{IDS[0]} [x] {WORDS}")] * 2
    )
    assert all(shown.count(each) >= 2 for each in IDS)
    assert f"event:{IDS[0]}" in shown
    assert "[x]" in shown
    assert max(map(len, shown.splitlines())) <= width


def test_where_there_is_no_room_rows_are_lines() -> None:
    shown = printed(60, "case", "subject", "planned", rows=[(*IDS, "")])
    assert shown.splitlines()[:2] == [f"case: {IDS[0]}", f"subject: {IDS[1]}"]
    assert "planned" not in shown


def test_a_table_without_ids_is_a_table_at_any_width() -> None:
    shown = printed(40, "state", "people", rows=[("certified", "17"), (WORDS, "3")])
    assert set(shown.splitlines()[1]) == {"─"}
    assert printed(40, "state", rows=[]).count("state") == 1


@pytest.mark.parametrize("width", range(20, 130, 7))
def test_no_word_is_cut_and_no_line_is_longer_than_the_window(width: int) -> None:
    rows = [
        ("east-village-2", "decommissioned", "2026-11-20", "from east-village-1, to east-village-2b"),
        ("hall-1", "in_service", "2026-11-20", "东村卫生服务站一楼大厅"),
    ]
    shown = printed(width, "terminal", "state", "since", "place", rows=rows)
    words = {word for row in rows for cell in row for word in cell.split() if word.isascii()}
    assert words <= set(shown.replace("place: ", "").split())
    assert all(letter in shown for letter in rows[1][3])
    assert max(map(cell_len, shown.splitlines())) <= width


def test_a_window_has_room_for_the_usual_lists() -> None:
    at = "2026-11-23 17:00"
    lists: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
        (
            ("terminal", "area", "state", "since", "until", "place"),
            ("hall-12", "130102001", "decommissioned", at[:10], at[:10], "to hall-12b"),
        ),
        (("claim", "terminal", "area", "state", "until"), (IDS[0], "hall-12b for hall-12", "130102", "taken_back", at)),
        (
            ("roll-out", "of", "to", "state", "phase", "kept", "failed", "out of reach"),
            (f"ro-{IDS[0][:16]}", "networks 12 (2026.11)", "130102", "running", "2/3", "120/200", "12", "5"),
        ),
        (
            ("network", "sha256", "with a reference", "without", "terminals"),
            ("features_mobilefacenet", IDS[0][:16], "18000", "2000", "200"),
        ),
    ]
    for names, row in lists:
        assert f"{names[0]}: " not in printed(80, *names, rows=[row]), "in lines, not in a table"
