"""Imports the agency's places from a CSV file: all of it or nothing, and again without harm."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import ImportRefused
from fleet.store import operators
from fleet.store.database import Database
from fleet.store.operators import StoredPlace

_COLUMNS = {
    "code": ("code", "代码", "区划代码"),
    "name": ("name", "名称", "地名"),
    "area": ("area", "地区", "区域"),
}
"""Our name of each column and the headings it is known by."""
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
    """Read and check a whole file: `code`, `name`, `area`, with a heading line.

    Raises:
        ImportRefused: with every problem and its line.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ImportRefused([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ImportRefused([f"{path}: not UTF-8 from byte {error.start}; save it as CSV UTF-8"]) from error
    problems: list[str] = []
    places = _places(text, problems)
    if not places and not problems:
        problems.append("the file has a heading and no rows")
    if problems:
        raise ImportRefused([f"{path}: {problem}" for problem in problems])
    return places


def import_places(database: Database, places: list[StoredPlace]) -> ImportedPlaces:
    """Store places in one transaction, and have the terminals told.

    Raises:
        DatabaseUnavailable: nothing was stored.
    """
    with database.begin() as connection:
        new, changed = operators.save_places(connection, places)
    return ImportedPlaces(new, changed, len(places) - new - changed)


def _places(text: str, problems: list[str]) -> list[StoredPlace]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    places: list[StoredPlace] = []
    lines: dict[str, int] = {}
    try:
        heading = next(reader, [])
        columns = _heading(heading)
        if missing := [name for name in _COLUMNS if name not in columns]:
            problems.append(f"line 1: no column {', '.join(missing)}")
            return []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = reader.line_num
            if len(cells) != len(heading):
                problems.append(f"line {line}: {len(cells)} columns, {len(heading)} expected")
                continue
            place = StoredPlace(*(" ".join(cells[columns[name]].split()) for name in _COLUMNS))
            problems += [f"line {line}: {problem}" for problem in _wrong(place)]
            if lines.setdefault(place.code, line) != line:
                problems.append(f"line {line}: same code as line {lines[place.code]}")
            places.append(place)
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: not CSV: {error}")
    return places


def _heading(heading: list[str]) -> dict[str, int]:
    found = {cell.strip().lower(): index for index, cell in enumerate(heading)}
    return {
        name: next(found[known] for known in headings if known in found)
        for name, headings in _COLUMNS.items()
        if not found.keys().isdisjoint(headings)
    }


def _wrong(place: StoredPlace) -> list[str]:
    wrong = []
    if not _CODE.fullmatch(place.code):
        wrong.append("code: 1 to 32 letters, digits and hyphens expected")
    for column, value, most in (("name", place.name, _LONGEST_NAME), ("area", place.area, _LONGEST_AREA)):
        if not 0 < len(value) <= most or not value.isprintable():
            wrong.append(f"{column}: 1 to {most} characters that can be shown expected")
    return wrong
