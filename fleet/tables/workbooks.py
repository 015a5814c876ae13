"""Reads the cells of an XLSX workbook as text, from memory, without trusting what it says about its size."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from xml.etree.ElementTree import ParseError

from openpyxl import load_workbook
from openpyxl.cell.cell import ERROR_CODES
from openpyxl.utils.exceptions import InvalidFileException

from protocol.errors import Problem

MAX_UNPACKED = 1024 * 1024 * 1024
"""Bytes of all parts of a workbook together; the sheet is read as a stream, so this bounds time."""
MAX_STRINGS = 128 * 1024 * 1024
"""Bytes of the part that is held in memory, the texts."""
MAX_RATIO = 200
"""Unpacked to packed bytes. Sheets of equal rows reach some fifty; Deflate's own limit, that of bombs, is 1032 (RFC 1951)."""
MAX_PARTS = 1000
MAX_LINES = 1_048_576
"""Rows of a sheet. Source: ECMA-376 part 1, as Excel's limits state it."""
_EXACT_DIGITS = 15
"""Digits of a number that a spreadsheet keeps: a double has 15 for sure. Source: IEEE 754."""
_PROLOG = 4096
"""Bytes of a part in which a document type would be declared."""
_CUT = Problem(
    "a number of more than 15 digits: a spreadsheet has cut its last ones; format the column as text and enter it again",
    "cut_number",
)
_ERROR = Problem("an error value of the spreadsheet", "error_cell")
_DOCTYPE = "a workbook with a document type of its own, which no spreadsheet writes; it is not opened"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, or what makes it unusable."""

    text: str
    fault: Problem | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.text.strip())

    def __repr__(self) -> str:
        return f"Cell(fault={self.fault!r})"


@dataclass(frozen=True, slots=True)
class SheetLine:
    """One row of a sheet with its number there."""

    line: int
    cells: list[Cell]


def looks_like_workbook(content: bytes) -> bool:
    """Say whether a file is a ZIP archive, as every XLSX is. Source: PKWARE APPNOTE 4.3.7."""
    return content.startswith(b"PK\x03\x04")


def looks_like_old_workbook(content: bytes) -> bool:
    """Say whether a file is a compound file, as every XLS is. Source: MS-CFB 2.2."""
    return content.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


def workbook_rows(content: bytes, problems: list[Problem]) -> Iterator[SheetLine]:
    """Give the rows of the one sheet that has any; where that cannot be done, say why in `problems` and give nothing more.

    Args:
        content: the file.
        problems: what is wrong is added here.
    """
    fault = _archive_fault(content)
    if fault is not None:
        problems.append(fault)
        return
    try:
        yield from _rows(content, problems)
    except (
        ParseError,
        InvalidFileException,
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        OSError,
        EOFError,
    ) as error:
        # openpyxl lets what its parts raise through; whichever it is, the file is not what its name says.
        kind = type(error).__name__
        problems.append(
            Problem(f"a damaged workbook, or none ({kind}); open it, and save it anew as .xlsx", "damaged_workbook")
        )


def _archive_fault(content: bytes) -> Problem | None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            if len(parts) > MAX_PARTS:
                sentence = f"a workbook of {len(parts)} parts, at most {MAX_PARTS} are taken"
                return Problem(sentence, "many_parts", found=len(parts), most=MAX_PARTS)
            unpacked = sum(part.file_size for part in parts)
            strings = sum(part.file_size for part in parts if "sharedstrings" in part.filename.lower())
            if unpacked > MAX_UNPACKED or unpacked > MAX_RATIO * max(len(content), 1) or strings > MAX_STRINGS:
                return Problem(
                    "a workbook that unpacks to far more than a list of people has; it is not opened", "unpacks"
                )
            for part in parts:
                if part.filename.endswith((".xml", ".rels")):
                    with archive.open(part) as opened:
                        if b"<!DOCTYPE" in opened.read(_PROLOG):
                            return Problem(_DOCTYPE, "doctype")
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        kind = type(error).__name__
        return Problem(
            f"a damaged or encrypted workbook ({kind}); save it anew as .xlsx, without a password", "encrypted_workbook"
        )
    return None


def _rows(content: bytes, problems: list[Problem]) -> Iterator[SheetLine]:
    workbook = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    try:
        filled = []
        for sheet in workbook.worksheets:
            # What it says about its own size may be wrong.
            sheet.reset_dimensions()
            if next(_lines(sheet), None) is not None:
                filled.append(sheet)
        if not filled:
            problems.append(Problem("the file is empty", "empty_file"))
            return
        if len(filled) > 1:
            sentence = (
                f"{len(filled)} sheets of this workbook have rows; save the one that is meant in a file of its own"
            )
            problems.append(Problem(sentence, "sheets", found=len(filled)))
            return
        yield from _widened(_lines(filled[0]))
    finally:
        workbook.close()


def _lines(sheet: Any) -> Iterator[SheetLine]:
    for line, values in enumerate(sheet.iter_rows(values_only=True), 1):
        if line > MAX_LINES:
            return
        if any(value is not None and value != "" for value in values):
            yield SheetLine(line, [_cell(value) for value in values])


def _widened(lines: Iterator[SheetLine]) -> Iterator[SheetLine]:
    """Give all rows the width of the first one: a sheet stores no empty cells at a row's end."""
    width = 0
    for found in lines:
        cells = found.cells
        while len(cells) > max(width, 1) and not (cells[-1].text or cells[-1].fault):
            cells.pop()
        width = width or len(cells)
        cells += [Cell("")] * (width - len(cells))
        yield found


def _cell(value: object) -> Cell:
    if value is None:
        return Cell("")
    if isinstance(value, bool):
        return Cell(str(value).upper())
    if isinstance(value, str):
        return Cell("", _ERROR) if value in ERROR_CODES else Cell(value)
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, datetime):
        return Cell(value.date().isoformat() if value.time() == time() else value.isoformat(" "))
    if isinstance(value, date):
        return Cell(value.isoformat())
    return Cell("", Problem("neither text nor number nor date", "no_cell"))


def _number(value: float) -> Cell:
    if abs(value) >= 10**_EXACT_DIGITS:
        return Cell("", _CUT)
    if isinstance(value, float) and not value.is_integer():
        return Cell(re.sub(r"\.?0+$", "", f"{value:.10f}"))
    return Cell(str(int(value)))
