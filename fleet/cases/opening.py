"""Opens cases: by themselves from records, and at the agency.

A record opens its case in the transaction that stores it, and whatever was left out (records of before there were cases, or of people
who were on no list then) is found by `open_missing`. Both do the same for a record, whatever the order records come in: a case's id
follows from what it is about, its clock runs from the earliest record of it, and a record belongs to one case, once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo

from sqlalchemy import Connection

from fleet.accounts.naming import open_name
from fleet.audit.log import note as note_audit
from fleet.cases import history
from fleet.cases.clocks import pack_of_case
from fleet.cases.machine import ENDS_ROUND, FLEET, OVER, Case, Event, Kind, Source, State, Step
from fleet.clock import Clock, day_of
from fleet.errors import Refused
from fleet.keys import FieldCipher
from fleet.store import case_events, operators
from fleet.store.case_events import Candidate
from fleet.store.database import Database
from fleet.store.subjects import lock_subjects
from protocol.outcomes import Outcome

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Registry:
    """What cases are worked on with."""

    cipher: FieldCipher
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class NewCase:
    """A case to be opened by a program or a person."""

    kind: Kind
    subject_id: str | None
    asked_at: datetime
    """When the person was there, the form was signed, or the matter was found."""
    source: str = ""
    """What it is about, such as `duplicate:<lower id>:<higher id>`: the same kind and source is the same case. Empty: always a new one."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Codes, ids and days; no name, no number."""
    needs: tuple[str, ...] = ()
    sampled_at: datetime | None = None


def open_case(
    connection: Connection, office: Registry, new: NewCase, *, by: str | None, note: str | None = None, now: datetime
) -> str:
    """Open a case, or find the one that is open for the same source; return its id.

    Writes the audit note where somebody opens it, so that this comes last in a transaction.

    Args:
        connection: where.
        office: cipher and time zone.
        new: what it is.
        by: who opens it, and therefore does not review it; None where it opens by itself.
        note: free text, kept encrypted.
        now: when.

    Raises:
        Refused: if name or note cannot be taken, or what it is about is still to come.
    """
    case_id = case_id_of(new.kind, new.source) if new.source else os.urandom(16).hex()
    event = _opening(connection, office, new, case_id, by, now)
    made = history.begin(
        connection, office.cipher, case_id, event, name=by, note=note, year=day_of(now, office.zone).year
    )
    if made is not None and by:
        note_audit(
            connection,
            office.cipher,
            actor=by,
            action="case.opened",
            object_kind="case",
            object_id=case_id,
            detail={"kind": new.kind.value},
            now=now,
        )
    return case_id


def case_id_of(kind: Kind, source: str) -> str:
    """Return the id of the case about one thing."""
    return hashlib.sha256(f"{kind}:{source}".encode()).hexdigest()[:32]


def take_in(
    connection: Connection,
    office: Registry,
    *,
    records: Sequence[str],
    pictures: Sequence[tuple[str, str]],
    subjects: Sequence[str],
    accept_simulated: bool,
    now: datetime,
) -> None:
    """Open and complete cases by what a batch of a terminal's messages brought; call it last in the batch's transaction.

    Args:
        connection: where; the people concerned are locked already.
        office: cipher and time zone.
        records: ids of the fresh certification and case records.
        pictures: terminal and digest of the fresh pictures.
        subjects: whose passes may have changed.
        accept_simulated: whether records that no camera saw are taken.
        now: when.
    """
    if records:
        fresh = case_events.candidates(connection, records, accept_simulated=accept_simulated, limit=len(records))
        _open_all(connection, office, fresh, now=now)
    if pictures:
        for case_id in case_events.awaiting_pictures(connection, pictures):
            case_events.lock(connection, case_id)
            _add_pictures(connection, office, history.read(connection, case_id), now=now)
    if subjects:
        close_visited(connection, office, subjects, now=now)


def open_missing(database: Database, office: Registry, *, accept_simulated: bool, clock: Clock) -> int:
    """Open what records ask for and nobody opened, say whom cases are about where that is known by now, close visits that were made.

    Returns:
        How many records and cases were put in order.

    Raises:
        DatabaseUnavailable: as any transaction.
    """
    total = 0
    while True:
        with database.begin() as connection:
            found = case_events.candidates(connection, None, accept_simulated=accept_simulated, limit=_CHUNK)
            _open_all(connection, office, found, now=clock())
        total += len(found)
        if len(found) < _CHUNK:
            break
    with database.begin() as connection:
        known = case_events.known_now(connection)
    for case_id, subject_id in known:
        with database.begin() as connection:
            lock_subjects(connection, [subject_id])
            case = history.locked(connection, case_id)
            if case.subject_id is None:
                history.add(connection, office.cipher, case, Event(Step.IDENTIFIED, clock(), subject_id=subject_id))
    with database.begin() as connection:
        return total + len(known) + close_visited(connection, office, None, now=clock())


