"""Writes every table that goes out: CSV and XLSX that spreadsheets open as they are meant, and plain CSV that a program reads."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from fleet.errors import Refused

_BOM = "\ufeff"
_NEEDS_TAB = re.compile(r"[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]|(?:[0-9]{12,}[0-9Xx]*|0[0-9]+|[0-9]+[Ee][0-9]+)$")
"""What a spreadsheet would take for a formula, full-width signs with the plain ones, or for a number of which it then shows other
digits: a long one, one that begins with zero, one with an exponent. A tab before it makes it text; our own imports drop it.
Source: OWASP, CSV injection."""
_TEXT_FORMAT = "@"
"""Source: ECMA-376 part 1, 18.8.30, number format 49."""
_LONGEST_TITLE = 31
"""Characters of the name of a sheet. Source: Excel specifications and limits."""

Rows = Iterable[Sequence[object]]
"""Cells are texts, numbers, or None."""


def to_csv(*tables: tuple[Sequence[str], Rows], for_programs: bool = False) -> bytes:
    """Return a CSV file of tables in UTF-8, each a heading and its rows; several follow each other with an empty line between.

    Args:
        tables: each a heading and its rows.
        for_programs: whether another system reads it, and nobody by a spreadsheet: then every cell stands as it is, and no byte order mark
            before them.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for number, (heading, rows) in enumerate(tables):
        if number:
            writer.writerow(())
        writer.writerow(heading)
        for row in rows:
            writer.writerow(row if for_programs else [_guarded(cell) for cell in row])
    return (("" if for_programs else _BOM) + text.getvalue()).encode()


def to_xlsx(tables: Iterable[tuple[str | None, Sequence[str], Rows]]) -> bytes:
    """Return an XLSX file of tables, each a title or none, a heading and its rows; every text stays a text, whatever it looks like."""
    book = Workbook(write_only=True)
    for title, heading, rows in tables:
        sheet = book.create_sheet(None if title is None else title[:_LONGEST_TITLE])
        for row in (heading, *rows):
            sheet.append([_text_cell(sheet, cell) if isinstance(cell, str) else cell for cell in row])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def write_new(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read; an existing one is never replaced.

    Raises:
        Refused: if it cannot be written; nothing is left of it then.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Refused(f"{path}: cannot be written: it exists already; give another name") from error
    except OSError as error:
        raise Refused(f"{path}: cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise Refused(f"{path}: cannot be written: {error.strerror}") from error


def _guarded(cell: object) -> object:
    return "\t" + cell if isinstance(cell, str) and _NEEDS_TAB.match(cell) else cell


def _text_cell(sheet: object, value: str) -> WriteOnlyCell:
    cell = WriteOnlyCell(sheet, value=value)
    # A text that begins with = is a formula to the library.
    cell.data_type = "s"
    cell.number_format = _TEXT_FORMAT
    return cell
