"""CSV tables that people fill in: read with every problem and its line, written so that spreadsheets open them as they are."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import ImportRefused, Refused

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula. Source: OWASP, CSV Injection."""
_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table."""

    line: int
    cells: Mapping[str, str]


def read_table(path: Path, columns: Mapping[str, Sequence[str]], *, optional: Sequence[str] = ()) -> Iterator[Row]:
    """Give the rows of a CSV file by our names of its columns.

    Args:
        path: UTF-8 with or without byte order mark, or GB18030, which spreadsheets in China write.
        columns: our name of each column and the headings it is known by.
        optional: those that may be missing; they are empty then.

    Raises:
        ImportRefused: if it is no such table.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""))
    try:
        heading = next(reader, None)
        if heading is None:
            raise ImportRefused([f"{path}: the file is empty"])
        found = {cell.strip().lower(): place for place, cell in enumerate(heading)}
        places = {
            name: next((found[known] for known in headings if known in found), None)
            for name, headings in columns.items()
        }
        missing = [name for name, place in places.items() if place is None and name not in optional]
        if missing:
            raise ImportRefused([f"{path}: line 1: no column {name} ({' / '.join(columns[name])})" for name in missing])
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield Row(
                    reader.line_num,
                    {
                        name: cells[place].strip().lstrip("'") if place is not None and place < len(cells) else ""
                        for name, place in places.items()
                    },
                )
    except csv.Error as error:
        raise ImportRefused([f"{path}: line {reader.line_num}: not CSV: {error}"]) from error


def table_text(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a CSV text with a byte order mark, in which no cell is a formula."""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(heading)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return "\ufeff" + written.getvalue()


def harmless(cell: object) -> object:
    """Return a cell that a spreadsheet shows as it is."""
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return "'" + cell
    return cell


def write_new(path: Path, text: str) -> None:
    """Write a file that only its owner can read; an existing one is never replaced.

    Raises:
        Refused: if it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise Refused(f"{path}: cannot be written: {error.strerror}") from error


def _text(path: Path) -> str:
    try:
        found = path.read_bytes()
    except OSError as error:
        raise ImportRefused([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(found) > _MAX_BYTES:
        raise ImportRefused([f"{path}: {len(found)} bytes, at most {_MAX_BYTES} are taken"])
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return found.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ImportRefused([f"{path}: neither UTF-8 nor GB18030; save it as CSV UTF-8"])
