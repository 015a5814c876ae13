"""Prints one case for people."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console as Terminal
from rich.markup import escape

from fleet.cases.views import Look
from fleet.commands.shared import table


def print_look(found: Look) -> None:
    """Print a case for people."""
    facts = table("field", "value")
    for name, value in found.facts.items():
        facts.add_row(name, escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    Terminal().print(facts)
    if found.pictures:
        pictures = table("picture", "here", "check", "passed", "found", "asked")
        for picture in found.pictures:
            start = (picture["role"], "yes" if picture["here"] else "no")
            for check in picture["checks"] or [None]:
                rest = (
                    ("", "", "", "")
                    if check is None
                    else (
                        check["name"],
                        "yes" if check["passed"] else "NO",
                        f"{check['found']:g}",
                        f"{check['asked']:g}",
                    )
                )
                pictures.add_row(*start, *rest)
                start = ("", "")
        Terminal().print(pictures)
    for title, rows in (("history", found.history), ("looked at", found.views)):
        if rows:
            shown = table(*rows[0])
            shown.title = title
            for row in rows:
                shown.add_row(*(escape(words(cell)) for cell in row.values()))
            Terminal().print(shown)


def words(cell: Any) -> str:
    """Return a cell of a table as text."""
    if isinstance(cell, bool):
        return "LATE" if cell else ""
    return "" if cell is None else str(cell)
