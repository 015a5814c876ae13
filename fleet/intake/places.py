"""Imports the agency's places from a file: all of it or nothing, and again without harm."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fleet.audit.log import UNNAMED, note
from fleet.intake.areas import NO_CODE, same_code
from fleet.keys import FleetKeys
from fleet.store import operators
from fleet.store.database import Database
from fleet.store.operators import StoredPlace
from fleet.tables.places import at_line, in_column
from fleet.tables.reading import Column, Shape, read_table, refuse
from protocol.errors import Problem

_COLUMNS = {
    "code": Column(("代码", "区划代码"), Shape.NUMBER),
    "name": Column(("名称", "地名")),
    "area": Column(("地区", "区域")),
}
_CODE = re.compile(r"[0-9A-Za-z-]{1,32}")
"""Source: `protocol.ids.PlaceCode`."""
_LONGEST_NAME, _LONGEST_AREA = 120, 100


@dataclass(frozen=True, slots=True)
class ImportedPlaces:
    """What an import did."""

    new: int
    changed: int
    unchanged: int


def read_places(path: Path) -> list[StoredPlace]:
    """Read and check a whole file: `code`, `name`, `area`, with a heading line; CSV or XLSX.

    Raises:
        ImportRefused: with every problem and its line.
    """
    table = read_table(path, _COLUMNS)
    problems = list(table.problems)
    places: list[StoredPlace] = []
    lines: dict[str, int] = {}
    for row in table.rows:
        place = StoredPlace(*(" ".join(row.cells[name].split()) for name in _COLUMNS))
        if not row.faults:
            problems += [problem.within(at_line(row.line)) for problem in _wrong(place)]
        if lines.setdefault(place.code, row.line) != row.line:
            problems.append(same_code(row.line, lines[place.code]))
        places.append(place)
    if problems:
        refuse(path, problems)
    return places


def import_places(
    database: Database, keys: FleetKeys, places: list[StoredPlace], *, now: datetime, by: str = UNNAMED
) -> ImportedPlaces:
    """Store places in one transaction, and have the terminals told.

    Raises:
        DatabaseUnavailable: nothing was stored.
    """
    with database.begin() as connection:
        new, changed = operators.save_places(connection, places)
        note(
            connection,
            keys.cipher,
            actor=by,
            action="places.imported",
            object_kind="places",
            object_id="all",
            detail={"rows": len(places), "new": new, "changed": changed},
            now=now,
        )
    return ImportedPlaces(new, changed, len(places) - new - changed)


def _wrong(place: StoredPlace) -> list[Problem]:
    wrong = []
    if not _CODE.fullmatch(place.code):
        wrong.append(NO_CODE)
    for column, value, most in (("name", place.name, _LONGEST_NAME), ("area", place.area, _LONGEST_AREA)):
        if not 0 < len(value) <= most or not value.isprintable():
            sentence = f"1 to {most} characters that can be shown expected"
            wrong.append(Problem(sentence, "cell_length", most=most).within(in_column(column)))
    return wrong
