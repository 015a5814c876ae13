"""One person's page: who it is, where they stand and why, what happened, and what is stored of them. Every look is written down."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.benefits.files import repaid_stops
from fleet.benefits.history import HistoryPage, history_page
from fleet.benefits.months import RepaidStop
from fleet.benefits.standing import PersonStanding, status_of_person
from fleet.clock import day_of
from fleet.errors import NotFound
from fleet.keys import FieldCipher
from fleet.store import person as store
from fleet.store import subjects
from fleet.store.areas import Area, chain_above
from fleet.store.contacts import contacts_of
from fleet.store.people import may_see
from fleet.store.person import AttemptLine, CardLine, CaseLine, ConsentLine, ReferenceLine, StoredRecord
from fleet.store.standings import PackStanding, pack_standings
from fleet.store.subjects import Benefit
from protocol.documents import IdentityDocument, MaskedDocument, mask, parse_document
from protocol.slip import SlipFacts, facts_of
from protocol.times import agency_day

NOBODY = "there is nobody of this id here"
"""The answer for whoever does not exist and for whoever lives elsewhere: one word for both."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to reach somebody, without the address."""

    channel: str
    is_opted_out: bool
    is_doubtful: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """Who it is, as far as a page shows it."""

    subject_id: str
    name: str
    document: MaskedDocument
    birth_date: date | None
    sex: str | None
    """`female` or `male`; None where the document does not tell."""
    home: tuple[Area, ...]
    """Where they live, the province first; only the code where the tree does not know it."""


@dataclass(frozen=True, slots=True)
class PersonPage:
    """Everything on the page of one person."""

    identity: Identity
    standing: PersonStanding
    days: Sequence[PackStanding]
    """All days of each pack, the strictest first; in the order of `standing.reasons`."""
    benefits: Mapping[str, Benefit]
    """By scheme, as the lists have them; how far each is paid stands in `standing.benefits`."""
    repaid: Mapping[str, Sequence[RepaidStop]]
    history: HistoryPage
    """The newest of it."""
    references: Sequence[ReferenceLine]
    cards: Sequence[CardLine]
    cases: Sequence[CaseLine]
    attempts: Sequence[AttemptLine]
    consents: Sequence[ConsentLine]
    ways: Sequence[Way]


def person_page(
    connection: Connection,
    cipher: FieldCipher,
    subject_id: str,
    *,
    tops: Collection[str] | None,
    by: str,
    now: datetime,
    zone: tzinfo,
) -> PersonPage:
    """Return the page of one person and write down who looked. Call it once, and last, in a transaction.

    Args:
        connection: a transaction.
        cipher: the fleet's.
        subject_id: whose.
        tops: areas at whose top the visitor may look; None for the whole fleet.
        by: who looks.
        now: when.
        zone: where the agency is.

    Raises:
        NotFound: if there is no such person, or not in these areas; which of the two is not said.
        Refused: if the name in `by` cannot be taken.
    """
    identity = _identity(connection, cipher, subject_id, tops)
    found = PersonPage(
        identity,
        status_of_person(connection, subject_id, day_of(now, zone)),
        pack_standings(connection, [subject_id]).get(subject_id, []),
        subjects.benefits_of(connection, [subject_id]).get(subject_id, {}),
        repaid_stops(connection, subject_id),
        history_page(connection, cipher, subject_id, before="", now=now, zone=zone),
        store.references_of(connection, subject_id),
        store.cards_of(connection, subject_id),
        store.cases_of(connection, subject_id),
        store.attempts_of(connection, subject_id),
        store.consents_of(connection, subject_id),
        _ways(connection, subject_id),
    )
    _note(connection, cipher, "subject.viewed", subject_id, by, len(found.history.entries), now)
    return found


def older_history(
    connection: Connection,
    cipher: FieldCipher,
    subject_id: str,
    *,
    before: str,
    tops: Collection[str] | None,
    by: str,
    now: datetime,
    zone: tzinfo,
) -> HistoryPage:
    """Return what happened before an earlier page's `before` and write down who looked; arguments and errors are those of `person_page`.

    Raises:
        NotFound: as `person_page`.
        Refused: as `person_page`, or if `before` is none of ours.
    """
    if not may_see(connection, subject_id, tops):
        raise NotFound(NOBODY)
    found = history_page(connection, cipher, subject_id, before=before, now=now, zone=zone)
    _note(connection, cipher, "subject.history_viewed", subject_id, by, len(found.entries), now)
    return found


