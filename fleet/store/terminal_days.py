"""What sessions measured on each terminal, day by day, and alarms of change, as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from sqlalchemy import Connection, text

_ROWS = 10_000
"""Read at a time."""
_OVERLAP = timedelta(minutes=10)
"""A record's moment of arrival is taken before its transaction ends; none takes so long."""


@dataclass(frozen=True, slots=True)
class DayLine:
    """One terminal's day."""

    terminal_id: str
    day: date
    measures: dict[str, tuple[int, float]]
    """By measure: sessions that have it, and the sum."""


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """One alarm, as stored."""

    measure: str
    advice: str
    is_rise: bool
    since: date
    raised_on: date
    ended_on: date | None
    before: float
    after: float


def changed_days(connection: Connection, *, oldest: datetime, zone: tzinfo, now: datetime) -> list[tuple[str, date]]:
    """Return terminals and days of which records arrived since the last time, and note that they are looked at now.

    The note is in the caller's transaction: what is not committed is found again.

    Args:
        connection: where to read.
        oldest: days before it are not counted.
        zone: where days begin.
        now: in UTC; what claims to be later is not counted.
    """
    until = connection.execute(text("SELECT until FROM terminal_days_until FOR UPDATE")).scalar_one_or_none()
    since = oldest if until is None else until - _OVERLAP
    # By the half hour: no zone's day begins elsewhere, and which day it is only the zone knows.
    rows = connection.execute(
        text(
            "SELECT DISTINCT terminal_id, date_bin('30 minutes', event_at, TIMESTAMPTZ '2000-01-01 00:00Z') AS at FROM records"
            " WHERE received_at >= :since AND received_at <= :now AND event_at >= :oldest AND event_at <= :now"
        ),
        {"since": since, "now": now, "oldest": oldest},
    ).yield_per(_ROWS)
    found = sorted({(row.terminal_id, row.at.astimezone(zone).date()) for row in rows})
    connection.execute(
        text("INSERT INTO terminal_days_until (until) VALUES (:now) ON CONFLICT (one) DO UPDATE SET until = :now"),
        {"now": now},
    )
    return found


def count_days(connection: Connection, days: Sequence[tuple[str, datetime, datetime, date]]) -> None:
    """Count these days anew: terminal, where the day begins and ends, and its date."""
    if not days:
        return
    connection.execute(
        text(_COUNT),
        {
            "terminals": [terminal for terminal, _, _, _ in days],
            "begins": [begin for _, begin, _, _ in days],
            "ends": [end for _, _, end, _ in days],
            "days": [day for _, _, _, day in days],
        },
    )


def day_lines(connection: Connection, terminal_ids: Sequence[str], *, first: date, last: date) -> list[DayLine]:
    """Return the days of these terminals, by terminal and day, both ends included."""
    rows = connection.execute(
        text(
            "SELECT terminal_id, day, measures FROM terminal_days WHERE terminal_id = ANY(:ids) AND day >= :first AND day <= :last"
            " ORDER BY terminal_id, day"
        ),
        {"ids": list(terminal_ids), "first": first, "last": last},
    )
    return [
        DayLine(row.terminal_id, row.day, {name: (int(n), float(total)) for name, (n, total) in row.measures.items()})
        for row in rows
    ]


def replace_alarms(connection: Connection, terminal_id: str, alarms: Sequence[AlarmLine], *, raised_from: date) -> None:
    """Store a terminal's alarms in place of those raised from a day on, and of all that last; keep on its row how many last."""
    connection.execute(
        text("DELETE FROM terminal_alarms WHERE terminal_id = :id AND (raised_on >= :from OR ended_on IS NULL)"),
        {"id": terminal_id, "from": raised_from},
    )
    for alarm in alarms:
        connection.execute(
            text(
                "INSERT INTO terminal_alarms (terminal_id, measure, advice, is_rise, since, raised_on, ended_on, before, after)"
                " VALUES (:id, :measure, :advice, :rise, :since, :raised, :ended, :before, :after)"
            ),
            {
                "id": terminal_id,
                "measure": alarm.measure,
                "advice": alarm.advice,
                "rise": alarm.is_rise,
                "since": alarm.since,
                "raised": alarm.raised_on,
                "ended": alarm.ended_on,
                "before": alarm.before,
                "after": alarm.after,
            },
        )
    connection.execute(
        text(
            "UPDATE terminals t SET alarms = n.lasting FROM (SELECT count(*) AS lasting FROM terminal_alarms"
            " WHERE terminal_id = :id AND ended_on IS NULL) n WHERE t.terminal_id = :id AND t.alarms <> n.lasting"
        ),
        {"id": terminal_id},
    )


