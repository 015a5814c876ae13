"""What the console's pages of reminders show: what comes, what was sent by channel and day, what failed; as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from fleet.store.paging import Place, newest
from fleet.store.subject_areas import among, theirs, unless_everybody


@dataclass(frozen=True, slots=True)
class DayCount:
    """Messages of one channel and day in one state."""

    channel: str
    day: date
    state: str
    messages: int


@dataclass(frozen=True, slots=True)
class Due:
    """Messages that are due to be sent."""

    people: int
    messages: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Steps that wait to be taken."""

    kind: str
    step: str
    steps: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """What a gateway said last."""

    channel: str
    state: str
    code: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step of somebody; the name is encrypted."""

    reminder_id: str
    subject_id: str
    area: str
    kind: str
    step: str
    code: str | None
    outcome: str | None
    at: datetime
    name_sealed: bytes = field(repr=False)


def days(connection: Connection, areas: Sequence[str] | None, *, since: datetime, offset: timedelta) -> list[DayCount]:
    """Return how many messages were begun on which day by which channel, by what is known of them.

    Args:
        connection: where to read.
        areas: of people who live there; None for everybody.
        since: from this moment on.
        offset: of the agency from UTC, by which a day ends.
    """
    # Of everybody the index of days has all that is asked for.
    areas = unless_everybody(connection, areas)
    of_areas = f"AND d.reminder_id IN (SELECT r.reminder_id FROM reminders r WHERE {among('r.subject_id')})"  # noqa: S608 - our own fragment
    rows = connection.execute(
        text(
            "SELECT d.channel, CAST(d.begun_at AT TIME ZONE CAST(:offset AS interval) AS date) AS day, d.state, count(*)"  # noqa: S608 - our own fragment
            f" FROM reminder_deliveries d WHERE d.begun_at >= :since {'' if areas is None else of_areas}"
            " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        ),
        {"since": since, "offset": offset, "areas": _listed(areas)},
    )
    return [DayCount(*row) for row in rows]


def waiting(connection: Connection, areas: Sequence[str] | None) -> list[Waiting]:
    """Return what waits to be sent, called or visited."""
    areas = unless_everybody(connection, areas)
    rows = connection.execute(
        text(
            "SELECT r.kind, r.step, count(*), min(r.not_before) FROM reminders r WHERE r.state = 'pending'"  # noqa: S608 - our own fragment
            f"{'' if areas is None else ' AND ' + among('r.subject_id')} GROUP BY 1, 2"
            " ORDER BY 1, array_position(ARRAY['message', 'call', 'visit'], r.step)"
        ),
        {"areas": _listed(areas)},
    )
    return [Waiting(*row) for row in rows]


def due_messages(connection: Connection, now: datetime) -> Due:
    """Return what would be sent at a moment, if ways and quiet hours let it."""
    row = connection.execute(
        text(
            "SELECT count(DISTINCT subject_id), count(*) FROM reminders"
            " WHERE state = 'pending' AND step = 'message' AND not_before <= :now"
        ),
        {"now": now},
    ).one()
    return Due(*row)


def coming(connection: Connection, areas: Sequence[str] | None, *, since: date, until: date) -> list[tuple[date, int]]:
    """Return how many people are asked to come from which day on, of the days from one to before another."""
    areas = unless_everybody(connection, areas)
    of_all = "SELECT asked, count(*) FROM statuses WHERE asked >= :since AND asked < :until GROUP BY 1 ORDER BY 1"
    # The same days by area; whoever lives in one and is paid by another is one person.
    of_areas = (
        "SELECT asked, count(DISTINCT subject_id) FROM subject_areas WHERE area = ANY(:areas) AND asked >= :since AND asked < :until"
        " GROUP BY 1 ORDER BY 1"
    )
    rows = connection.execute(
        text(of_all if areas is None else of_areas),
        {"since": since, "until": until, "areas": _listed(areas)},
    )
    return [(row[0], row[1]) for row in rows]


def last_answers(connection: Connection) -> dict[str, LastAnswer]:
    """Return what each gateway said last, by channel."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT ON (channel) channel, state, code, coalesce(settled_at, accepted_at, begun_at)"
            " FROM (SELECT * FROM reminder_deliveries ORDER BY begun_at DESC LIMIT 5000) d"
            # Of several of one moment always the same one.
            " ORDER BY channel, coalesce(settled_at, accepted_at, begun_at) DESC, state, code"
        )
    )
    return {row.channel: LastAnswer(*row) for row in rows}


def failed(
    connection: Connection,
    areas: Sequence[str] | None,
    *,
    step: str,
    below: Place | None = None,
    above: Place | None = None,
    limit: int,
) -> list[StepLine]:
    """Return steps that reached nobody, the newest first.

    Args:
        connection: where to read.
        areas: of people who live there; None for everybody.
        step: only messages, calls or visits; empty for all.
        below: only those before this moment and id.
        above: only those after it, and of those the oldest.
        limit: most of them.
    """
    where = "r.state = 'failed' AND (:step = '' OR r.step = :step)"
    return _page(connection, areas, where, "r.settled_at", below, above, {"step": step}, limit)


def on_lists(
    connection: Connection,
    areas: Sequence[str] | None,
    *,
    below: Place | None = None,
    above: Place | None = None,
    limit: int,
) -> list[StepLine]:
    """Return calls and visits that stand on a list and of which no result came, the newest list first; arguments as `failed`."""
    where = "r.state = 'sent' AND r.step <> 'message'"
    return _page(connection, areas, where, "r.sent_at", below, above, {}, limit)


def _page(
    connection: Connection,
    areas: Sequence[str] | None,
    where: str,
    at: str,
    below: Place | None,
    above: Place | None,
    values: dict[str, Any],
    limit: int,
) -> list[StepLine]:
    within = theirs(connection, areas, "r.subject_id")
    statement = (
        f"SELECT r.reminder_id, r.subject_id, s.area, r.kind, r.step, r.code, r.outcome, {at}, s.name_sealed FROM reminders r"  # noqa: S608 - our own fragments
        f" JOIN subjects s USING (subject_id) WHERE {where} AND {within}"
    )
    values = {**values, "areas": _listed(areas)}
    rows = newest(connection, statement, [at, "r.reminder_id"], values, below=below, above=above, limit=limit)
    return [StepLine(*row) for row in rows]


def _listed(areas: Sequence[str] | None) -> list[str] | None:
    return None if areas is None else list(areas)
