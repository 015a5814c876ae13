"""Writes tables that spreadsheets open as they are meant: CSV in UTF-8 with byte order mark, and XLSX with every cell a text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

_BOM = "\ufeff"
_NEEDS_TAB = re.compile(r"[=+\-@\t\r]|[0-9]{12,}[0-9Xx]*$")
"""What a spreadsheet would take for a formula or for a number that it then cuts. A tab before it makes it text; our own imports drop it.
Source: OWASP, CSV injection."""
_TEXT_FORMAT = "@"
"""Source: ECMA-376 part 1, 18.8.30, number format 49."""


def to_csv(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Return a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(heading)
    for row in rows:
        writer.writerow(["\t" + cell if _NEEDS_TAB.match(cell) else cell for cell in row])
    return (_BOM + text.getvalue()).encode()


def to_xlsx(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Return an XLSX file; every cell is a text, whatever it looks like."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in (heading, *rows):
        cells = []
        for value in row:
            cell = WriteOnlyCell(sheet, value=value)
            # A text that begins with = is a formula to the library.
            cell.data_type = "s"
            cell.number_format = _TEXT_FORMAT
            cells.append(cell)
        sheet.append(cells)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()
