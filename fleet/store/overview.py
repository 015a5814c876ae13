"""What the console's first page counts, as SQL that takes a moment at a million people: sessions, the newest snapshot, what waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text

from fleet.store.areas import MAX_ABOVE
from fleet.store.subject_areas import theirs


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for somebody of the agency."""

    cases: int
    """Cases that are not over."""
    late: int
    """Of them those whose day has passed."""
    soon: int
    """Of them those that are due within three days."""
    alarms: int
    """Of them attack alarms."""


@dataclass(frozen=True, slots=True)
class AreaCount:
    """People of an area and all below it, by state, as of the newest snapshot."""

    code: str
    name: str
    has_below: bool
    people: dict[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.people.values())


def sessions_since(
    connection: Connection, since: datetime, *, zone: str, within: Sequence[str] | None
) -> list[tuple[datetime, str, int]]:
    """Return how many sessions there were by hour of the agency (as a time without zone) and outcome.

    Args:
        connection: where to read.
        since: the first moment.
        zone: the agency's zone, as PostgreSQL reads it (`fleet.statistics.counts.offset`).
        within: only those held at terminals of these areas; None for all.
    """
    rows = connection.execute(
        text(
            "SELECT date_trunc('hour', r.event_at AT TIME ZONE CAST(:zone AS text)) AS at, r.outcome, count(*) AS sessions"
            " FROM records r WHERE r.event_at >= :since AND (CAST(:within AS text[]) IS NULL OR r.terminal_id IN"
            " (SELECT t.terminal_id FROM terminals t WHERE t.area = ANY(:within))) GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        {"zone": zone, "since": since, "within": None if within is None else list(within)},
    )
    return [(row.at, row.outcome, row.sessions) for row in rows]


def newest_snapshot(connection: Connection) -> date | None:
    """Return the day of the newest snapshot; None before the first night."""
    day: date | None = connection.execute(text("SELECT max(day) FROM statistics_snapshots")).scalar_one()
    return day


def people_by_state(connection: Connection, day: date, *, within: Sequence[str] | None) -> dict[str, int]:
    """Return how many people were in each state on a day of which there is a snapshot."""
    rows = connection.execute(
        text(
            "SELECT state, sum(people) AS people FROM statistics_snapshot_rows WHERE day = :day AND scheme IS NULL"
            " AND (CAST(:within AS text[]) IS NULL OR area = ANY(:within)) GROUP BY state"
        ),
        {"day": day, "within": None if within is None else list(within)},
    )
    return {row.state: int(row.people) for row in rows}


def counts_of_areas(connection: Connection, codes: Sequence[str], day: date) -> list[AreaCount]:
    """Return the people of each of these areas with all below it, by name."""
    rows = connection.execute(text(_OF_AREAS), {"codes": list(codes), "day": day, "most": MAX_ABOVE}).all()
    found: dict[str, AreaCount] = {}
    for row in rows:
        count = found.setdefault(row.code, AreaCount(row.code, row.name, row.has_below, {}))
        if row.state is not None:
            count.people[row.state] = int(row.people)
    return sorted(found.values(), key=lambda count: (count.name, count.code))


def areas_directly_below(connection: Connection, code: str | None) -> list[str]:
    """Return the codes of the areas directly below one, or of those that lie in none."""
    rows = connection.execute(
        text("SELECT code FROM areas WHERE parent IS NOT DISTINCT FROM :code ORDER BY code"), {"code": code}
    )
    return list(rows.scalars())


def waiting(connection: Connection, *, today: date, within: Sequence[str] | None) -> Waiting:
    """Return what waits, of people of some areas; a case that leads to nobody is where its terminal stands."""
    of_them = theirs(connection, within, "x.subject_id", name="within")
    of_nobody = f" OR x.subject_id IS NULL AND {_TERMINAL_AREA} = ANY(:within)" if within is not None else ""
    row = connection.execute(
        text(_WAITING.format(theirs=f"({of_them}{of_nobody})")),
        {"today": today, "within": None if within is None else list(within)},
    ).one()
    return Waiting(*row)


_OF_AREAS = """
WITH RECURSIVE down AS (
    SELECT code AS top, code, 1 AS step FROM areas WHERE code = ANY(:codes)
    UNION ALL SELECT d.top, a.code, d.step + 1 FROM down d JOIN areas a ON a.parent = d.code WHERE d.step <= :most)
SELECT t.code, t.name, EXISTS (SELECT 1 FROM areas b WHERE b.parent = t.code) AS has_below, c.state, c.people
FROM areas t LEFT JOIN (
    SELECT d.top, r.state, sum(r.people) AS people FROM down d
    JOIN statistics_snapshot_rows r ON r.day = :day AND r.area = d.code AND r.scheme IS NULL GROUP BY d.top, r.state) c
    ON c.top = t.code
WHERE t.code = ANY(:codes)
"""
_TERMINAL_AREA = """(SELECT t.area FROM case_events e JOIN terminals t ON t.terminal_id = e.data -> 'facts' ->> 'terminal_id'
    WHERE e.case_id = x.case_id AND e.number = 1)"""
_WAITING = """
SELECT count(*) AS cases, count(*) FILTER (WHERE due_on < :today) AS late,
    count(*) FILTER (WHERE due_on BETWEEN :today AND :today + 3) AS soon,
    count(*) FILTER (WHERE kind = 'attack_alarm') AS alarms
FROM cases x WHERE state NOT IN ('passed', 'refused', 'closed') AND {theirs}
"""