def alarm_lines(connection: Connection, terminal_id: str) -> list[AlarmLine]:
    """Return a terminal's alarms, the newest first."""
    rows = connection.execute(
        text(
            "SELECT measure, advice, is_rise, since, raised_on, ended_on, before, after FROM terminal_alarms"
            " WHERE terminal_id = :id ORDER BY raised_on DESC, measure"
        ),
        {"id": terminal_id},
    )
    return [AlarmLine(*row) for row in rows]


def forget_days(connection: Connection, *, before: date) -> int:
    """Delete days before one, and alarms that ended before it; return how many days."""
    connection.execute(text("DELETE FROM terminal_alarms WHERE ended_on < :before"), {"before": before})
    return connection.execute(text("DELETE FROM terminal_days WHERE day < :before"), {"before": before}).rowcount


_LOOKED = "('certified', 'time_uncertain', 'review', 'not_certified', 'poor_sample', 'presentation_attack')"
"""Outcomes of sessions that looked at a person (`protocol.outcomes.Outcome`)."""
_QUALITY = (
    "sharpness",
    "illumination_uniformity",
    "under_exposure_prevention",
    "over_exposure_prevention",
    "dynamic_range",
)
_VALUES = ", ".join(
    [
        f"('pass_rate', CASE WHEN r.outcome IN {_LOOKED} THEN CAST(r.outcome IN ('certified', 'time_uncertain') AS integer) END)",
        *(f"('{name}', CAST(r.payload #>> '{{quality,{name}}}' AS double precision))" for name in _QUALITY),
        (
            "('light_gain', (SELECT CAST(e #>> '{measures,gain}' AS double precision) FROM jsonb_array_elements(r.payload -> 'evidence') e"
            " WHERE e ->> 'kind' = 'illumination' LIMIT 1))"
        ),
        (
            "('capture_s', CASE WHEN r.outcome <> 'cancelled' AND r.payload #>> '{started,boot_id}' = r.payload #>> '{decided,boot_id}'"
            " THEN (CAST(r.payload #>> '{decided,monotonic_ns}' AS double precision)"
            " - CAST(r.payload #>> '{started,monotonic_ns}' AS double precision)) / 1e9 END)"
        ),
    ]
)
_COUNT = (
    "INSERT INTO terminal_days (terminal_id, day, measures)"  # noqa: S608 - our own text
    " SELECT terminal_id, day, jsonb_object_agg(name, jsonb_build_array(sessions, total)) FROM ("
    "SELECT d.terminal_id, d.day, m.name, count(*) AS sessions, sum(m.value) AS total"
    " FROM unnest(CAST(:terminals AS text[]), CAST(:begins AS timestamptz[]), CAST(:ends AS timestamptz[]), CAST(:days AS date[]))"
    " AS d (terminal_id, begins, ends, day)"
    " JOIN records r ON r.terminal_id = d.terminal_id AND r.event_at >= d.begins AND r.event_at < d.ends"
    f" CROSS JOIN LATERAL (VALUES {_VALUES}) AS m (name, value) WHERE m.value IS NOT NULL"
    " GROUP BY d.terminal_id, d.day, m.name) s GROUP BY terminal_id, day"
    " ON CONFLICT (terminal_id, day) DO UPDATE SET measures = EXCLUDED.measures"
)
