"""Imports subjects and their benefits from a CSV file: all of it or nothing, and again without harm."""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from pathlib import Path

from sqlalchemy import Connection

from fleet.clock import day_of
from fleet.errors import ImportRefused
from fleet.keys import FleetKeys
from fleet.status.projection import project
from fleet.store import rosters, subjects
from fleet.store.database import Database
from fleet.store.subjects import Benefit, StoredSubject
from fleet.store.terminals import find_terminals
from protocol.documents import DocumentKind, IdentityDocument, birth_date, claim_token, parse_document, sex
from protocol.errors import ProtocolError
from protocol.names import normal_name

_COLUMNS = {
    "document_number": ("document_number", "document number", "证件号码", "身份证号"),
    "name": ("name", "姓名"),
    "area": ("area", "地区", "区域"),
    "scheme": ("scheme", "险种"),
    "category": ("category", "人员类别", "待遇类别"),
    "benefit_start": ("benefit_start", "benefit start", "待遇开始日期", "待遇领取日期"),
}
"""Our name of each column and the headings it is known by."""
_OPTIONAL = {
    "document_kind": ("document_kind", "document kind", "证件类型", "证件种类"),
    "document_issuer": ("document_issuer", "document issuer", "签发国", "签发国家"),
}
"""Columns that may be missing; without a kind a number must tell it, and only a passport has an issuer."""
_KINDS = {
    DocumentKind.RESIDENT_ID: ("居民身份证", "身份证", "社会保障卡"),
    DocumentKind.HK_MACAO_PERMIT: ("港澳居民来往内地通行证", "港澳通行证", "回乡证"),
    DocumentKind.TAIWAN_PERMIT: ("台湾居民来往大陆通行证", "台胞证"),
    DocumentKind.RESIDENCE_PERMIT: ("港澳台居民居住证", "港澳居民居住证", "台湾居民居住证"),
    DocumentKind.PASSPORT: ("护照",),
    DocumentKind.FOREIGN_PERMANENT_RESIDENCE: ("外国人永久居留身份证", "外国人永久居留证"),
}
"""How agencies write the kinds, beside our own names of them."""
_MAX_TEXT = 100
"""Longest area, scheme or category in characters: short enough for one line of a page."""
_FIRST_YEAR = 1949
"""No benefit of these schemes began before the state that pays it."""


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """One row that passed all checks."""

    line: int
    document: IdentityDocument
    name: str
    area: str
    benefit: Benefit

    def __repr__(self) -> str:
        return f"SubjectRow(line={self.line})"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    new: int
    changed: int
    unchanged: int
    subject_ids: tuple[str, ...]
    """One for each row, in order."""


