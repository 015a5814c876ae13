"""Who is visited at home as a rule, and which visits are to be made, as SQL (R6-9, R6-7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class SpecialPerson:
    """An entry of the file of special persons."""

    subject_id: str
    reason: str
    place_sealed: bytes | None
    review_on: date
    """On this day somebody looks whether it is still so."""
    marked_at: datetime


@dataclass(frozen=True, slots=True)
class PlannedVisit:
    """One visit of a list; who and where stand encrypted."""

    case_id: str
    number: str
    subject_id: str
    area: str
    name_sealed: bytes
    phone_sealed: bytes | None
    due_on: date
    planned_on: date
    planned_for: str


def mark(connection: Connection, person: SpecialPerson) -> None:
    """Put somebody into the file, or change the entry."""
    connection.execute(
        text(
            "INSERT INTO special_persons (subject_id, reason, place_sealed, review_on, marked_at)"
            " VALUES (:id, :reason, :place, :review, :at) ON CONFLICT (subject_id) DO UPDATE SET reason = EXCLUDED.reason,"
            " place_sealed = EXCLUDED.place_sealed, review_on = EXCLUDED.review_on, marked_at = EXCLUDED.marked_at"
        ),
        {
            "id": person.subject_id,
            "reason": person.reason,
            "place": person.place_sealed,
            "review": person.review_on,
            "at": person.marked_at,
        },
    )


def unmark(connection: Connection, subject_id: str) -> bool:
    """Take somebody out of the file; return whether they were in it."""
    done = connection.execute(text("DELETE FROM special_persons WHERE subject_id = :id"), {"id": subject_id})
    return done.rowcount > 0


def special_persons(connection: Connection, *, areas: Sequence[str] | None = None) -> list[SpecialPerson]:
    """Return the file, those who are to be looked at again first.

    Args:
        connection: where.
        areas: codes of areas; None for all.
    """
    rows = connection.execute(
        text(
            "SELECT p.subject_id, p.reason, p.place_sealed, p.review_on, p.marked_at FROM special_persons p"
            " JOIN subjects s USING (subject_id) WHERE :all OR s.area = ANY(:areas) ORDER BY p.review_on, p.subject_id"
        ),
        {"all": areas is None, "areas": list(areas or ())},
    )
    return [
        SpecialPerson(
            row.subject_id,
            row.reason,
            None if row.place_sealed is None else bytes(row.place_sealed),
            row.review_on,
            row.marked_at,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class SpecialLine:
    """An entry of the file as a list shows it."""

    subject_id: str
    name_sealed: bytes
    area: str
    reason: str
    review_on: date
    is_asked: bool
    """Whether a visit is asked for and not over."""


def special_page(
    connection: Connection,
    *,
    areas: Sequence[str] | None,
    behind: tuple[date, str] | None = None,
    ahead: tuple[date, str] | None = None,
    limit: int,
) -> list[SpecialLine]:
    """Return a page of the file, those who are to be looked at again first: behind a place, or the last ones before one."""
    place = ahead or behind
    sign, order = ("<", "DESC") if ahead is not None else (">", "ASC")
    beside = f"AND (p.review_on, p.subject_id) {sign} (CAST(:day AS date), CAST(:id AS text))" if place else ""
    rows = connection.execute(
        text(
            "SELECT p.subject_id, s.name_sealed, s.area, p.reason, p.review_on, EXISTS (SELECT 1 FROM cases c"  # noqa: S608 - our own words
            " WHERE c.subject_id = p.subject_id AND c.kind = 'home_visit' AND c.state NOT IN ('passed', 'refused', 'closed'))"
            " FROM special_persons p JOIN subjects s USING (subject_id) WHERE (:all OR s.area = ANY(:areas))"
            f" {beside} ORDER BY p.review_on {order}, p.subject_id {order} LIMIT :limit"
        ),
        {
            "all": areas is None,
            "areas": list(areas or ()),
            "limit": limit,
            **({} if place is None else {"day": place[0], "id": place[1]}),
        },
    )
    found = [SpecialLine(row[0], bytes(row[1]), *row[2:]) for row in rows]
    return found if ahead is None else found[::-1]


def expected_by(connection: Connection, day: date, *, areas: Sequence[str] | None) -> list[SpecialPerson]:
    """Return special persons who are asked to certify by a day, and for whom no visit is asked for yet."""
    rows = connection.execute(
        text(
            "SELECT p.subject_id FROM special_persons p JOIN subjects s USING (subject_id) JOIN statuses t USING (subject_id)"
            " WHERE t.asked <= :day AND (:all OR s.area = ANY(:areas)) AND NOT EXISTS (SELECT 1 FROM cases c"
            " WHERE c.subject_id = p.subject_id AND c.kind = 'home_visit' AND c.state NOT IN ('passed', 'refused', 'closed'))"
        ),
        {"day": day, "all": areas is None, "areas": list(areas or ())},
    )
    wanted = set(rows.scalars())
    return [person for person in special_persons(connection, areas=areas) if person.subject_id in wanted]


def planned_visits(
    connection: Connection, *, worker: str, day: date, areas: Sequence[str] | None = None
) -> list[PlannedVisit]:
    """Return the visits of a worker or terminal on a day that were not made yet, in some areas or all, by area."""
    rows = connection.execute(
        text(
            "SELECT c.case_id, c.number, c.subject_id, s.area, s.name_sealed, s.phone_sealed, c.due_on, c.planned_on, c.planned_for"
            " FROM cases c JOIN subjects s USING (subject_id) WHERE c.kind = 'home_visit' AND c.planned_for = :worker"
            " AND c.planned_on = :day AND (:all OR s.area = ANY(:areas))"
            " AND c.state NOT IN ('passed', 'refused', 'closed') ORDER BY s.area, c.due_on, c.case_id"
        ),
        {"worker": worker, "day": day, "all": areas is None, "areas": list(areas or ())},
    )
    return [
        PlannedVisit(
            row.case_id,
            row.number,
            row.subject_id,
            row.area,
            bytes(row.name_sealed),
            None if row.phone_sealed is None else bytes(row.phone_sealed),
            row.due_on,
            row.planned_on,
            row.planned_for,
        )
        for row in rows
    ]


def is_worker_or_terminal(connection: Connection, name: str) -> bool:
    """Return whether an operator in service, or a terminal in service, has this id."""
    found = connection.execute(
        text(
            "SELECT EXISTS (SELECT 1 FROM operators WHERE operator_id = :name AND retired_at IS NULL)"
            " OR EXISTS (SELECT 1 FROM terminals WHERE terminal_id = :name AND retired_at IS NULL)"
        ),
        {"name": name},
    )
    return bool(found.scalar_one())
