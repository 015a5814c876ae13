"""Reads the tables that agencies hand in, CSV or XLSX, into checked rows of text: every problem of a file at once, nothing guessed.

CSV may be UTF-8, with or without byte order mark, or GB18030, in which Chinese spreadsheets save it; which of both is decided by strict
decoding, UTF-8 first. What a spreadsheet did to a number that was too long for it is refused: its last digits are gone. Messages name
lines and columns, never what stands in a cell.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from fleet.errors import ImportRefused
from fleet.tables.encodings import decoded
from fleet.tables.places import at_line, in_column
from fleet.tables.workbooks import Cell, SheetLine, looks_like_old_workbook, looks_like_workbook, workbook_rows
from fleet.tables.written_days import day_in
from protocol.errors import Problem

MAX_BYTES = 64 * 1024 * 1024
"""Of a file: half a million rows of 130 bytes, a province's list of one scheme in parts."""
MAX_ROWS = 500_000
MAX_COLUMNS = 64
MAX_PROBLEMS = 1000
"""That many are told one by one: whoever has more has another file in hand than they think."""
_LONG_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+]?\d+")
"""What a spreadsheet writes in place of a long number."""
_MOST_CELL = 1000
"""Characters of the longest cell that is looked at."""
_MOST_HEADING = 40
"""Characters of a heading that are told."""
_NUMBER_LIKE = re.compile(r"\D{0,4}\d{6,}[0-9A-Za-z()]*")
_AGREEING = 0.9
"""Part of a column's cells that must look like another column's before the two are called exchanged."""


class Shape(StrEnum):
    """What a column's cells look like, as far as it can be told without knowing anybody."""

    NUMBER = "numbers"
    """Mostly digits: an identity document or a telephone."""
    DATE = "dates"
    WORDS = "words"
    """Names of persons and of things."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column that is looked for."""

    headings: tuple[str, ...] = ()
    """What it is called beside our own name, in any language; compared without case and white space."""
    shape: Shape = Shape.WORDS
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was sent, which is never written to a disk: it says who people are."""

    content: bytes = field(repr=False)

    def __str__(self) -> str:
        """How messages name it: what it was called on somebody's computer may be anything."""
        return "file"


