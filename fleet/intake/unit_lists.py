"""Lists of verified persons that units and villages hand in (R4-6, R4-20, R4-21, R6-6).

A list is one person's word until two at the agency have approved it. Then it is a special certification by the channel `unit` for everybody
on it whose rule packs take that; for the others it changes nothing, and the report says so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.benefits.acts import take_acts
from fleet.clock import day_of
from fleet.errors import NotFound, Refused
from fleet.intake.categories import takes_certificate
from fleet.intake.held_packs import held_packs
from fleet.intake.identity import IDENTITY_COLUMNS, document_in, name_in
from fleet.keys import FleetKeys
from fleet.store import approvals, subjects, unit_lists
from fleet.store.acts import NewAct
from fleet.store.database import Database
from fleet.store.names import cleaned
from fleet.store.subjects import Benefit
from fleet.store.unit_lists import UnitList
from fleet.tables.reading import Table, read_table, refuse
from protocol.documents import IdentityDocument, claim_token
from protocol.rules.acts import ActKind, Channel
from protocol.rules.pack import RulePack

OBJECT_KIND = "unit_list"
_NOON = time(12)
"""Of the day on which persons were verified: no zone makes it another day."""


class Body(StrEnum):
    """Who hands a list in."""

    UNIT = "unit"
    VILLAGE = "village"


class Evidence(StrEnum):
    """What comes with it."""

    LIST = "list"
    """Copies of the household registers, marked 与原件相符 (R4-20)."""
    CERTIFICATE = "certificate"
    """A certificate of the unit alone, for injured people and dependants (R4-21)."""


class RowResult(StrEnum):
    """What becomes of a person on a list."""

    PENDING = "pending"
    """Certified once two persons have approved the list."""
    CERTIFIED = "certified"
    NOT_TAKEN = "not_taken"
    """None of the person's rule packs takes a unit's list."""


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What a unit handed in beside the names."""

    body: Body
    unit: str
    evidence: Evidence
    is_sealed: bool
    matches_originals: bool
    register_copies: int
    verified_on: date
    handler: str
    """Name of the unit's handler."""
    handler_document: IdentityDocument

    def __repr__(self) -> str:
        return f"HandedIn({self.body}, {self.evidence})"


@dataclass(frozen=True, slots=True)
class ListLine:
    """One person of a report."""

    line: int
    subject_id: str
    result: RowResult


def paper_problems(papers: HandedIn, persons: int, today: date) -> list[str]:
    """Return what is wrong with what came beside the names. Pure.

    Args:
        papers: what was handed in.
        persons: how many are on the list.
        today: no list says who was verified later.
    """
    found = []
    if not papers.is_sealed:
        found.append("the list has no seal of the unit; send it back to be sealed")
    if papers.verified_on > today:
        found.append("verified on a day to come")
    if papers.evidence is Evidence.LIST:
        if not papers.matches_originals:
            found.append("the copies are not marked 与原件相符 (same as the originals)")
        if papers.register_copies < persons:
            found.append(f"{papers.register_copies} copies of household registers for {persons} persons")
    return found


def take_in(
    database: Database, keys: FleetKeys, path: Path, papers: HandedIn, *, by: str, now: datetime, zone: tzinfo
) -> tuple[str, list[ListLine]]:
    """Take a list in, to be approved; return its id and what would become of each person.

    Args:
        database: where.
        keys: the fleet's.
        path: CSV or XLSX with document number and name, and where needed kind and issuer.
        papers: what came with it.
        by: who takes it in.
        now: the time.
        zone: where a day ends.

    Raises:
        ImportRefused: with every problem of papers and rows; nothing was stored.
        Refused: if this very file was taken in before, or a name cannot be taken.
    """
    table = read_table(path, IDENTITY_COLUMNS)
    today = day_of(now, zone)
    unit, list_id = cleaned(papers.unit), os.urandom(8).hex()
    with database.begin() as connection:
        known = unit_lists.find_by_digest(connection, table.sha256)
        if known is not None:
            raise Refused(f"{path}: was taken in before, as list {known.list_id}")
        problems = paper_problems(papers, len(table.rows), today)
        members = _members(connection, keys, table, papers, unit, problems)
        if problems:
            refuse(path, problems)
        found = _stored(keys, papers, table.sha256, list_id, unit=unit, by=by, now=now)
        unit_lists.add_unit_list(connection, found, members)
        lines = _lines(connection, members, RowResult.PENDING, today)
        detail = {"body": papers.body.value, "evidence": papers.evidence.value, "persons": len(members)}
        _note(connection, keys, by, "unit_list.taken", list_id, detail, now)
    return list_id, lines


