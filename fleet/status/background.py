"""What the fleet knows about what records name: policies, references, operators, reports about subjects. Gathered once for many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, tzinfo

from sqlalchemy import Connection

from fleet.admission import (
    CONTRADICTING,
    AnyLink,
    Known,
    KnownReference,
    KnownStaff,
    LifeEvent,
    bracket_of,
    ended_by_releases,
    moment_of,
)
from fleet.store import policies, subjects
from fleet.store.life_events import life_events_of
from fleet.store.operators import StaffBook
from protocol.events import TerminalEvent
from protocol.policy import Policy
from protocol.records import CertificationRecord


@dataclass(frozen=True, slots=True)
class Background:
    """Policies, references, operators and reports behind some records."""

    policies: dict[str, Policy]
    references: dict[tuple[str, str], KnownReference]
    staff: StaffBook
    life_events: dict[str, tuple[LifeEvent, ...]]
    """By subject: reports that stand, of the kinds that a live pass contradicts."""

    def known(self, record: CertificationRecord, received_at: datetime) -> Known:
        """Return what the fleet knows of the things a record names, without what an enrolment made."""
        name = _reference_name(record)
        return Known(
            self.policies.get(record.decision.policy_version),
            None if name is None else self.references.get(name),
            self.staff_of(record, received_at),
            life_events=self.life_events.get(record.claim.subject_id or "", ()),
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
        _life_events(connection, {who for record in records if (who := record.claim.subject_id) is not None}, zone),
    )


def _life_events(connection: Connection, subject_ids: set[str], zone: tzinfo) -> dict[str, tuple[LifeEvent, ...]]:
    return {
        subject_id: tuple(
            LifeEvent(
                event.kind,
                datetime.combine(event.since, time(), zone),
                None if event.until is None else datetime.combine(event.until, time(), zone),
            )
            for event in ended_by_releases(stored.event for stored in found)
            if event.kind in CONTRADICTING
        )
        for subject_id, found in life_events_of(connection, sorted(subject_ids)).items()
    }


def _reference_name(record: CertificationRecord) -> tuple[str, str] | None:
    if record.claim.subject_id is None or record.comparison is None:
        return None
    return record.claim.subject_id, record.comparison.reference_id
