"""Tables of the command line: ids are whole, whatever the width."""

from __future__ import annotations

import io

import pytest
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
    assert "┃" in shown
    assert printed(40, "state", rows=[]).count("state") == 1
