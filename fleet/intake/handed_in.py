"""What units and villages hand in (R4-20, R4-21): the papers, and the rows of the list, of whom they may speak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sqlalchemy import Connection

from fleet.intake.area_tree import AreaTree
from fleet.intake.categories import takes_certificate
from fleet.intake.identity import IDENTITY_COLUMNS, document_in, name_in
from fleet.intake.list_results import ListResult, list_texts, result_of, words_to_write
from fleet.keys import FleetKeys
from fleet.store import subjects
from fleet.store.areas import areas_of, codes_below
from fleet.store.names import cleaned
from fleet.store.subjects import Benefit, StoredSubject
from fleet.store.unit_lists import Member
from fleet.tables.reading import Column, Table, TableRow
from protocol.documents import IdentityDocument, claim_token

COLUMNS = {
    **IDENTITY_COLUMNS,
    "verified": Column((*list_texts()["column"]["verified"].values(), "核验情况", "result"), is_required=False),
}


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


def paper_problems(papers: HandedIn, persons: int, today: date) -> list[str]:
    """Return what is wrong with what came beside the names. Pure.

    Args:
        papers: what was handed in.
        persons: how many the list calls verified.
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


def members_in(
    connection: Connection,
    keys: FleetKeys,
    table: Table,
    papers: HandedIn,
    problems: list[str],
    areas: Sequence[str] | None = None,
) -> list[Member]:
    """Return everybody on a list; what is wrong with rows is added to `problems`, and who lives outside of `areas` is nobody."""
    problems += table.problems
    read: list[tuple[int, str, str, ListResult]] = []
    for row in table.rows:
        wrong = list(row.faults)
        document, name = document_in(row.line, row.cells, wrong), name_in(row.line, row.cells, wrong)
        result = _written_result(row, wrong)
        problems += wrong[len(row.faults) :]
        if document is not None and result is not None and not wrong:
            read.append((row.line, name, claim_token(document, keys.claim_key), result))
    known = subjects.find_by_tokens(connection, [token for _, _, token, _ in read])
    benefits = subjects.benefits_of(connection, [subject.subject_id for subject in known.values()])
    codes = _codes(connection, papers, problems) if papers.body is Body.VILLAGE else None
    first: dict[str, int] = {}
    members: list[Member] = []
    for line, name, token, result in read:
        subject = known.get(token)
        if subject is None or (areas is not None and subject.area not in areas):
            problems.append(f"line {line}: nobody is known by this document number; import the person first")
            continue
        stored = keys.cipher.decrypt(subject.name_sealed, subject_id=subject.subject_id, field_name="name")
        if stored != name:
            problems.append(f"line {line}: the person known by this document number has another name")
        elif first.setdefault(subject.subject_id, line) != line:
            problems.append(f"line {line}: same person as line {first[subject.subject_id]}")
        else:
            members.append(Member(subject.subject_id, line, result, subject.name_sealed))
            problems += _person_problems(line, subject, benefits.get(subject.subject_id, {}), papers, codes)
    return members


def _written_result(row: TableRow, wrong: list[str]) -> ListResult | None:
    if "verified" not in row.cells:
        return ListResult.VERIFIED
    found = result_of(row.cells["verified"])
    if found is None:
        wrong.append(
            f"line {row.line}: verified: a word that is not known; write one of {words_to_write()}, or nothing"
        )
    return found


def _codes(connection: Connection, papers: HandedIn, problems: list[str]) -> frozenset[str] | None:
    """Return the areas of a village and of all below it; None, and a problem, if there is no such area."""
    tree = AreaTree(areas_of(connection))
    if not tree:
        return frozenset([papers.unit])
    code, fault = tree.code_of(papers.unit)
    if code is None:
        problems.append(f"--unit: {fault}")
        return None
    return frozenset(codes_below(connection, code))


def _person_problems(
    line: int, subject: StoredSubject, benefits: Mapping[str, Benefit], papers: HandedIn, codes: frozenset[str] | None
) -> list[str]:
    found = []
    units = {cleaned(benefit.unit) for benefit in benefits.values() if benefit.unit is not None}
    if papers.body is Body.UNIT and cleaned(papers.unit) not in units:
        found.append(
            f"line {line}: the person belongs to another unit"
            if units
            else f"line {line}: no unit stands at the person's benefits; a village's list is taken in with --body village"
        )
    if codes is not None and subject.area not in codes:
        found.append(f"line {line}: the person lives in another area")
    if papers.evidence is Evidence.CERTIFICATE and not any(
        takes_certificate(benefit.scheme, benefit.category) for benefit in benefits.values()
    ):
        found.append(f"line {line}: a certificate alone suffices for injured people and dependants only")
    return found
