"""Benefit files on the database: read from their events, carried on by new ones, and rebuilt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

from sqlalchemy import Connection

from fleet.benefits.events import LADDER, Event, body_of, event_from, kind_of
from fleet.benefits.machine import BenefitFile, advance, replay
from fleet.benefits.months import Months, RepaidStop, losses, repaid
from fleet.errors import Refused
from fleet.keys import FieldCipher
from fleet.store import benefits
from fleet.store.benefits import EventRow, FileRow
from fleet.store.database import Database
from fleet.store.life_events import life_events_of
from fleet.store.subjects import lock_subjects

_TEXT = "benefit_text"
"""Under which what people wrote about a benefit is encrypted."""
_LONGEST_TEXT = 1000
_CHUNK = 1000
"""People in one transaction of a rebuild."""


def file_of(connection: Connection, subject_id: str, scheme: str) -> BenefitFile:
    """Return a benefit's file; the subject is locked first, so that what is worked out from it holds until the transaction's end."""
    lock_subjects(connection, [subject_id])
    return replay(subject_id, scheme, map(_event, benefits.events_of(connection, [subject_id], scheme)))


def files_of(connection: Connection, subject_ids: Sequence[str]) -> dict[tuple[str, str], BenefitFile]:
    """Return the files of these people's benefits to which anything happened, by subject and scheme; the subjects are locked."""
    lock_subjects(connection, subject_ids)
    return _replayed(benefits.events_of(connection, subject_ids))


def carry_on(
    connection: Connection, file: BenefitFile, events: Sequence[tuple[Event, bytes | None]], *, now: datetime
) -> BenefitFile:
    """Store what happens to a benefit next, each with what was written about it, sealed; return the file after it.

    Raises:
        NotAllowed: if the file does not take one of them; nothing of them is stored.
    """
    rows = []
    for event, sealed in events:
        file = advance(file, event)
        rows.append(
            EventRow(file.subject_id, file.scheme, file.events, kind_of(event), event.day, body_of(event), sealed, now)
        )
    benefits.add_events(connection, rows)
    benefits.save_files(connection, [row_of(file)])
    return file


def rebuild_files(database: Database) -> int:
    """Work out all files anew from the events, some people at a time; return how many there are.

    Raises:
        DatabaseUnavailable: as any transaction.
    """
    total = 0
    for chunk in _chunks(database):
        with database.begin() as connection:
            found = files_of(connection, chunk)
            benefits.delete_files(connection, chunk)
            benefits.save_files(connection, [row_of(file) for file in found.values()])
            total += len(found)
    return total


def confirmed_losses(connection: Connection, subject_id: str) -> tuple[Months, ...]:
    """Return the months for which somebody is not entitled by confirmed reports that stand (R7-7 to R7-9)."""
    found = life_events_of(connection, [subject_id]).get(subject_id, ())
    return losses(stored.event for stored in found if stored.confirmed)


def repaid_stops(connection: Connection, subject_id: str) -> dict[str, list[RepaidStop]]:
    """Return every stop of somebody's benefits after which payment went on, by scheme, the earliest first. Nothing is locked."""
    files = _replayed(benefits.events_of(connection, [subject_id]))
    lost = confirmed_losses(connection, subject_id) if files else ()
    return {scheme: repaid(file.unpaid, lost) for (_, scheme), file in files.items() if file.stops}


def seal_text(cipher: FieldCipher, subject_id: str, written: str) -> bytes:
    """Return a proof or a reason, encrypted for its event.

    Raises:
        Refused: if nothing is written, or too much.
    """
    said = written.strip()
    if not 1 <= len(said) <= _LONGEST_TEXT:
        raise Refused(
            f"reason or proof: 1 to {_LONGEST_TEXT} characters expected", code="text_unusable", most=_LONGEST_TEXT
        )
    return cipher.encrypt(said, subject_id=subject_id, field_name=_TEXT)


def open_text(cipher: FieldCipher, subject_id: str, sealed: bytes) -> str:
    """Return what somebody wrote with an event."""
    return cipher.decrypt(sealed, subject_id=subject_id, field_name=_TEXT)


def row_of(file: BenefitFile) -> FileRow:
    """Return a file as it is stored."""
    proposal = file.proposal
    stop = file.stopped_by if proposal is None else proposal.stop
    # What was carried out had the whole ladder.
    done = len(LADDER) if proposal is None else len(proposal.steps)
    return FileRow(
        file.subject_id,
        file.scheme,
        file.state.value,
        file.standing.value,
        file.stopped_from,
        None if stop is None else stop.stop_id,
        None if stop is None else stop.reason.value,
        None if stop is None else stop.effect.value,
        None if stop is None else stop.basis,
        None if stop is None else stop.from_month,
        None if stop is None else stop.day,
        0 if stop is None else done,
        [] if proposal is None else list(proposal.missing()),
        0 if proposal is None else len(proposal.approvals),
        list(file.frozen_by),
        list(file.answered),
        len(file.recoveries),
        list(file.open_recoveries),
        file.events,
    )


def _replayed(rows: Sequence[EventRow]) -> dict[tuple[str, str], BenefitFile]:
    return {
        key: replay(*key, map(_event, group))
        for key, group in groupby(rows, key=lambda row: (row.subject_id, row.scheme))
    }


def _event(row: EventRow) -> Event:
    return event_from(row.kind, row.day, row.body)


def _chunks(database: Database) -> Iterator[list[str]]:
    after = ""
    while True:
        with database.begin() as connection:
            found = benefits.subjects_with_events(connection, after=after, limit=_CHUNK)
        if not found:
            return
        yield found
        after = found[-1]