def read_rows(path: Path, *, today: date) -> list[SubjectRow]:
    """Read and check a whole file.

    Args:
        path: CSV in UTF-8, with or without byte order mark, with a heading line.
        today: no benefit starts later than a year from here.

    Raises:
        ImportRefused: with every problem and its line; no message repeats a number or a name.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ImportRefused([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ImportRefused([f"{path}: not UTF-8 from byte {error.start}; save it as CSV UTF-8"]) from error
    rows: list[SubjectRow] = []
    problems: list[str] = []
    for line, cells in _records(text, problems):
        row = _row(line, cells, today, problems)
        if row is not None:
            rows.append(row)
    problems += _contradictions(rows)
    if not rows and not problems:
        problems.append("the file has a heading and no rows")
    if problems:
        raise ImportRefused([f"{path}: {problem}" for problem in problems])
    return rows


def import_rows(
    database: Database, keys: FleetKeys, rows: Sequence[SubjectRow], *, now: datetime, zone: tzinfo
) -> Imported:
    """Store rows in one transaction and bring the rosters up to date.

    Raises:
        DatabaseUnavailable: nothing was stored.
    """
    tokens = [claim_token(row.document, keys.claim_key) for row in rows]
    with database.begin() as connection:
        # Terminals before subjects, the order in which ingest locks them.
        find_terminals(connection, lock=True)
        known = subjects.find_by_tokens(connection, tokens)
        benefits = subjects.benefits_of(connection, [subject.subject_id for subject in known.values()])
        counts = {"new": 0, "changed": 0, "unchanged": 0}
        ids: list[str] = []
        for row, token in zip(rows, tokens, strict=True):
            what, subject = _save(connection, keys, row, token, known.get(token), benefits, now)
            known[token] = subject
            counts[what] += 1
            ids.append(subject.subject_id)
        rosters.refresh(connection)
        project(connection, ids, zone=zone, today=day_of(now, zone))
    return Imported(counts["new"], counts["changed"], counts["unchanged"], tuple(ids))


def _save(
    connection: Connection,
    keys: FleetKeys,
    row: SubjectRow,
    token: str,
    known: StoredSubject | None,
    benefits: dict[str, dict[str, Benefit]],
    now: datetime,
) -> tuple[str, StoredSubject]:
    if known is None:
        subject_id = os.urandom(16).hex()
        document = keys.cipher.encrypt(row.document.text, subject_id=subject_id, field_name="document")
        same_person = False
    else:
        subject_id, document = known.subject_id, known.document_sealed
        name = keys.cipher.decrypt(known.name_sealed, subject_id=subject_id, field_name="name")
        same_person = name == row.name and known.area == row.area
    subject = known
    if subject is None or not same_person:
        sealed = keys.cipher.encrypt(row.name, subject_id=subject_id, field_name="name")
        subject = StoredSubject(
            subject_id, token, row.area, sealed, document, birth_date(row.document), sex(row.document)
        )
        subjects.save_subject(connection, subject, now=now)
    same_benefit = benefits.setdefault(subject_id, {}).get(row.benefit.scheme) == row.benefit
    if not same_benefit:
        subjects.save_benefit(connection, subject_id, row.benefit)
        benefits[subject_id][row.benefit.scheme] = row.benefit
    if known is None:
        return "new", subject
    return ("unchanged" if same_person and same_benefit else "changed"), subject


def _records(text: str, problems: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        heading = next(reader, None)
        columns = _heading(heading, problems)
        if columns is None or heading is None:
            return
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(heading):
                problems.append(f"line {reader.line_num}: {len(cells)} columns, {len(heading)} expected")
                continue
            yield reader.line_num, {name: cells[index].strip() for name, index in columns.items()}
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: not CSV: {error}")


def _heading(heading: list[str] | None, problems: list[str]) -> dict[str, int] | None:
    if heading is None:
        problems.append("the file is empty")
        return None
    found = {cell.strip().lower(): index for index, cell in enumerate(heading)}
    columns: dict[str, int] = {}
    for name, headings in _COLUMNS.items():
        index = next((found[known] for known in headings if known in found), None)
        if index is None:
            problems.append(f"line 1: no column {name}")
        else:
            columns[name] = index
    if len(columns) < len(_COLUMNS):
        return None
    for name, headings in _OPTIONAL.items():
        index = next((found[known] for known in headings if known in found), None)
        if index is not None:
            columns[name] = index
    return columns


def _row(line: int, cells: dict[str, str], today: date, problems: list[str]) -> SubjectRow | None:
    wrong: list[str] = []
    document = _document(line, cells, wrong)
    name = ""
    try:
        name = normal_name(cells["name"])
    except ProtocolError as error:
        wrong.append(f"line {line}: {error}")
    wrong += [
        f"line {line}: {column}: {problem}"
        for column in ("area", "scheme", "category")
        if (problem := _text_problem(cells[column])) is not None
    ]
    started = _date(cells["benefit_start"], today)
    if started is None:
        wrong.append(f"line {line}: benefit_start: a date like 2015-07-01 expected, from {_FIRST_YEAR} to next year")
    problems += wrong
    if wrong or document is None or started is None:
        return None
    benefit = Benefit(cells["scheme"], cells["area"], cells["category"], started)
    return SubjectRow(line, document, name, cells["area"], benefit)


def _document(line: int, cells: dict[str, str], wrong: list[str]) -> IdentityDocument | None:
    written = cells.get("document_kind", "")
    kind = next((kind for kind, names in _KINDS.items() if written in {kind.value, *names}), None)
    if written and kind is None:
        wrong.append(f"line {line}: document_kind: one of {', '.join(DocumentKind)} expected")
        return None
    try:
        return parse_document(cells["document_number"], kind, issuer=cells.get("document_issuer", ""))
    except ProtocolError as error:
        wrong.append(f"line {line}: document_number: {error}")
        return None


def _contradictions(rows: list[SubjectRow]) -> list[str]:
    problems: list[str] = []
    first: dict[IdentityDocument, SubjectRow] = {}
    benefits: dict[tuple[IdentityDocument, str], int] = {}
    for row in rows:
        person = first.setdefault(row.document, row)
        if (person.name, person.area) != (row.name, row.area):
            problems.append(f"line {row.line}: same document number as line {person.line}, other name or area")
        line = benefits.setdefault((row.document, row.benefit.scheme), row.line)
        if line != row.line:
            problems.append(f"line {row.line}: same person and scheme as line {line}")
    return problems


def _text_problem(text: str) -> str | None:
    if not text:
        return "empty"
    if len(text) > _MAX_TEXT:
        return f"{len(text)} characters, at most {_MAX_TEXT} are taken"
    if any(unicodedata.category(character) in {"Cc", "Cs", "Cn"} for character in text):
        return "characters that cannot be shown"
    return None


def _date(text: str, today: date) -> date | None:
    try:
        found = date.fromisoformat(text.replace("/", "-"))
    except ValueError:
        return None
    return found if _FIRST_YEAR <= found.year <= today.year + 1 else None
