"""One person paid twice: by the list of benefits, under two documents, or by a list of another system (R8-11).

All three only fill the queue. The old and the new form of one identity number are one document here (`protocol.documents`), so two
documents are those of two kinds, or two numbers. Name and date of birth that agree make a candidate, no more: in a province several
people share both.

Systems compare lists without telling each other numbers: both make tokens of their numbers with one secret that they agreed on
(`protocol.documents.claim_token`; not the fleet's own claim key, which stays here). Whoever has that secret can try numbers out, so it is
a key to be kept like one, and a list is no anonymous data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from itertools import combinations
from pathlib import Path

from sqlalchemy import Connection

from fleet.audit import log
from fleet.clock import day_of
from fleet.duplicates.combinations import Combinations, suspicions
from fleet.errors import Refused
from fleet.keys import FieldCipher
from fleet.store import duplicates, subjects
from fleet.store.database import Database
from fleet.store.duplicates import NewHit
from fleet.tables.places import at_line, in_column
from fleet.tables.reading import Column, TableRow, read_table, refuse, text_problem
from fleet.tables.writing import to_csv
from protocol.documents import claim_token, parse_document
from protocol.errors import Problem
from protocol.references import KEY_BYTES

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_HEADING = ["token", "scheme", "region"]
_LONGEST = 100
"""Characters of a scheme or region, as in a list of subjects."""
_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Compared:
    """What was compared and found."""

    people: int
    """On several lists, with a namesake, or in both systems."""
    suspicions: int
    hits: int
    """New ones in the queue."""


@dataclass(frozen=True, slots=True)
class ElsewhereRow:
    """One benefit that another system pays."""

    line: int
    token: str
    scheme: str
    region: str


@dataclass(frozen=True, slots=True)
class _Namesake:
    subject_id: str
    area: str
    kind: str
    born: date | None


def check_lists(database: Database, table: Combinations, *, now: datetime, zone: tzinfo) -> Compared:
    """Look for people with benefits that may not stand side by side.

    Raises:
        DatabaseUnavailable: as any transaction.
    """
    with database.begin() as connection:
        people = list(duplicates.several_benefits(connection, day_of(now, zone)))
        found = [
            NewHit("benefits", (subject_id, subject_id), what=str(suspicion))
            for subject_id, benefits in people
            for suspicion in suspicions(benefits, None, table)
        ]
        return Compared(len(people), len(found), duplicates.add_hits(connection, found, now=now))


def check_documents(database: Database, cipher: FieldCipher, *, now: datetime) -> Compared:
    """Look for one person under two documents: the same name and date of birth.

    Where one document says no date of birth (a passport, a permit), another kind of document of the same name in the same area is a
    candidate; the hit says on what it rests.

    Raises:
        FleetError: if a name was stored under another key.
        DatabaseUnavailable: as any transaction.
    """
    with database.begin() as connection:
        by_name: dict[bytes, list[_Namesake]] = {}
        for subject_id, area, name_sealed, document_sealed, born in duplicates.identities(connection):
            name = cipher.decrypt(name_sealed, subject_id=subject_id, field_name="name")
            text = cipher.decrypt(document_sealed, subject_id=subject_id, field_name="document")
            # Names stay in memory as keyed hashes only.
            key = cipher.digest(name, subject_id="duplicates", field_name="name")
            by_name.setdefault(key, []).append(_Namesake(subject_id, area, text.partition(":")[0], born))
        groups = [group for group in by_name.values() if len(group) > 1]
        found = [hit for group in groups for hit in _candidates(group)]
        hits = 0
        for start in range(0, len(found), _CHUNK):
            hits += duplicates.add_hits(connection, found[start : start + _CHUNK], now=now)
    return Compared(sum(len(group) for group in groups), len(found), hits)


def read_elsewhere(path: Path) -> list[ElsewhereRow]:
    """Read a list of another system, with the columns token, scheme, region.

    Raises:
        ImportRefused: with every problem and its line.
    """
    table = read_table(path, {name: Column() for name in _HEADING})
    problems = list(table.problems)
    for row in table.rows:
        problems += [] if row.faults else _problems(row)
    if problems:
        refuse(path, problems)
    return [ElsewhereRow(row.line, **row.cells) for row in table.rows]


def check_elsewhere(
    database: Database,
    cipher: FieldCipher,
    rows: Sequence[ElsewhereRow],
    table: Combinations,
    *,
    key: bytes,
    source: str,
    by: str,
    now: datetime,
) -> Compared:
    """Compare a list of another system with the benefits here; that it was done is logged.

    Args:
        database: the fleet's.
        cipher: the fleet's.
        rows: of the list.
        table: what is allowed.
        key: the secret that both systems agreed on.
        source: whose list it is, as it stands in the hit.
        by: who compares, recorded as given.
        now: when.

    Raises:
        Refused: if a name cannot be taken.
        DatabaseUnavailable: as any transaction.
    """
    if not 0 < len(source.strip()) <= _LONGEST:
        raise Refused(f"source: 1 to {_LONGEST} characters expected")
    elsewhere: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        elsewhere.setdefault(row.token, []).append((row.scheme, row.region))
    with database.begin() as connection:
        both = {who: elsewhere[token] for who, token in _tokens(connection, cipher, key) if token in elsewhere}
        benefits = subjects.benefits_of(connection, list(both))
        found = [
            NewHit("elsewhere", (who, who), what=f"{source.strip()}: {suspicion}")
            for who, others in both.items()
            for suspicion in suspicions(
                sorted((benefit.scheme, benefit.region) for benefit in benefits.get(who, {}).values()),
                sorted(set(others)),
                table,
            )
        ]
        done = Compared(len(both), len(found), duplicates.add_hits(connection, found, now=now))
        detail = {"rows": len(rows), "people": done.people, "hits": done.hits}
        _note(connection, cipher, "duplicates.list_compared", source.strip(), detail, by=by, now=now)
    return done


def own_list(database: Database, cipher: FieldCipher, *, key: bytes, by: str, now: datetime) -> bytes:
    """Return the list that another system compares, CSV: token, scheme and region of every benefit; that it was made is logged.

    Raises:
        Refused: if the name cannot be taken.
        DatabaseUnavailable: as any transaction.
    """
    rows: list[tuple[str, str, str]] = []
    with database.begin() as connection:
        tokens = dict(_tokens(connection, cipher, key))
        who = list(tokens)
        for start in range(0, len(who), _CHUNK):
            found = subjects.benefits_of(connection, who[start : start + _CHUNK])
            rows += [
                (tokens[subject_id], benefit.scheme, benefit.region)
                for subject_id, benefits in found.items()
                for benefit in benefits.values()
            ]
        _note(connection, cipher, "duplicates.list_exported", "own", {"benefits": len(rows)}, by=by, now=now)
    return to_csv((_HEADING, rows), for_programs=True)


def read_shared_key(path: Path) -> bytes:
    """Read the secret that two systems agreed on, 32 bytes.

    Raises:
        Refused: if it cannot be read or has another length.
    """
    try:
        key = path.read_bytes()
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror}") from error
    if len(key) != KEY_BYTES:
        raise Refused(f"{path}: {len(key)} bytes, {KEY_BYTES} expected (head -c {KEY_BYTES} /dev/urandom)")
    return key


def _note(
    connection: Connection,
    cipher: FieldCipher,
    action: str,
    whose: str,
    detail: dict[str, int],
    *,
    by: str,
    now: datetime,
) -> None:
    log.note(
        connection,
        cipher,
        actor=by,
        action=action,
        object_kind="benefit_list",
        object_id=whose,
        detail=detail,
        now=now,
    )


def _tokens(connection: Connection, cipher: FieldCipher, key: bytes) -> Iterator[tuple[str, str]]:
    for subject_id, _, _, document_sealed, _ in duplicates.identities(connection):
        text = cipher.decrypt(document_sealed, subject_id=subject_id, field_name="document")
        yield subject_id, claim_token(parse_document(text), key)


def _candidates(group: Iterable[_Namesake]) -> Iterator[NewHit]:
    """Give the pairs of one name that may be one person; thousands share a name, few of them a day of birth or an area."""
    by_birth: dict[date, list[_Namesake]] = {}
    by_area: dict[str, list[_Namesake]] = {}
    for each in sorted(group, key=lambda each: each.subject_id):
        if each.born is not None:
            by_birth.setdefault(each.born, []).append(each)
        by_area.setdefault(each.area, []).append(each)
    for born in by_birth.values():
        for one, other in combinations(born, 2):
            yield NewHit("same_person", (one.subject_id, other.subject_id), what="name and date of birth")
    for neighbours in by_area.values():
        for one, other in combinations(neighbours, 2):
            if None in (one.born, other.born) and one.kind != other.kind:
                yield NewHit("same_person", (one.subject_id, other.subject_id), what="name and area")


def _problems(row: TableRow) -> Iterator[Problem]:
    if not _TOKEN.fullmatch(row.cells["token"]):
        expected = Problem("43 characters of base64url expected", "token_form")
        yield expected.within(at_line(row.line), in_column("token"))
    for name in ("scheme", "region"):
        if problem := text_problem(row.cells[name], _LONGEST):
            yield problem.within(at_line(row.line), in_column(name))
