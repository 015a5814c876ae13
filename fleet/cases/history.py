"""A case's history in the database: reads it, adds to it, and keeps the projection in line. What a step means is the machine's business."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from fleet.cases.machine import FLEET, Case, Event, Kind, NotAllowed, Source, Step, Verdict, advance, open_from, replay
from fleet.errors import NotFound, Refused
from fleet.keys import FieldCipher
from fleet.store import case_events
from fleet.store.case_events import Projected, StoredEvent
from fleet.store.names import AccountName, seal_approver
from fleet.store.subjects import lock_subjects

_CHUNK = 500
"""Cases in one step of a rebuild."""
_NOTE = "case_note"
_LONGEST_NOTE = 2000


@dataclass(frozen=True, slots=True)
class Told:
    """One event as people read it."""

    event: Event
    name: str | None
    """Who did it, as they named themselves; None for what happened by itself."""
    note: str | None


def person(cipher: FieldCipher, name: str, case_id: str) -> str:
    """Return what stands for a person in one case; in another case it is something else.

    Raises:
        Refused: if the name cannot be taken.
    """
    return seal_approver(cipher, name, of=case_id).digest.hex()


def read(connection: Connection, case_id: str) -> Case:
    """Return a case as its events make it.

    Raises:
        NotFound: if there is none of this id.
    """
    stored = case_events.events_of(connection, case_id)
    if not stored:
        raise NotFound(f"case {case_id}: there is none of this id")
    return of_events(case_id, stored)


def of_events(case_id: str, stored: Iterable[StoredEvent]) -> Case:
    """Return the case that its stored events make."""
    return replay(case_id, [_event(each) for each in stored])


def locked(connection: Connection, case_id: str) -> Case:
    """Return a case and lock it, after the person it is about: the order that everybody keeps.

    Raises:
        NotFound: if there is none of this id.
    """
    found = case_events.find(connection, case_id)
    if found is None:
        raise NotFound(f"case {case_id}: there is none of this id")
    if found.subject_id is not None:
        lock_subjects(connection, [found.subject_id])
    case_events.lock(connection, case_id)
    return read(connection, case_id)


def is_operator(connection: Connection, case_id: str, name: str) -> bool:
    """Return whether somebody signed in was operator or witness of a record of a case, whatever they are called there."""
    account_id = name.account_id if isinstance(name, AccountName) else None
    return account_id is not None and case_events.has_operator_of(connection, case_id, account_id)


def demand_no_operator(connection: Connection, case_id: str, name: str) -> None:
    """See that somebody who is to review a case was not there as operator or witness.

    Raises:
        NotAllowed: if they were.
    """
    if is_operator(connection, case_id, name):
        raise NotAllowed(f"case {case_id}: who took it in may not review it", code="took_in")


def demand_unchanged(connection: Connection, case_id: str, seen: int | None) -> None:
    """See that a case, locked by this transaction, has as many events as somebody saw; None asks for nothing.

    Raises:
        NotAllowed: if it went on meanwhile.
    """
    if seen is not None and len(case_events.events_of(connection, case_id)) != seen:
        raise NotAllowed(f"case {case_id}: went on meanwhile; look at it again", code="stale")


def begin(
    connection: Connection,
    cipher: FieldCipher,
    case_id: str,
    event: Event,
    *,
    name: str | None,
    note: str | None = None,
    year: int,
) -> Case | None:
    """Open a case, with a number of a year, and lock it; return None if it is open already, and it is locked then, too.

    Raises:
        NotAllowed: if the event opens no case.
    """
    case = open_from(case_id, event)
    if not case_events.create(connection, _projected(case), year=year):
        return None
    case_events.add_event(connection, case_id, 1, _stored(cipher, case_id, event, name, note))
    return case


def add(
    connection: Connection,
    cipher: FieldCipher,
    case: Case,
    event: Event,
    *,
    name: str | None = None,
    note: str | None = None,
) -> Case:
    """Add an event to a case that this transaction has locked, and return what it makes of it.

    Raises:
        NotAllowed: if the case cannot take it; nothing is stored.
    """
    after = advance(case, event)
    number = len(case_events.events_of(connection, case.case_id)) + 1
    case_events.add_event(connection, case.case_id, number, _stored(cipher, case.case_id, event, name, note))
    case_events.save(connection, _projected(after))
    return after


def demand_unbound(connection: Connection, cipher: FieldCipher, case: Case, name: str) -> None:
    """Refuse a verdict where one that counts is of an account that is in one hand with this person's.

    Raises:
        Refused: if it is so, or the name cannot be taken.
    """
    accounts = case_events.verdict_accounts(connection, case.case_id)
    given = [accounts.get(bytes.fromhex(each.by)) for each in case.given]
    seal_approver(cipher, name, of=case.case_id).demand_unbound(given, f"case {case.case_id}")


def told(connection: Connection, cipher: FieldCipher, case_id: str) -> list[Told]:
    """Return the history of a case with names and notes, in order."""
    return [
        Told(
            _event(each),
            None
            if each.actor_sealed is None
            else cipher.decrypt(each.actor_sealed, subject_id=case_id, field_name="approver"),
            None
            if each.note_sealed is None
            else cipher.decrypt(each.note_sealed, subject_id=case_id, field_name=_NOTE),
        )
        for each in case_events.events_of(connection, case_id)
    ]


def checked_note(note: str) -> str:
    """Return a remark as it is stored.

    Raises:
        Refused: if nothing is left of it, or it is too long.
    """
    words = note.strip()
    if not words or len(words) > _LONGEST_NOTE:
        raise Refused(f"note: 1 to {_LONGEST_NOTE} characters expected", code="note_length", most=_LONGEST_NOTE)
    return words


def reproject(connection: Connection) -> tuple[int, int]:
    """Work out every projection anew from the events; return how many cases there are and how many rows were wrong."""
    cases, wrong, after = 0, 0, ""
    while ids := case_events.case_ids(connection, after=after, limit=_CHUNK):
        for case_id in ids:
            case_events.lock(connection, case_id)
            wrong += case_events.save(connection, _projected(read(connection, case_id)))
        cases, after = cases + len(ids), ids[-1]
    return cases, wrong


def _projected(case: Case) -> Projected:
    first = case.first
    return Projected(
        case_id=case.case_id,
        kind=case.kind.value,
        subject_id=case.subject_id,
        state=case.state.value,
        opened_at=case.opened_at,
        asked_at=first.asked_at,
        due_on=first.due_on,
        record_id=first.record_id,
        decided_at=case.decided_at,
        reason=case.reason,
        planned_on=case.planned_on,
        planned_for=case.planned_for,
        closed_at=case.closed_at,
    )


def _stored(cipher: FieldCipher, case_id: str, event: Event, name: str | None, note: str | None) -> StoredEvent:
    who = None if name is None else seal_approver(cipher, name, of=case_id)
    source = event.source
    data: dict[str, Any] = {
        "kind": None if event.kind is None else event.kind.value,
        "subject_id": event.subject_id,
        "asked_at": None if source is None else source.asked_at.isoformat(),
        "due_on": None if source is None else source.due_on.isoformat(),
        "record_id": None if source is None else source.record_id,
        "taken_in_by": list(event.taken_in_by),
        "needs": list(event.needs),
        "role": event.role,
        "sampled_at": None if event.sampled_at is None else event.sampled_at.isoformat(),
        "verdict": None if event.verdict is None else event.verdict.value,
        "reason": event.reason,
        "ways": list(event.ways),
        "day": None if event.day is None else event.day.isoformat(),
        "worker": event.worker,
        "facts": dict(event.facts),
    }
    words = None if note is None else checked_note(note)
    return StoredEvent(
        step=event.step.value,
        at=event.at,
        actor_hash=None if who is None else who.digest,
        actor_sealed=None if who is None else who.sealed,
        data={key: value for key, value in data.items() if value},
        note_sealed=None if words is None else cipher.encrypt(words, subject_id=case_id, field_name=_NOTE),
        account_id=None if who is None else who.account_id,
    )


def _event(stored: StoredEvent) -> Event:
    data: Mapping[str, Any] = stored.data
    asked = _moment(data.get("asked_at"))
    due = _day(data.get("due_on"))
    return Event(
        step=Step(stored.step),
        at=stored.at,
        by=FLEET if stored.actor_hash is None else stored.actor_hash.hex(),
        kind=Kind(data["kind"]) if "kind" in data else None,
        subject_id=data.get("subject_id"),
        source=None if asked is None or due is None else Source(asked, due, data.get("record_id")),
        taken_in_by=tuple(data.get("taken_in_by", ())),
        needs=tuple(data.get("needs", ())),
        role=data.get("role"),
        sampled_at=_moment(data.get("sampled_at")),
        verdict=Verdict(data["verdict"]) if "verdict" in data else None,
        reason=data.get("reason"),
        ways=tuple(data.get("ways", ())),
        day=_day(data.get("day")),
        worker=data.get("worker"),
        facts=dict(data.get("facts", {})),
    )


def _moment(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromisoformat(written)


def _day(written: str | None) -> date | None:
    return None if written is None else date.fromisoformat(written)
