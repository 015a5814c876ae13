"""Lists of verified persons that units and villages hand in (R4-6, R4-20, R4-21, R6-6).

A list is one person's word until two at the agency have approved it. Then it is a special certification by the channel `unit` for everybody
whom it calls verified and whose rule packs take that; for the others it changes nothing, and the report says so. A list with a column for
results says of each person what was found; one without is a list of verified persons and nobody else (R4-20).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, tzinfo
from enum import StrEnum

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.benefits.acts import take_acts
from fleet.clock import day_of
from fleet.errors import NotFound, Refused
from fleet.intake.handed_in import COLUMNS, HandedIn, members_in, paper_problems
from fleet.intake.held_packs import held_packs
from fleet.intake.list_results import ListResult
from fleet.keys import FieldCipher, FleetKeys
from fleet.store import approvals, unit_lists
from fleet.store.acts import NewAct
from fleet.store.database import Database
from fleet.store.life_events import life_events_of
from fleet.store.names import cleaned, folded
from fleet.store.unit_lists import Member, UnitList
from fleet.tables.reading import Source, read_table, refuse
from protocol.documents import claim_token
from protocol.errors import Problem
from protocol.rules.acts import ActKind, Channel
from protocol.rules.life import ENDING, LifeEventKind
from protocol.rules.pack import RulePack

OBJECT_KIND = "unit_list"
_GONE = ENDING | {LifeEventKind.MISSING}
"""Reports that no list overrules: whoever is said to be dead or missing shows up in person, or the report is taken back (R7-7, R7-8)."""
_NOON = time(12)
"""Of the day on which persons were verified: no zone makes it another day."""


class RowResult(StrEnum):
    """What becomes of a person on a list."""

    PENDING = "pending"
    """Certified once two persons have approved the list."""
    CERTIFIED = "certified"
    NOT_TAKEN = "not_taken"
    """None of the person's rule packs takes a unit's list."""
    REPORTED = "reported"
    """A report that stands says the person is dead or missing."""
    NOT_SEEN = "not_seen"
    DEAD = "dead"
    """As the list says; it is no report yet."""
    MISSING = "missing"
    """As the list says; it is no report yet."""
    NOT_PASSED = "not_passed"
    EMPTY = "empty"
    """The list has a column for results, and nothing stands there."""


TO_REPORT = frozenset({RowResult.DEAD, RowResult.MISSING})
"""Such a mark is no report yet: somebody at the agency makes one of it, with day and source (R7-7, R7-8)."""


@dataclass(frozen=True, slots=True)
class ListLine:
    """One person of a report."""

    line: int
    subject_id: str
    result: RowResult
    name: str
    """The person's, for whoever approves."""

    def __repr__(self) -> str:
        return f"ListLine(line={self.line}, result={self.result})"


def take_in(
    database: Database,
    keys: FleetKeys,
    path: Source,
    papers: HandedIn,
    *,
    by: str,
    now: datetime,
    zone: tzinfo,
    areas: Sequence[str] | None = None,
) -> tuple[str, list[ListLine]]:
    """Take a list in, to be approved; return its id and what would become of each person.

    Args:
        database: where.
        keys: the fleet's.
        path: CSV or XLSX with document number and name, where needed kind and issuer, and what was found of each person.
        papers: what came with it.
        by: who takes it in.
        now: the time.
        zone: where a day ends.
        areas: where whoever takes it in may know people; others are nobody to them. None for everywhere.

    Raises:
        ImportRefused: with every problem of papers and rows; nothing was stored.
        Refused: if this very file was taken in before, or a name cannot be taken.
    """
    table = read_table(path, COLUMNS)
    today = day_of(now, zone)
    unit, list_id = cleaned(papers.unit), os.urandom(8).hex()
    with database.begin() as connection:
        known = unit_lists.find_by_digest(connection, table.sha256)
        if known is not None:
            raise Refused(
                f"{path}: was taken in before, as list {known.list_id}", code="list_known", list=known.list_id
            )
        problems: list[Problem] = []
        members = members_in(connection, keys, table, papers, problems, areas)
        problems += paper_problems(papers, sum(member.result == ListResult.VERIFIED for member in members), today)
        if problems:
            refuse(path, problems)
        found = _stored(keys, papers, table.sha256, list_id, unit=unit, by=by, now=now)
        unit_lists.add_unit_list(connection, found, members)
        lines = _lines(connection, keys.cipher, members, RowResult.PENDING, today)
        detail = {
            "body": papers.body.value,
            "evidence": papers.evidence.value,
            "persons": len(members),
            **counted(lines),
        }
        _note(connection, keys, by, "unit_list.taken", list_id, detail, now)
    return list_id, lines


