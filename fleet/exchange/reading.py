"""Reads a CSV table as other bodies write it: UTF-8 with or without byte order mark, or GB18030, with line numbers."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet.errors import ImportRefused

_MOST_BYTES = 256 * 1024 * 1024
"""Largest file that is looked at: a million rows of 250 bytes."""
_FOREIGN_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DAMAGED = 0.1
"""Less than this share of what is not ASCII is no UTF-8: a damaged UTF-8 file. GB18030 read as UTF-8 breaks at nearly every character."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column that is looked for."""

    headings: tuple[str, ...]
    """What it may be called, in any case."""
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table."""

    line: int
    """Where it ends in the file, from 1."""
    cells: dict[str, str] = field(repr=False)
    """Our name of each column that is there, and its text without white space around it."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file as far as it could be read."""

    rows: list[TableRow] = field(repr=False)
    problems: list[str]
    """What is wrong with lines, by line number; such lines are not among the rows."""


def read_table(path: Path, columns: Mapping[str, Column]) -> Table:
    """Read a file with a heading line.

    Args:
        path: CSV with commas.
        columns: our name of each column, and what it may be called; others in the file are left aside.

    Raises:
        ImportRefused: if no row can be read at all.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    rows: list[TableRow] = []
    problems: list[str] = []
    try:
        heading = next(reader, None)
        if heading is None:
            raise ImportRefused([f"{path}: the file is empty"])
        places = _places(path, heading, columns)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(heading):
                problems.append(f"line {reader.line_num}: {len(cells)} columns, {len(heading)} expected")
                continue
            rows.append(TableRow(reader.line_num, {name: cells[place].strip() for name, place in places.items()}))
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: not CSV: {error}")
    return Table(rows, problems)


def _places(path: Path, heading: list[str], columns: Mapping[str, Column]) -> dict[str, int]:
    found: dict[str, int] = {}
    problems: list[str] = []
    for index, cell in enumerate(heading):
        written = cell.strip().lower()
        if written and written in found:
            problems.append(f"{path}: line 1: columns {found[written] + 1} and {index + 1} have the same heading")
        found.setdefault(written, index)
    places: dict[str, int] = {}
    for name, column in columns.items():
        place = next((found[known.lower()] for known in column.headings if known.lower() in found), None)
        if place is not None:
            places[name] = place
        elif column.is_required:
            problems.append(f"{path}: line 1: no column {name} (also called {', '.join(column.headings[1:])})")
    if problems:
        raise ImportRefused(problems)
    return places


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ImportRefused([f"{path}: larger than {_MOST_BYTES // 2**20} MiB; split it into several deliveries"])
        data = path.read_bytes()
    except OSError as error:
        raise ImportRefused([f"{path}: cannot be read: {error.strerror}"]) from error
    if data.startswith(_FOREIGN_MARKS):
        raise ImportRefused([f"{path}: UTF-16; save it as CSV UTF-8 or GB18030"])
    if b"\0" in data:
        raise ImportRefused([f"{path}: no text; CSV in UTF-8 or GB18030 is taken"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if _is_damaged_utf8(data):
            # Read as GB18030 it would give other names without a word.
            line = data.count(b"\n", 0, error.start) + 1
            raise ImportRefused([f"{path}: line {line}: broken UTF-8; have the file sent again"]) from error
    try:
        return data.decode("gb18030")
    except UnicodeDecodeError as error:
        raise ImportRefused(
            [f"{path}: neither UTF-8 nor GB18030 from byte {error.start}; save it as CSV UTF-8"]
        ) from error


def _is_damaged_utf8(data: bytes) -> bool:
    beyond_ascii = [character for character in data.decode("utf-8-sig", errors="replace") if character > "\x7f"]
    return beyond_ascii.count("\ufffd") < _DAMAGED * len(beyond_ascii)