def close_visited(connection: Connection, office: Registry, subjects: Sequence[str] | None, *, now: datetime) -> int:
    """Close home visits that were made: the person was certified on a visit since they were asked for (R6-7)."""
    done = case_events.visited(connection, subjects)
    for case_id, record_id in done:
        case = history.locked(connection, case_id)
        if case.state not in OVER:
            event = Event(Step.CLOSED, now, reason="visited", facts={"record_id": record_id})
            history.add(connection, office.cipher, case, event)
    return len(done)


def _opening(
    connection: Connection, office: Registry, new: NewCase, case_id: str, by: str | None, now: datetime
) -> Event:
    if new.asked_at > now:
        raise Refused("a case is about something that was, not about something to come: correct the day")
    return Event(
        Step.OPENED,
        now,
        by=history.person(office.cipher, by, case_id) if by else FLEET,
        kind=new.kind,
        subject_id=new.subject_id,
        source=Source(new.asked_at, _due_on(connection, office, new.subject_id, new.asked_at)),
        needs=new.needs,
        sampled_at=new.sampled_at,
        facts=new.facts,
    )


def _open_all(connection: Connection, office: Registry, found: Sequence[Candidate], *, now: datetime) -> None:
    if not found:
        return
    names = _operator_names(connection, office.cipher, {who for each in found for who in each.people})
    # In the order of their ids, in which everybody locks cases.
    for case_id, candidate in sorted(((_case_of(each), each) for each in found), key=lambda pair: pair[0]):
        _open_one(connection, office, case_id, candidate, names, now=now)


def _open_one(
    connection: Connection,
    office: Registry,
    case_id: str,
    found: Candidate,
    names: Mapping[str, Sequence[str]],
    *,
    now: datetime,
) -> None:
    source = Source(
        found.event_at, _due_on(connection, office, found.subject_id, found.event_at), record_id=found.record_id
    )
    who = tuple(
        history.person(office.cipher, name, case_id)
        for person in found.people
        for name in (person, *names.get(person, ()))
    )
    roles = case_events.photo_roles(connection, [found.record_id]) if found.is_case else {}
    event = Event(
        Step.OPENED,
        now,
        kind=_kind_of(found),
        subject_id=found.subject_id,
        source=source,
        taken_in_by=who,
        needs=tuple(sorted(roles.get(found.record_id, ()))),
        facts={"terminal_id": found.terminal_id},
    )
    case = history.begin(connection, office.cipher, case_id, event, name=None, year=day_of(now, office.zone).year)
    if case is None:
        known = history.read(connection, case_id)
        history.add(
            connection,
            office.cipher,
            known,
            Event(Step.JOINED, now, source=source, taken_in_by=who, facts={ENDS_ROUND: "yes"}),
        )
    case_events.add_source(connection, found.record_id, case_id)
    if case is not None and found.is_case:
        case = _add_pictures(connection, office, case, now=now)
        if found.closed_at is not None and case.state not in OVER:
            # Closed before cases had a history.
            history.add(connection, office.cipher, case, Event(Step.CLOSED, found.closed_at, reason="finished"))


def _add_pictures(connection: Connection, office: Registry, case: Case, *, now: datetime) -> Case:
    """Note the pictures of a terminal's case that have arrived; the machine says whether that is all."""
    for role in sorted(case_events.pictures_here(connection, [case.case_id]).get(case.case_id, set()) - case.roles):
        if case.state in (State.OPENED, State.MORE_EVIDENCE):
            case = history.add(connection, office.cipher, case, Event(Step.EVIDENCE_ADDED, now, role=role))
    return case


def _case_of(found: Candidate) -> str:
    """Return the case a record belongs to: appeals of one session are one case, a terminal's case record is its own."""
    if found.is_case:
        return found.record_id
    kind = _kind_of(found)
    of = found.session_id if kind is Kind.APPEAL else found.record_id
    return case_id_of(kind, f"{found.terminal_id}:{of}")


def _kind_of(found: Candidate) -> Kind:
    if found.is_case:
        return Kind(found.what)
    return Kind.APPEAL if found.what == Outcome.REVIEW.value else Kind.ATTACK_ALARM


def _due_on(connection: Connection, office: Registry, subject_id: str | None, asked_at: datetime) -> date:
    days = pack_of_case(connection, subject_id).review_days
    return day_of(asked_at, office.zone) + timedelta(days=days)


def _operator_names(connection: Connection, cipher: FieldCipher, wanted: set[str]) -> dict[str, list[str]]:
    """Return what operators are called: at terminals, and at the console where it is known whose account theirs is."""
    found = {
        each.operator_id: [cipher.decrypt(each.name_sealed, subject_id=each.operator_id, field_name="operator")]
        for each in operators.all_operators(connection)
        if each.operator_id in wanted
    }
    for operator_id, (account_id, sealed) in operators.accounts_of(connection, wanted).items():
        found[operator_id].append(open_name(cipher, sealed, account_id=account_id))
    return found
