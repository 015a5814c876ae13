"""Reads lists of people and their benefits: what a row must say, what it may say, and what contradicts another row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from fleet.intake.area_tree import AreaTree
from fleet.intake.identity import IDENTITY_COLUMNS, document_in, name_in
from fleet.store.subjects import Benefit, ManagedBy
from fleet.tables.places import at_line, in_column
from fleet.tables.reading import Column, Shape, Source, Table, TableRow, read_table, refuse, text_problem
from fleet.tables.telephones import telephone_in
from fleet.tables.written_days import day_in
from protocol.documents import IdentityDocument
from protocol.errors import Problem

_COLUMNS = {
    **IDENTITY_COLUMNS,
    "area": Column(("地区", "区域", "区划代码")),
    "scheme": Column(("险种",)),
    "category": Column(("人员类别", "待遇类别")),
    "benefit_start": Column(("benefit start", "待遇开始日期", "待遇领取日期"), Shape.DATE),
    "phone": Column(("电话", "手机", "手机号", "手机号码", "联系电话"), Shape.NUMBER, is_required=False),
    "unit": Column(("单位", "单位名称", "工作单位"), is_required=False),
    "managed_by": Column(("managed by", "管理方式", "管理类型"), is_required=False),
    "ended": Column(("benefit end", "待遇终止日期", "停发日期"), Shape.DATE, is_required=False),
}
OPTIONAL_FACTS = ("unit", "managed_by", "ended")
"""Columns that say something about the benefit; a list without one leaves what is known as it is."""
_MANAGED = {
    ManagedBy.UNIT: ("unit", "单位", "单位管理"),
    ManagedBy.SOCIALISED: ("socialised", "socialized", "社会化", "社会化管理", "退管办"),
}
"""Source: R3-11."""
MAX_TEXT = 100
"""Longest area, scheme, category or unit in characters: short enough for one line of a page."""
_FIRST_YEAR = 1949
"""No benefit of these schemes began before the state that pays it."""
_NO_DAY = Problem(f"a date like 2015-07-01 expected, from {_FIRST_YEAR} to next year", "benefit_day", first=_FIRST_YEAR)


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """One row that passed all checks."""

    line: int
    document: IdentityDocument
    name: str
    area: str
    benefit: Benefit
    phone: str = ""
    """Digits, a plus before them where there was one; empty where the list says nothing."""
    given: frozenset[str] = frozenset()
    """Those of `OPTIONAL_FACTS` that the list has a column for."""

    def __repr__(self) -> str:
        return f"SubjectRow(line={self.line})"


@dataclass(frozen=True, slots=True)
class PeopleList:
    """A whole list."""

    rows: list[SubjectRow]
    encoding: str
    """`UTF-8`, `GB18030` or `XLSX`."""
    sha256: str
    """Of the file."""
    left_out: tuple[Problem, ...]
    """A sentence for each column that is not known."""


def read_rows(path: Path, *, today: date, areas: AreaTree | None = None) -> list[SubjectRow]:
    """Return the rows of `read_people`, for whom the rows are enough."""
    return read_people(path, today=today, areas=areas).rows


def read_people(path: Source, *, today: date, areas: AreaTree | None = None) -> PeopleList:
    """Read and check a whole file.

    Args:
        path: CSV or XLSX with a heading line.
        today: no benefit starts or ends later than a year from here.
        areas: the tree in which areas are looked up; without one, or with an empty one, they are taken as they are written.

    Raises:
        ImportRefused: with every problem and its line; no message repeats a number or a name.
    """
    table = read_table(path, _COLUMNS)
    problems = list(table.problems)
    rows = [row for found in table.rows if (row := _row(found, table, today, areas, problems)) is not None]
    problems += _contradictions(rows)
    if problems:
        refuse(path, problems)
    return PeopleList(rows, table.encoding, table.sha256, table.left_out)


def _row(
    found: TableRow, table: Table, today: date, areas: AreaTree | None, problems: list[Problem]
) -> SubjectRow | None:
    line, cells = found.line, found.cells
    wrong = list(found.faults)
    document = document_in(line, cells, wrong)
    name = name_in(line, cells, wrong)
    wrong += [
        problem.within(at_line(line), in_column(column))
        for column in ("area", "scheme", "category")
        if (problem := text_problem(cells[column], MAX_TEXT)) is not None
    ]
    area = _area(line, cells["area"], areas, wrong)
    started = _day(cells["benefit_start"], today)
    if started is None and not any(problem.startswith(f"line {line}: benefit_start") for problem in found.faults):
        wrong.append(_NO_DAY.within(at_line(line), in_column("benefit_start")))
    facts = _facts(line, cells, started, today, wrong)
    phone = _phone(line, cells.get("phone", ""), wrong)
    problems += wrong[len(found.faults) :]
    if wrong or document is None or started is None:
        return None
    benefit = Benefit(cells["scheme"], area, cells["category"], started, *facts)
    return SubjectRow(line, document, name, area, benefit, phone, table.columns & frozenset(OPTIONAL_FACTS))


def _area(line: int, written: str, areas: AreaTree | None, wrong: list[Problem]) -> str:
    if areas is None or not areas or not written:
        return written
    code, fault = areas.code_of(written)
    if fault is not None:
        wrong.append(fault.within(at_line(line), in_column("area")))
    return code or written


def _facts(
    line: int, cells: Mapping[str, str], started: date | None, today: date, wrong: list[Problem]
) -> tuple[str | None, ManagedBy | None, date | None]:
    unit = cells.get("unit") or None
    if unit is not None and (problem := text_problem(unit, MAX_TEXT)) is not None:
        wrong.append(problem.within(at_line(line), in_column("unit")))
    written = cells.get("managed_by", "")
    managed = next((kind for kind, names in _MANAGED.items() if written.casefold() in names), None)
    if written and managed is None:
        expected = Problem(f"{ManagedBy.UNIT} or {ManagedBy.SOCIALISED} expected", "managed_word")
        wrong.append(expected.within(at_line(line), in_column("managed_by")))
    if managed is ManagedBy.UNIT and unit is None:
        nameless = Problem("managed by a unit, and the column unit does not say which", "managed_unit")
        wrong.append(nameless.within(at_line(line), in_column("managed_by")))
    ended = _day(cells.get("ended", ""), today)
    if cells.get("ended") and ended is None:
        wrong.append(_NO_DAY.within(at_line(line), in_column("ended")))
    if ended is not None and started is not None and ended < started:
        early = Problem("before the benefit starts", "ended_before")
        wrong.append(early.within(at_line(line), in_column("ended")))
    return unit, managed, ended


def _phone(line: int, written: str, wrong: list[Problem]) -> str:
    found = telephone_in(written)
    if written and found is None:
        expected = Problem("a telephone number expected, with + before a country's", "phone_unusable")
        wrong.append(expected.within(at_line(line), in_column("phone")))
    return found or ""


def _contradictions(rows: list[SubjectRow]) -> list[Problem]:
    problems: list[Problem] = []
    first: dict[IdentityDocument, SubjectRow] = {}
    benefits: dict[tuple[IdentityDocument, str], int] = {}
    for row in rows:
        person = first.setdefault(row.document, row)
        if (person.name, person.area) != (row.name, row.area):
            other = Problem(
                f"same document number as line {person.line}, other name or area",
                "same_number_name",
                other=at_line(person.line),
            )
            problems.append(other.within(at_line(row.line)))
        elif person.phone and row.phone and person.phone != row.phone:
            other = Problem(
                f"same document number as line {person.line}, other phone",
                "same_number_phone",
                other=at_line(person.line),
            )
            problems.append(other.within(at_line(row.line)))
        line = benefits.setdefault((row.document, row.benefit.scheme), row.line)
        if line != row.line:
            twice = Problem(f"same person and scheme as line {line}", "same_scheme", other=at_line(line))
            problems.append(twice.within(at_line(row.line)))
    return problems


def _day(text: str, today: date) -> date | None:
    found = day_in(text)
    return found if found is not None and _FIRST_YEAR <= found.year <= today.year + 1 else None
