"""Counts persons with a stored face, and says when that must be filed.

Source: Measures for the Security Management of the Application of Facial Recognition Technology (Cyberspace Administration of China and
Ministry of Public Security, order no. 19, in force 2025-06-01), Article 15, as announced by the Cyberspace Administration on 2025-05-28:
whoever stores face information of 100,000 persons files with the provincial authority within 30 working days from the day on which that
number is reached; changes of substance within 30 working days as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from sqlalchemy import Connection

from fleet.audit import log
from fleet.errors import Refused
from fleet.keys import FleetKeys
from fleet.privacy.working_days import Calendar
from fleet.store import consents
from fleet.store.database import Database

PERSONS = 100_000
"""From here on the duty holds. Source: Article 15."""
WORKING_DAYS = 30
"""Within so many. Source: Article 15."""
WARNED = 80
"""Percent of the number at which the agency is told to prepare. Chosen: a fleet that grows by a fifth in a year has a year."""
DUE = 100

State = Literal["below", "near", "due", "overdue", "filed"]


@dataclass(frozen=True, slots=True)
class Filing:
    """Where an agency stands."""

    persons: int
    state: State
    near_since: date | None
    reached_on: date | None
    deadline: date | None
    is_calendar_known: bool
    """Whether holidays of the deadline's years are known; without them it is only near the true one."""
    filed_on: date | None


def count(connection: Connection, *, today: date) -> int:
    """Count persons with a stored face, and note what is reached for the first time; return how many they are."""
    persons = consents.persons_with_faces(connection)
    for percent in (WARNED, DUE):
        if persons * 100 >= PERSONS * percent:
            consents.reach(connection, percent, persons, today=today)
    return persons


def filing(persons: int, marks: list[consents.Mark], calendar: Calendar, *, today: date) -> Filing:
    """Return where an agency stands; the duty stays when the number falls again.

    Args:
        persons: with a stored face.
        marks: what was reached, and when.
        calendar: of working days.
        today: the day.
    """
    known = {mark.percent: mark for mark in marks}
    near, due = known.get(WARNED), known.get(DUE)
    deadline = None if due is None else calendar.after(due.reached_on, WORKING_DAYS)
    return Filing(
        persons=persons,
        state=_state(near, due, deadline, today),
        near_since=None if near is None else near.reached_on,
        reached_on=None if due is None else due.reached_on,
        deadline=deadline,
        is_calendar_known=due is not None
        and deadline is not None
        and all(calendar.knows(year) for year in {due.reached_on.year, deadline.year}),
        filed_on=None if due is None else due.filed_on,
    )


def _state(near: consents.Mark | None, due: consents.Mark | None, deadline: date | None, today: date) -> State:
    if due is None or deadline is None:
        return "below" if near is None else "near"
    if due.filed_on is not None:
        return "filed"
    return "overdue" if today > deadline else "due"


def note_filed(database: Database, keys: FleetKeys, *, on: date, by: str, now: datetime) -> None:
    """Note that the storage was filed.

    Raises:
        Refused: if the number was never reached, or the name cannot be taken.
    """
    with database.begin() as connection:
        if not consents.set_filed(connection, on=on):
            raise Refused(f"filing: {PERSONS} persons were never reached", code="never_reached", persons=PERSONS)
        log.note(
            connection,
            keys.cipher,
            actor=by,
            action="filing.noted",
            object_kind="filing",
            object_id=str(DUE),
            detail={"on": on.isoformat()},
            now=now,
        )
