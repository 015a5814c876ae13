"""What the fleet answers about statuses: of one person, and of all people of an area who are asked to come; as SQL."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from protocol.rules.obligations import CertificationState, state_of


@dataclass(frozen=True, slots=True)
class StoredObligation:
    """What one pack asks of one benefit."""

    scheme: str
    pack_id: str
    pack_version: int
    last_day: date | None
    opens: date
    asked: date
    expiring: date
    due: date
    overdue: date
    stop_from: date

    def state_on(self, today: date) -> CertificationState:
        """Return where this obligation stands on a day."""
        return state_of(self.last_day is not None, self.asked, self.expiring, self.overdue, today)


@dataclass(frozen=True, slots=True)
class StoredStatus:
    """Where one person stands, by the strictest of what is asked of them, and each of it."""

    subject_id: str
    rule_pack: str
    last_act_kind: str | None
    last_pass_at: datetime | None
    certified_until: date | None
    opens: date
    asked: date
    expiring: date
    due: date
    overdue: date
    stop_from: date
    obligations: tuple[StoredObligation, ...]

    def state_on(self, today: date) -> CertificationState:
        """Return where the person stands on a day."""
        return state_of(self.last_act_kind is not None, self.asked, self.expiring, self.overdue, today)


@dataclass(frozen=True, slots=True)
class DuePerson:
    """Somebody who is asked to come and has not."""

    subject_id: str
    area: str
    due: date
    state: CertificationState


def status_of(connection: Connection, subject_id: str) -> StoredStatus | None:
    """Return where one person stands; None of somebody who is not known, or has no status yet."""
    return _status(connection.execute(text(_STATUS + " WHERE t.subject_id = :id"), {"id": subject_id}).all())


def status_by_token(connection: Connection, token: str) -> StoredStatus | None:
    """Return where the person with a claim token stands; None of somebody who is not known, or has no status yet."""
    return _status(
        connection.execute(
            text(_STATUS + " JOIN subjects s ON s.subject_id = t.subject_id WHERE s.claim_token = :token"),
            {"token": token},
        ).all()
    )


def due_in_area(connection: Connection, codes: Collection[str], today: date) -> list[DuePerson]:
    """Return who of these areas is asked to come today and is not certified, those due first.

    Args:
        connection: where to read.
        codes: of the areas themselves; `fleet.store.areas.codes_below` gives those below one.
        today: the day.
    """
    rows = connection.execute(
        text(
            "SELECT t.subject_id, s.area, t.due, t.last_act IS NOT NULL AS has_act, t.asked, t.expiring, t.overdue"
            " FROM subjects s JOIN statuses t USING (subject_id) WHERE s.area = ANY(:codes) AND t.asked <= :today"
            " ORDER BY t.due, t.subject_id"
        ),
        {"codes": sorted(codes), "today": today},
    )
    return [
        DuePerson(row.subject_id, row.area, row.due, state_of(row.has_act, row.asked, row.expiring, row.overdue, today))
        for row in rows
    ]


def due_counts(connection: Connection, today: date) -> dict[str, tuple[int, int]]:
    """Return of every area how many people live there, and how many of them are asked to come today and are not certified."""
    rows = connection.execute(
        text(
            "SELECT s.area, count(*) AS people, count(*) FILTER (WHERE t.asked <= :today) AS due"
            " FROM subjects s JOIN statuses t USING (subject_id) GROUP BY s.area"
        ),
        {"today": today},
    )
    return {row.area: (row.people, row.due) for row in rows}


_STATUS = """
SELECT t.subject_id, t.rule_pack, t.last_act_kind, t.last_pass_at, t.certified_until, t.opens, t.asked, t.expiring, t.due,
    t.overdue, t.stop_from, o.scheme, o.pack_id, o.pack_version, o.last_day, o.opens AS o_opens, o.asked AS o_asked,
    o.expiring AS o_expiring, o.due AS o_due, o.overdue AS o_overdue, o.stop_from AS o_stop_from
FROM statuses t JOIN obligations o ON o.subject_id = t.subject_id
"""
_OF_STATUS = 11
"""So many of its columns are the status's, the rest an obligation's."""


def _status(rows: Any) -> StoredStatus | None:
    if not rows:
        return None
    first = rows[0]
    ordered = sorted(rows, key=lambda row: (row.o_due, row.o_stop_from, row.pack_id, row.scheme))
    obligations = tuple(StoredObligation(*tuple(row)[_OF_STATUS:]) for row in ordered)
    return StoredStatus(*(*tuple(first)[:_OF_STATUS], obligations))