def identity_of(
    connection: Connection,
    cipher: FieldCipher,
    subject_id: str,
    *,
    tops: Collection[str] | None,
    by: str,
    now: datetime,
) -> Identity:
    """Return who somebody is, for a form about them, and write down who looked; arguments and errors are those of `person_page`."""
    found = _identity(connection, cipher, subject_id, tops)
    _note(connection, cipher, "subject.form_viewed", subject_id, by, 0, now)
    return found


def whole_document(
    connection: Connection,
    cipher: FieldCipher,
    subject_id: str,
    *,
    reason: str,
    tops: Collection[str] | None,
    by: str,
    now: datetime,
) -> IdentityDocument:
    """Return somebody's document with its whole number, and write down who saw it and why; the other arguments are those of `person_page`.

    `reason` is a code, which stands in the audit log.

    Raises:
        NotFound: as `person_page`.
    """
    subject = subjects.find_by_id(connection, subject_id) if may_see(connection, subject_id, tops) else None
    if subject is None:
        raise NotFound(NOBODY)
    document = parse_document(cipher.decrypt(subject.document_sealed, subject_id=subject_id, field_name="document"))
    note(
        connection,
        cipher,
        actor=by,
        action="subject.document_viewed",
        object_kind="subject",
        object_id=subject_id,
        detail={"reason": reason},
        now=now,
    )
    return document


def record_of_person(
    connection: Connection,
    cipher: FieldCipher,
    subject_id: str,
    record_id: str,
    *,
    tops: Collection[str] | None,
    by: str,
    now: datetime,
    action: str = "subject.record_viewed",
) -> StoredRecord:
    """Return one session of somebody with its evidence, and write down who looked; arguments and errors are those of `person_page`."""
    found = store.record_of(connection, subject_id, record_id) if may_see(connection, subject_id, tops) else None
    if found is None:
        raise NotFound(NOBODY)
    note(
        connection,
        cipher,
        actor=by,
        action=action,
        object_kind="subject",
        object_id=subject_id,
        detail={"record": record_id},
        now=now,
    )
    return found


def slip_of_person(
    connection: Connection,
    cipher: FieldCipher,
    subject_id: str,
    record_id: str,
    *,
    tops: Collection[str] | None,
    by: str,
    now: datetime,
) -> SlipFacts:
    """Return what the slip of somebody's session said, of the document that is stored; the rest is as of `record_of_person`."""
    document = _identity(connection, cipher, subject_id, tops).document
    found = record_of_person(
        connection, cipher, subject_id, record_id, tops=tops, by=by, now=now, action="subject.slip_viewed"
    )
    day = agency_day(found.record.decided)
    return facts_of(found.record, record_sha256=found.sha256, masked=document, decided_on=day)


def _identity(connection: Connection, cipher: FieldCipher, subject_id: str, tops: Collection[str] | None) -> Identity:
    subject = subjects.find_by_id(connection, subject_id) if may_see(connection, subject_id, tops) else None
    if subject is None:
        raise NotFound(NOBODY)
    document = parse_document(cipher.decrypt(subject.document_sealed, subject_id=subject_id, field_name="document"))
    return Identity(
        subject_id,
        cipher.decrypt(subject.name_sealed, subject_id=subject_id, field_name="name"),
        mask(document),
        subject.birth_date,
        subject.sex,
        chain_above(connection, subject.area),
    )


def _ways(connection: Connection, subject_id: str) -> list[Way]:
    ways = contacts_of(connection, [subject_id]).get(subject_id, {})
    return [
        Way(each.channel, each.is_opted_out, each.is_doubtful)
        for _, each in sorted(ways.items())
        if each.address_sealed is not None
    ]


def _note(
    connection: Connection, cipher: FieldCipher, action: str, subject_id: str, by: str, entries: int, now: datetime
) -> None:
    note(
        connection,
        cipher,
        actor=by,
        action=action,
        object_kind="subject",
        object_id=subject_id,
        detail={"entries": entries},
        now=now,
    )