def approve_list(
    database: Database, keys: FleetKeys, list_id: str, *, by: str, reason: str, now: datetime, zone: tzinfo
) -> tuple[int, list[ListLine]]:
    """Write one approval down; the second one certifies. Return how many there are, and what became of each person.

    Raises:
        NotFound: if there is no such list.
        Refused: if this person approved it before, or it has had its effect.
    """
    today = day_of(now, zone)
    with database.begin() as connection:
        found = unit_lists.find_unit_list(connection, list_id, lock=True)
        if found is None:
            raise NotFound(f"list {list_id}: none of this id was handed in (`lifecert-fleet lists handed-in`)")
        place = approvals.approve(connection, keys.cipher, OBJECT_KIND, list_id, name=by, reason=reason, now=now)
        members = unit_lists.members_of(connection, list_id)
        is_decided = place == approvals.NEEDED
        lines = _lines(connection, members, RowResult.CERTIFIED if is_decided else RowResult.PENDING, today)
        if is_decided:
            certified = [line.subject_id for line in lines if line.result is RowResult.CERTIFIED]
            at = datetime.combine(found.verified_on, _NOON, zone)
            acts = [
                NewAct(subject_id, ActKind.SPECIAL, Channel.UNIT, at, OBJECT_KIND, list_id) for subject_id in certified
            ]
            take_acts(connection, acts, now=now, zone=zone)
            unit_lists.mark_decided(connection, list_id, now=now)
        counts = {result.value: sum(line.result is result for line in lines) for result in RowResult}
        _note(connection, keys, by, "unit_list.approved", list_id, {"place": place, **counts}, now)
    return place, lines


def takes_unit_list(packs: Sequence[RulePack]) -> bool:
    """Say whether one of a person's packs takes a unit's list as a certification. Pure."""
    return any(
        ActKind.SPECIAL in pack.counts and (not pack.channels or Channel.UNIT in pack.channels) for pack in packs
    )


def _stored(
    keys: FleetKeys, papers: HandedIn, sha256: str, list_id: str, *, unit: str, by: str, now: datetime
) -> UnitList:
    return UnitList(
        list_id=list_id,
        body=papers.body,
        unit=unit,
        evidence=papers.evidence,
        matches_originals=papers.matches_originals,
        register_copies=papers.register_copies,
        verified_on=papers.verified_on,
        handler_sealed=keys.cipher.encrypt(cleaned(papers.handler), subject_id=list_id, field_name="handler"),
        handler_token=claim_token(papers.handler_document, keys.claim_key),
        sha256=sha256,
        taken_at=now,
        taken_by_sealed=keys.cipher.encrypt(cleaned(by), subject_id=list_id, field_name="taken_by"),
        decided_at=None,
    )


def _lines(connection: Connection, members: Sequence[tuple[str, int]], taken: RowResult, today: date) -> list[ListLine]:
    packs = held_packs(connection, [subject_id for subject_id, _ in members], today=today)
    return [
        ListLine(line, subject_id, taken if takes_unit_list(packs[subject_id]) else RowResult.NOT_TAKEN)
        for subject_id, line in members
        if subject_id in packs
    ]


def _members(
    connection: Connection, keys: FleetKeys, table: Table, papers: HandedIn, unit: str, problems: list[str]
) -> list[tuple[str, int]]:
    """Return subject id and line of each row; what is wrong with rows is added to `problems`."""
    problems += table.problems
    read: list[tuple[int, str, str]] = []
    for row in table.rows:
        wrong = list(row.faults)
        document, name = document_in(row.line, row.cells, wrong), name_in(row.line, row.cells, wrong)
        problems += wrong[len(row.faults) :]
        if document is not None and not wrong:
            read.append((row.line, name, claim_token(document, keys.claim_key)))
    known = subjects.find_by_tokens(connection, [token for _, _, token in read])
    benefits = subjects.benefits_of(connection, [subject.subject_id for subject in known.values()])
    first: dict[str, int] = {}
    members: list[tuple[str, int]] = []
    for line, name, token in read:
        subject = known.get(token)
        if subject is None:
            problems.append(f"line {line}: nobody is known by this document number; import the person first")
            continue
        stored = keys.cipher.decrypt(subject.name_sealed, subject_id=subject.subject_id, field_name="name")
        if stored != name:
            problems.append(f"line {line}: the person known by this document number has another name")
        elif first.setdefault(subject.subject_id, line) != line:
            problems.append(f"line {line}: same person as line {first[subject.subject_id]}")
        else:
            members.append((subject.subject_id, line))
            problems += _person_problems(line, benefits.get(subject.subject_id, {}), papers, unit)
    return members


def _person_problems(line: int, benefits: Mapping[str, Benefit], papers: HandedIn, unit: str) -> list[str]:
    found = []
    units = {benefit.unit for benefit in benefits.values() if benefit.unit is not None}
    if papers.body is Body.UNIT and units and unit not in units:
        found.append(f"line {line}: the person belongs to another unit")
    if papers.evidence is Evidence.CERTIFICATE and not any(
        takes_certificate(benefit.scheme, benefit.category) for benefit in benefits.values()
    ):
        found.append(f"line {line}: a certificate alone suffices for injured people and dependants only")
    return found


def _note(
    connection: Connection,
    keys: FleetKeys,
    by: str,
    action: str,
    list_id: str,
    detail: Mapping[str, object],
    now: datetime,
) -> None:
    note(
        connection,
        keys.cipher,
        actor=by,
        action=action,
        object_kind=OBJECT_KIND,
        object_id=list_id,
        detail=detail,
        now=now,
    )
