"""First words that wait for a second one: whoever gave one takes it back, and one that counts no more is dropped.

A word counts as long as whoever gave it is in service and has every role that they had then (`fleet.store.words`). It is asked for whenever
another word would decide; `drop_of` does it at once for somebody who leaves, so that nobody sees a case as half decided that is not.
"""

from __future__ import annotations

from datetime import datetime, tzinfo

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.benefits.guard import StopGuard
from fleet.benefits.inspection import STOP
from fleet.cases import history
from fleet.cases.machine import DROPPED, Case, Event, Step
from fleet.cases.opening import Registry
from fleet.keys import FieldCipher
from fleet.store import approvals, case_events
from fleet.store import duplicates as hits
from fleet.store.database import Database

CASE = "case"
"""Kind of object under which a verdict on a case is taken back."""


def without_void(connection: Connection, office: Registry, case: Case, *, now: datetime) -> Case:
    """Return a locked case without the verdicts that count no more."""
    void = {digest.hex() for digest in case_events.void_verdicts(connection, case.case_id)}
    for given in case.given:
        if given.by in void:
            case = history.add(
                connection, office.cipher, case, Event(Step.WORD_DROPPED, now, facts={DROPPED: given.by})
            )
    return case


def take_back(connection: Connection, office: Registry, kind: str, object_id: str, *, by: str, now: datetime) -> None:
    """Take back a person's first word; last in its transaction.

    Args:
        connection: where.
        office: the fleet's cipher and zone.
        kind: `CASE` for a verdict, else the kind of object in `fleet.store.approvals`.
        object_id: what the word is about.
        by: whose it is.
        now: the time.

    Raises:
        NotFound: if there is nothing of this id.
        Refused: if no word of this person waits for a second one.
    """
    if kind == STOP:
        StopGuard(connection, office.cipher, now=now, zone=office.zone).take_back(object_id, by=by)
        return
    if kind == CASE:
        case = history.locked(connection, object_id)
        event = Event(Step.WORD_DROPPED, now, by=history.person(office.cipher, by, object_id))
        history.add(connection, office.cipher, case, event, name=by)
    else:
        approvals.take_back(connection, office.cipher, kind, object_id, name=by)
        _forget(connection, kind, object_id)
    _note(connection, office.cipher, "word.taken_back", kind, object_id, by, now)


def drop_of(database: Database, cipher: FieldCipher, account_id: str, *, by: str, now: datetime, zone: tzinfo) -> int:
    """Drop the first words of an account that count no more, each written into the audit log; return how many there were.

    Args:
        database: where.
        cipher: the fleet's.
        account_id: of somebody who was put out of service, or lost a role.
        by: who did that.
        now: the time.
        zone: where a day ends.
    """
    office = Registry(cipher, zone)
    with database.begin() as connection:
        cases = case_events.cases_with_void_verdicts(connection, account_id)
        stops = approvals.void_of(connection, account_id, STOP)
    dropped = 0
    for case_id in cases:
        with database.begin() as connection:
            before = history.locked(connection, case_id)
            if without_void(connection, office, before, now=now) is not before:
                _note(connection, cipher, "word.dropped", CASE, case_id, by, now)
                dropped += 1
    for stop_id in stops:
        with database.begin() as connection:
            dropped += StopGuard(connection, cipher, now=now, zone=zone).drop_void(stop_id, by=by)
    with database.begin() as connection:
        gone = approvals.drop_void_of(connection, account_id)
        for kind, object_id in gone:
            _forget(connection, kind, object_id)
            _note(connection, cipher, "word.dropped", kind, object_id, by, now)
    return dropped + len(gone)


def _forget(connection: Connection, kind: str, object_id: str) -> None:
    """Forget what stands beside a first word: what it said of two people who may be one."""
    if kind == hits.APPROVED:
        hits.clear_word(connection, object_id)


def _note(
    connection: Connection, cipher: FieldCipher, action: str, kind: str, object_id: str, by: str, now: datetime
) -> None:
    note(
        connection,
        cipher,
        actor=by,
        action=action,
        object_kind=kind,
        object_id=object_id,
        detail={},
        now=now,
    )