def approve_list(
    database: Database, keys: FleetKeys, list_id: str, *, by: str, reason: str, now: datetime, zone: tzinfo
) -> tuple[int, list[ListLine]]:
    """Write one approval down; the second one certifies. Return how many there are, and what became of each person, by name.

    Raises:
        NotFound: if there is no such list.
        Refused: if this person took it in or approved it before, or it has had its effect.
    """
    today = day_of(now, zone)
    with database.begin() as connection:
        found = _found(connection, list_id)
        if has_taken_in(keys.cipher, found, by):
            raise Refused(f"list {list_id}: who took it in may not approve it; another person must", code="took_in")
        place = approvals.approve(connection, keys.cipher, OBJECT_KIND, list_id, name=by, reason=reason, now=now)
        members = unit_lists.members_of(connection, list_id)
        is_decided = place == approvals.NEEDED
        taken = RowResult.CERTIFIED if is_decided else RowResult.PENDING
        lines = _lines(connection, keys.cipher, members, taken, today)
        if is_decided:
            certified = [line.subject_id for line in lines if line.result is RowResult.CERTIFIED]
            at = datetime.combine(found.verified_on, _NOON, zone)
            acts = [
                NewAct(subject_id, ActKind.SPECIAL, Channel.UNIT, at, OBJECT_KIND, list_id) for subject_id in certified
            ]
            take_acts(connection, acts, now=now, zone=zone)
            unit_lists.mark_decided(connection, list_id, now=now)
        detail = {"place": place, "names_shown": len(lines), **counted(lines)}
        _note(connection, keys, by, "unit_list.approved", list_id, detail, now)
    return place, lines


def has_taken_in(cipher: FieldCipher, found: UnitList, name: str) -> bool:
    """Return whether somebody of this name took a list in, however it is written."""
    taker = cipher.decrypt(found.taken_by_sealed, subject_id=found.list_id, field_name="taken_by")
    return folded(taker) == folded(cleaned(name))


def look(
    database: Database, keys: FleetKeys, list_id: str, *, by: str, now: datetime, zone: tzinfo
) -> tuple[int, list[ListLine]]:
    """Return how many have approved a list, and everybody on it by name; the look is written down.

    Raises:
        NotFound: if there is no such list.
    """
    with database.begin() as connection:
        found = _found(connection, list_id)
        members = unit_lists.members_of(connection, list_id)
        lines = _lines(connection, keys.cipher, members, RowResult.PENDING, day_of(now, zone))
        if found.decided_at is not None:
            certified = unit_lists.certified_by(connection, list_id)
            lines = [_as_decided(line, is_certified=line.subject_id in certified) for line in lines]
        place = len(approvals.approvals_of(connection, keys.cipher, OBJECT_KIND, list_id))
        about = {line.subject_id for line in lines if line.subject_id is not None}
        _note(connection, keys, by, "unit_list.looked", list_id, {"names_shown": len(lines)}, now, about=about)
    return place, lines


def _as_decided(line: ListLine, *, is_certified: bool) -> ListLine:
    if is_certified:
        return replace(line, result=RowResult.CERTIFIED)
    return replace(line, result=RowResult.NOT_TAKEN) if line.result is RowResult.PENDING else line


def counted(lines: Sequence[ListLine]) -> dict[str, int]:
    """Return how often each result stands in a report; what does not occur is left out."""
    return {result.value: many for result in RowResult if (many := sum(line.result is result for line in lines))}


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


def _found(connection: Connection, list_id: str) -> UnitList:
    found = unit_lists.find_unit_list(connection, list_id, lock=True)
    if found is None:
        raise NotFound(
            f"list {list_id}: none of this id was handed in (`lifecert-fleet lists handed-in`)", code="no_list"
        )
    return found


def _lines(
    connection: Connection, cipher: FieldCipher, members: Sequence[Member], taken: RowResult, today: date
) -> list[ListLine]:
    ids = [member.subject_id for member in members]
    packs = held_packs(connection, ids, today=today)
    gone = _gone(connection, ids, today)

    def result(member: Member) -> RowResult:
        if member.result != ListResult.VERIFIED:
            return RowResult(member.result)
        if member.subject_id in gone:
            return RowResult.REPORTED
        return taken if takes_unit_list(packs[member.subject_id]) else RowResult.NOT_TAKEN

    return [
        ListLine(
            member.line,
            member.subject_id,
            result(member),
            cipher.decrypt(member.name_sealed, subject_id=member.subject_id, field_name="name"),
        )
        for member in members
        if member.subject_id in packs
    ]


def _gone(connection: Connection, subject_ids: Sequence[str], today: date) -> set[str]:
    """Return who is said to be dead or missing by a report that stands."""
    return {
        subject_id
        for subject_id, reports in life_events_of(connection, subject_ids).items()
        if any(one.event.kind in _GONE and (one.event.until is None or one.event.until > today) for one in reports)
    }


def _note(
    connection: Connection,
    keys: FleetKeys,
    by: str,
    action: str,
    list_id: str,
    detail: Mapping[str, object],
    now: datetime,
    about: Collection[str] = (),
) -> None:
    note(
        connection,
        keys.cipher,
        actor=by,
        action=action,
        object_kind=OBJECT_KIND,
        object_id=list_id,
        detail=detail,
        about=about,
        now=now,
    )
