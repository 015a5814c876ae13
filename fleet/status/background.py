"""What the fleet knows about the things records name: policies, references, operators. Gathered once for many records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from sqlalchemy import Connection

from fleet.admission import AnyLink, Known, KnownReference, KnownStaff, bracket_of, moment_of
from fleet.store import policies, subjects
from fleet.store.operators import StaffBook
from protocol.events import TerminalEvent
from protocol.policy import Policy
from protocol.records import CertificationRecord


@dataclass(frozen=True, slots=True)
class Background:
    """Policies, references and operators behind some records."""

    policies: dict[str, Policy]
    references: dict[tuple[str, str], KnownReference]
    staff: StaffBook

    def known(self, record: CertificationRecord, received_at: datetime) -> Known:
        """Return what the fleet knows of the things a record names, without what an enrolment made."""
        name = _reference_name(record)
        return Known(
            self.policies.get(record.decision.policy_version),
            None if name is None else self.references.get(name),
            self.staff_of(record, received_at),
        )

    def staff_of(self, link: AnyLink, received_at: datetime) -> KnownStaff:
        """Return what the fleet knows of those who may have been at a link's terminal then."""
        return self.staff.staff_at(link.terminal_id, bracket_of(moment_of(link), received_at).latest)


def background_of(connection: Connection, links: Sequence[AnyLink], *, zone: tzinfo) -> Background:
    """Look up what these links name.

    Args:
        connection: where to look.
        links: the links.
        zone: where a day ends.
    """
    records = [link for link in links if isinstance(link, CertificationRecord)]
    names = {name for record in records if (name := _reference_name(record)) is not None}
    answering = [link for link in links if not isinstance(link, TerminalEvent)]
    people = {who for link in answering for who in (link.operator, link.witness) if who is not None}
    return Background(
        policies.find_policies(connection, {record.decision.policy_version for record in records}),
        subjects.known_references(connection, sorted(names), zone=zone),
        StaffBook(connection, people, {link.terminal_id for link in answering}, zone=zone),
    )


def _reference_name(record: CertificationRecord) -> tuple[str, str] | None:
    if record.claim.subject_id is None or record.comparison is None:
        return None
    return record.claim.subject_id, record.comparison.reference_id
