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
from fleet.tables.places import at_line, in_column
from fleet.tables.reading import Column, Table, TableRow
from protocol.documents import IdentityDocument, claim_token
from protocol.errors import Problem

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


def paper_problems(papers: HandedIn, persons: int, today: date) -> list[Problem]:
    """Return what is wrong with what came beside the names. Pure.

    Args:
        papers: what was handed in.
        persons: how many the list calls verified.
        today: no list says who was verified later.
    """
    found = []
    if not papers.is_sealed:
        found.append(Problem("the list has no seal of the unit; send it back to be sealed", "no_seal"))
    if papers.verified_on > today:
        found.append(Problem("verified on a day to come", "verified_later"))
    if papers.evidence is Evidence.LIST:
        if not papers.matches_originals:
            found.append(Problem("the copies are not marked 与原件相符 (same as the originals)", "not_marked"))
        if papers.register_copies < persons:
            sentence = f"{papers.register_copies} copies of household registers for {persons} persons"
            found.append(Problem(sentence, "few_copies", copies=papers.register_copies, persons=persons))
    return found


def members_in(
    connection: Connection,
    keys: FleetKeys,
    table: Table,
    papers: HandedIn,
    problems: list[Problem],
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
            problems.append(_UNKNOWN.within(at_line(line)))
            continue
        stored = keys.cipher.decrypt(subject.name_sealed, subject_id=subject.subject_id, field_name="name")
        if stored != name:
            problems.append(_OTHER_NAME.within(at_line(line)))
        elif first.setdefault(subject.subject_id, line) != line:
            before = at_line(first[subject.subject_id])
            twice = Problem(f"same person as {before}", "same_person_line", other=before)
            problems.append(twice.within(at_line(line)))
        else:
            members.append(Member(subject.subject_id, line, result, subject.name_sealed))
            found = _person_problems(subject, benefits.get(subject.subject_id, {}), papers, codes)
            problems += [problem.within(at_line(line)) for problem in found]
    return members


_UNKNOWN = Problem("nobody is known by this document number; import the person first", "unknown_person")
_OTHER_NAME = Problem("the person known by this document number has another name", "other_name")


def _written_result(row: TableRow, wrong: list[Problem]) -> ListResult | None:
    if "verified" not in row.cells:
        return ListResult.VERIFIED
    found = result_of(row.cells["verified"])
    if found is None:
        words = words_to_write()
        word = Problem(f"a word that is not known; write one of {words}, or nothing", "verified_word", words=words)
        wrong.append(word.within(at_line(row.line), in_column("verified")))
    return found


def _codes(connection: Connection, papers: HandedIn, problems: list[Problem]) -> frozenset[str] | None:
    """Return the areas of a village and of all below it; None, and a problem, if there is no such area."""
    tree = AreaTree(areas_of(connection))
    if not tree:
        return frozenset([papers.unit])
    code, fault = tree.code_of(papers.unit)
    if code is None:
        if fault is not None:
            problems.append(fault.at("--unit"))
        return None
    return frozenset(codes_below(connection, code))


def _person_problems(
    subject: StoredSubject, benefits: Mapping[str, Benefit], papers: HandedIn, codes: frozenset[str] | None
) -> list[Problem]:
    found = []
    units = {cleaned(benefit.unit) for benefit in benefits.values() if benefit.unit is not None}
    if papers.body is Body.UNIT and cleaned(papers.unit) not in units:
        found.append(
            Problem("the person belongs to another unit", "other_unit")
            if units
            else Problem(
                "no unit stands at the person's benefits; a village's list is taken in with --body village", "no_unit"
            )
        )
    if codes is not None and subject.area not in codes:
        found.append(Problem("the person lives in another area", "lives_elsewhere"))
    if papers.evidence is Evidence.CERTIFICATE and not any(
        takes_certificate(benefit.scheme, benefit.category) for benefit in benefits.values()
    ):
        found.append(
            Problem("a certificate alone suffices for injured people and dependants only", "certificate_alone")
        )
    return found
