"""Cases in the pages of the console, as SQL: those of some areas, a page at a time, those that are due first.

A case lies in the areas of the person it is about, home and who pays; of somebody unknown, in that of the terminal it came from; else
in none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from fleet.store.case_events import StoredEvent, stored_event
from fleet.store.subject_areas import of_cases, theirs

COUNTED = 999
"""Most cases that are counted; more are told as more."""


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One case of a page, with its history."""

    case_id: str
    number: str | None
    """That people say; None in the transaction that opened it."""
    kind: str
    state: str
    subject_id: str | None
    name_sealed: bytes | None
    area: str | None
    terminal_id: str | None
    asked_at: datetime
    due_on: date
    decided_at: datetime | None
    events: tuple[StoredEvent, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which cases."""

    areas: Sequence[str] | None
    """Codes; None for the whole fleet."""
    is_over: bool = False
    """Those that are over, the latest due first; else those that are not, the earliest due first."""
    kinds: tuple[str, ...] = ()
    """Empty: all."""
    states: tuple[str, ...] = ()
    """Empty: all."""
    has_verdict: bool = False
    """Only those of which somebody has said a verdict, in this round or an earlier one."""
    due_from: date | None = None
    due_until: date | None = None
    is_planned: bool | None = None
    """Only visits for which somebody is to go on a day, or only those that wait for one; None for all."""


Place = tuple[date, str]
"""Where a case stands in the order: day on which it is due, and id."""


def page_of(
    connection: Connection, asked: Asked, *, behind: Place | None = None, ahead: Place | None = None, limit: int
) -> list[QueueRow]:
    """Return cases in order: those behind a place, or the last ones before one."""
    backwards = ahead is not None
    # Backwards in one order is forwards in the other.
    is_falling = asked.is_over != backwards
    place = ahead or behind
    rows = connection.execute(
        text(_page(connection, asked, is_falling=is_falling, has_place=place is not None)),
        {**_values(asked), "day": place and place[0], "id": place and place[1], "limit": limit},
    ).all()
    histories = _histories(connection, [row.case_id for row in rows])
    found = [
        QueueRow(
            row.case_id,
            row.number,
            row.kind,
            row.state,
            row.subject_id,
            None if row.name_sealed is None else bytes(row.name_sealed),
            row.area,
            row.terminal_id,
            row.asked_at,
            row.due_on,
            row.decided_at,
            tuple(histories[row.case_id]),
        )
        for row in rows
    ]
    return found[::-1] if backwards else found


def count_of(connection: Connection, asked: Asked) -> int:
    """Return how many cases there are, at most one more than `COUNTED`."""
    place = "cases c" if asked.areas is None else _PLACED
    statement = (
        f"SELECT count(*) FROM (SELECT 1 FROM {place} WHERE {_where(connection, asked)} LIMIT {COUNTED + 1}) found"  # noqa: S608 - our own names
    )
    return int(connection.execute(text(statement), _values(asked)).scalar_one())


@dataclass(frozen=True, slots=True)
class Counts:
    """How many cases are not over, by the day on which they are due; each at most one more than `COUNTED`."""

    late: int
    today: int
    week: int
    """Due until a day ahead, those that are late with them."""
    every: int


def counts_by_day(connection: Connection, areas: Sequence[str], today: date, week: date) -> Counts:
    """Return how many cases of some areas are not over, all of them gone through once."""
    asked = Asked(areas)
    row = connection.execute(
        text(
            "SELECT count(*) FILTER (WHERE c.due_on < :today), count(*) FILTER (WHERE c.due_on = :today),"  # noqa: S608 - our own names
            f" count(*) FILTER (WHERE c.due_on <= :week), count(*) FROM {_PLACED} WHERE {_where(connection, asked)}"
        ),
        {**_values(asked), "today": today, "week": week},
    ).one()
    return Counts(*(min(each, COUNTED + 1) for each in row))


def area_of(connection: Connection, case_id: str) -> str | None:
    """Return where the person of a case lives, or where its terminal stands."""
    row = connection.execute(
        text(f"SELECT coalesce(s.area, t.area) AS area {_FROM} WHERE c.case_id = :id"),
        {"id": case_id},
    ).one_or_none()
    return None if row is None else row.area


def is_case_within(connection: Connection, case_id: str, areas: Sequence[str] | None) -> bool:
    """Return whether there is such a case, and it lies in one of these areas; None for the whole fleet."""
    statement = f"SELECT 1 {_FROM} WHERE c.case_id = :id AND {of_cases('c.subject_id', 't.area')}"
    values = {"id": case_id, "areas": None if areas is None else list(areas)}
    return connection.execute(text(statement), values).one_or_none() is not None


_FROM = """
FROM cases c JOIN case_events e ON e.case_id = c.case_id AND e.number = 1
LEFT JOIN subjects s ON s.subject_id = c.subject_id
LEFT JOIN terminals t ON t.terminal_id = e.data -> 'facts' ->> 'terminal_id'
"""
# Where a case lies, without its first event where nobody asks it for the terminal.
_PLACED = """cases c LEFT JOIN subjects s ON s.subject_id = c.subject_id LEFT JOIN LATERAL (
    SELECT t.area FROM case_events e JOIN terminals t ON t.terminal_id = e.data -> 'facts' ->> 'terminal_id'
    WHERE c.subject_id IS NULL AND e.case_id = c.case_id AND e.number = 1) t ON true"""
_OVER = "('passed', 'refused', 'closed')"


def _page(connection: Connection, asked: Asked, *, is_falling: bool, has_place: bool) -> str:
    sign, order = ("<", "DESC") if is_falling else (">", "ASC")
    place = f"AND (c.due_on, c.case_id) {sign} (CAST(:day AS date), CAST(:id AS text))" if has_place else ""
    by_place = f"ORDER BY c.due_on {order}, c.case_id {order}"
    listed = (
        f"SELECT c.case_id FROM {'cases c' if asked.areas is None else _PLACED}"  # noqa: S608 - our own names
        f" WHERE {_where(connection, asked)} {place} {by_place} LIMIT :limit"
    )
    return (
        "SELECT c.case_id, c.number, c.kind, c.state, c.subject_id, s.name_sealed, coalesce(s.area, t.area) AS area, t.terminal_id,"
        f" c.asked_at, c.due_on, c.decided_at {_FROM} WHERE c.case_id = ANY(ARRAY({listed})) {by_place}"
    )


def _where(connection: Connection, asked: Asked) -> str:
    parts = [f"c.state {'IN' if asked.is_over else 'NOT IN'} {_OVER}"]
    if asked.areas is not None:
        own = theirs(connection, asked.areas, "c.subject_id")
        parts.append(f"({own} OR c.subject_id IS NULL AND t.area = ANY(:areas))")
    if asked.kinds:
        parts.append("c.kind = ANY(:kinds)")
    if asked.states:
        parts.append("c.state = ANY(:states)")
    if asked.has_verdict:
        parts.append("EXISTS (SELECT 1 FROM case_events v WHERE v.case_id = c.case_id AND v.step = 'verdict')")
    if asked.due_from is not None:
        parts.append("c.due_on >= :due_from")
    if asked.due_until is not None:
        parts.append("c.due_on <= :due_until")
    if asked.is_planned is not None:
        parts.append(f"c.planned_on IS {'NOT ' if asked.is_planned else ''}NULL")
    return " AND ".join(parts)


def _values(asked: Asked) -> dict[str, Any]:
    return {
        "areas": list(asked.areas or ()),
        "kinds": list(asked.kinds),
        "states": list(asked.states),
        "due_from": asked.due_from,
        "due_until": asked.due_until,
    }


def _histories(connection: Connection, case_ids: Sequence[str]) -> dict[str, list[StoredEvent]]:
    rows = connection.execute(
        text(
            "SELECT case_id, step, at, actor_hash, actor_sealed, data, note_sealed FROM case_events"
            " WHERE case_id = ANY(:ids) ORDER BY case_id, number"
        ),
        {"ids": list(case_ids)},
    )
    found: dict[str, list[StoredEvent]] = {case_id: [] for case_id in case_ids}
    for row in rows:
        found[row.case_id].append(stored_event(row))
    return found