Source = Path | Upload
"""Where a file is."""
Columns = Mapping[str, Column]
"""By our own name of each."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: its line in the file, and the cells of the columns that were looked for, without white space around them."""

    line: int
    cells: dict[str, str]
    faults: tuple[Problem, ...] = ()
    """What is wrong with cells, which are empty then; part of the table's problems."""

    def __repr__(self) -> str:
        return f"TableRow(line={self.line})"


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds."""

    rows: tuple[TableRow, ...]
    columns: frozenset[str]
    """Those of the columns looked for that it has."""
    encoding: str
    """`UTF-8`, `GB18030` or `XLSX`."""
    sha256: str
    """Of the file."""
    left_out: tuple[Problem, ...]
    """A sentence for each column that nobody looks for: it may be one with a heading that is not known."""
    problems: tuple[Problem, ...]
    """All that was found; whoever reads the cells adds their own, and refuses the file for all of them together."""
    headings: tuple[tuple[str, str | None], ...] = ()
    """The headings as they are written, from left to right, each with the name of the column that it is; None for no known one."""


_NO_ROWS = Problem("the file has a heading and no rows", "no_rows")


def read_table(path: Source, columns: Columns, *, no_rows: Problem = _NO_ROWS) -> Table:
    """Read a file.

    Args:
        path: CSV or XLSX with a heading line; which of them is told by the content, not by the name.
        columns: what is looked for; other columns are left alone.
        no_rows: what to say of a file without any.

    Raises:
        ImportRefused: if it is no such table: unreadable, of another encoding, without a required column, or with columns exchanged.
    """
    content = _content(path)
    problems: list[Problem] = []
    if looks_like_workbook(content):
        encoding, lines = "XLSX", workbook_rows(content, problems)
    elif looks_like_old_workbook(content):
        refuse(path, [Problem("an old Excel workbook (.xls); save it as .xlsx or as CSV UTF-8", "old_workbook")])
    else:
        text, encoding, fault = decoded(content)
        if fault is not None:
            refuse(path, [fault])
        lines = _csv_rows(text, problems)
    heading = next(lines, None)
    places = _places(heading, columns, problems)
    if heading is None or places is None:
        refuse(path, problems)
    rows = tuple(_rows(lines, places, columns, len(heading.cells), problems))
    if len(rows) > MAX_ROWS:
        refuse(path, [Problem(f"more than {MAX_ROWS} rows; divide the file", "many_rows", most=MAX_ROWS)])
    if not rows and not problems:
        refuse(path, [no_rows])
    if swapped := exchanged(rows, {name: columns[name] for name in places}):
        refuse(path, swapped)
    unknown = _left_out(heading, places, columns)
    return Table(
        rows,
        frozenset(places),
        encoding,
        hashlib.sha256(content).hexdigest(),
        unknown,
        tuple(problems),
        _headings(heading, places),
    )


def refuse(path: Source, problems: Sequence[Problem]) -> NoReturn:
    """Refuse a file for all its problems, in the order of its lines.

    Raises:
        ImportRefused: always.
    """
    shown = sorted(problems, key=_line_of)[:MAX_PROBLEMS]
    if len(problems) > len(shown):
        more = len(problems) - len(shown)
        shown.append(Problem(f"and {more} more problems", "more", count=more))
    raise ImportRefused([problem.at(path) for problem in shown])


def exchanged(rows: Sequence[TableRow], columns: Columns) -> list[Problem]:
    """Return a sentence for each two columns of which each looks like the other and not like itself."""
    seen = {name: _shares([row.cells[name] for row in rows]) for name in columns}
    names = list(columns)
    return [
        Problem(
            f"columns {first} and {second} look exchanged: {columns[first].shape} stand in {second} and"
            f" {columns[second].shape} in {first}",
            "exchanged",
            first=in_column(first),
            second=in_column(second),
        )
        for at, first in enumerate(names)
        for second in names[at + 1 :]
        if columns[first].shape is not columns[second].shape
        and seen[first].get(columns[second].shape, 0.0) >= _AGREEING
        and seen[second].get(columns[first].shape, 0.0) >= _AGREEING
    ]


def text_problem(text: str, most: int) -> Problem | None:
    """Return what is wrong with a cell of words, None if nothing.

    Args:
        text: the cell.
        most: longest it may be, in characters.
    """
    if not text:
        return Problem("empty", "cell_empty")
    if len(text) > most:
        sentence = f"{len(text)} characters, at most {most} are taken"
        return Problem(sentence, "cell_long", found=len(text), most=most)
    if any(unicodedata.category(character) in {"Cc", "Cs", "Cn"} for character in text):
        return Problem("characters that cannot be shown", "not_shown")
    return None


def _shares(cells: Iterable[str]) -> dict[Shape, float]:
    """Return what part of the cells that are not empty looks like each shape."""
    counts: dict[Shape, int] = {}
    for cell in cells:
        if cell:
            shape = _shape_of(cell)
            counts[shape] = counts.get(shape, 0) + 1
    total = sum(counts.values())
    return {shape: count / total for shape, count in counts.items()}


def _shape_of(cell: str) -> Shape:
    if day_in(cell) is not None:
        return Shape.DATE
    return Shape.NUMBER if _NUMBER_LIKE.fullmatch("".join(cell.split())) else Shape.WORDS


def _content(path: Source) -> bytes:
    try:
        if (len(path.content) if isinstance(path, Upload) else path.stat().st_size) > MAX_BYTES:
            most = MAX_BYTES // 1024 // 1024
            refuse(path, [Problem(f"larger than {most} MiB; divide the file", "large", most=most)])
        return path.content if isinstance(path, Upload) else path.read_bytes()
    except OSError as error:
        raise ImportRefused([Problem(f"{path}: cannot be read: {error.strerror}", "unreadable")]) from error


def _csv_rows(text: str, problems: list[Problem]) -> Iterator[SheetLine]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            yield SheetLine(reader.line_num, [Cell(cell) for cell in cells])
    except csv.Error as error:
        problems.append(Problem(f"not CSV: {error}", "not_csv").within(at_line(reader.line_num)))


def _rows(
    lines: Iterator[SheetLine],
    places: Mapping[str, int],
    columns: Columns,
    width: int,
    problems: list[Problem],
) -> Iterator[TableRow]:
    for count, found in enumerate(_filled(lines)):
        if count > MAX_ROWS:
            return
        cells = found.cells
        if len(cells) != width:
            sentence = f"{len(cells)} columns, {width} expected"
            wrong = Problem(sentence, "other_columns", found=len(cells), expected=width)
            problems.append(wrong.within(at_line(found.line)))
            continue
        row = {name: cells[place].text for name, place in places.items()}
        faults = {name: fault for name in places if (fault := _cell_fault(cells[places[name]], columns[name]))}
        told = tuple(fault.within(at_line(found.line), in_column(name)) for name, fault in faults.items())
        problems += told
        yield TableRow(found.line, row | dict.fromkeys(faults, ""), told)


def _filled(lines: Iterator[SheetLine]) -> Iterator[SheetLine]:
    """Give the lines that hold anything."""
    return (line for line in lines if any(cell.text or cell.fault for cell in line.cells))


def _cell_fault(cell: Cell, column: Column) -> Problem | None:
    if cell.fault is not None:
        return cell.fault
    if len(cell.text) > _MOST_CELL:
        sentence = f"{len(cell.text)} characters, at most {_MOST_CELL} are looked at"
        return Problem(sentence, "cell_long", found=len(cell.text), most=_MOST_CELL)
    if column.shape is Shape.NUMBER and _LONG_NUMBER.fullmatch(cell.text):
        return Problem(
            "a number in scientific notation: a spreadsheet has cut its last digits; format the column as text and enter it again",
            "scientific",
        )
    return None


def _places(heading: SheetLine | None, columns: Columns, problems: list[Problem]) -> dict[str, int] | None:
    """Return where each column stands, None if a required one is missing or one is there twice."""
    if heading is None:
        if not problems:
            problems.append(Problem("the file is empty", "empty_file"))
        return None
    if len(heading.cells) > MAX_COLUMNS:
        sentence = f"{len(heading.cells)} columns, at most {MAX_COLUMNS} are taken"
        many = Problem(sentence, "many_columns", found=len(heading.cells), most=MAX_COLUMNS)
        problems.append(many.within(at_line(1)))
        return None
    written = [_folded(cell.text) for cell in heading.cells]
    places: dict[str, int] = {}
    wrong: list[Problem] = []
    for name, column in columns.items():
        known = {_folded(each) for each in (name, *column.headings)}
        found = [place for place, each in enumerate(written) if each in known]
        if len(found) > 1:
            sentence = f"column {name} stands there {len(found)} times"
            wrong.append(Problem(sentence, "column_twice", column=name, times=len(found)))
        elif found:
            places[name] = found[0]
        elif column.is_required:
            wrong.append(_missing(name, column.headings))
    problems += [each.within(at_line(1)) for each in wrong]
    return None if wrong else places


def _headings(heading: SheetLine, places: Mapping[str, int]) -> tuple[tuple[str, str | None], ...]:
    names = {place: name for name, place in places.items()}
    return tuple((cell.text.strip()[:_MOST_HEADING], names.get(place)) for place, cell in enumerate(heading.cells))


def _missing(name: str, headings: Sequence[str]) -> Problem:
    if not headings:
        return Problem(f"no column {name}", "no_column", column=name)
    sentence = f"no column {name} (also called {', '.join(headings)})"
    return Problem(sentence, "no_column_called", column=name, headings=headings)


def _left_out(heading: SheetLine, places: Mapping[str, int], columns: Columns) -> tuple[Problem, ...]:
    """Say of each column that is not looked for that it was left out, and what it may have been meant for."""
    names = {_folded(each): each for name, column in columns.items() for each in (name, *column.headings)}
    found = []
    for place, cell in enumerate(heading.cells):
        if place in places.values() or not cell.text.strip():
            continue
        near = difflib.get_close_matches(_folded(cell.text), names, n=1, cutoff=0.5)
        written = cell.text.strip()[:_MOST_HEADING]
        sentence = f"column {written} is not known here and was left out"
        if near:
            meant = names[near[0]]
            told = Problem(f"{sentence}; did you mean {meant}?", "heading_near", heading=written, meant=meant)
        else:
            told = Problem(sentence, "heading_unknown", heading=written)
        found.append(told.within(at_line(1)))
    return tuple(found)


def _folded(heading: str) -> str:
    return "".join(unicodedata.normalize("NFKC", heading).replace("_", "").split()).casefold()


def _line_of(problem: str) -> int:
    found = re.match(r"line (\d+)", problem)
    return int(found[1]) if found else 0
