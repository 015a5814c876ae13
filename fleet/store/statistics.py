"""Counts of people, of periods kept and of sessions, as SQL over a million people; and nightly snapshots of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Connection, text

from fleet.store.subject_areas import LIVING_THERE, are_few

PersonCut = Literal["area", "scheme", "state", "age", "channel"]
SessionCut = Literal["area", "age", "sex", "device", "day"]
BANDS = (0, 60, 65, 70, 75, 80, 85, 90)
"""Lower ends of the age bands, in whole years; five years each, as population statistics have them."""
UNKNOWN_AGE = "unknown"
_WORK_MIB = 128
"""Memory of one sort or hash: a million people with an area each fit in."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Of whom."""

    scheme: str | None = None
    """Only people of one scheme, by what is asked of them there."""
    areas: Collection[str] | None = None
    """Only people who live in these areas themselves."""

    @property
    def values(self) -> dict[str, Any]:
        """Parameters of the statements below."""
        return {"scheme": self.scheme, "areas": None if self.areas is None else sorted(self.areas)}


def band_names() -> list[str]:
    """Return the names of the age bands in order, the unknown one last."""
    ends = [*(low - 1 for low in BANDS[1:]), None]
    return [f"{low}+" if end is None else f"{low}-{end}" for low, end in zip(BANDS, ends, strict=True)] + [UNKNOWN_AGE]


def work_in_memory(connection: Connection) -> None:
    """Let this transaction sort and hash a million rows without the disk."""
    connection.execute(text(f"SET LOCAL work_mem = '{_WORK_MIB}MB'"))


def people_by(connection: Connection, cut: PersonCut, today: date, of: Filter) -> list[Any]:
    """Return how many people there are by key and state.

    A person is counted once, by the strictest of what is asked of them; by scheme, or of one scheme, once for each scheme, by what is
    asked of them there.
    """
    joins = _CHANNEL_JOINS if cut == "channel" else ""
    theirs = _theirs(connection, of, "x.subject_id")
    return list(
        connection.execute(
            text(
                f"SELECT {_KEYS[cut]} AS key, {_STATE} AS state, count(*) AS people"  # noqa: S608 - our own text
                f" FROM {_source(cut, of)} x JOIN subjects s USING (subject_id) {joins}"
                f" WHERE {_AREAS} {theirs} GROUP BY 1, 2"
            ),
            {"today": today, **of.values},
        )
    )


def coverage_by(
    connection: Connection, cut: Literal["area", "scheme", "age"], since: date, until: date, of: Filter
) -> list[Any]:
    """Return by key how many people had to come in a span of days, and how many of them have nothing open at its end.

    Somebody had to come if something of theirs was due by the end of the span, or if they came in it.
    """
    is_by_scheme = cut == "scheme" or of.scheme is not None
    scheme = ", scheme" if is_by_scheme else ""
    wanted = "AND scheme = :scheme" if of.scheme is not None else ""
    theirs = _theirs(connection, of, "subject_id")
    return list(
        connection.execute(
            text(
                f"SELECT {_KEYS[cut]} AS key, count(*) AS asked, count(*) FILTER (WHERE x.is_done) AS done FROM"  # noqa: S608 - our own text
                f" (SELECT subject_id{scheme}, bool_and(due > :until) AS is_done FROM obligations"
                f" WHERE (due <= :until OR last_day BETWEEN :since AND :until) {wanted} {theirs} GROUP BY subject_id{scheme}) x"
                f" JOIN subjects s USING (subject_id) WHERE {_AREAS} GROUP BY 1"
            ),
            {"since": since, "until": until, "today": until, **of.values},
        )
    )


def sessions_by(
    connection: Connection, cut: SessionCut, since: datetime, until: datetime, zone: str, of: Filter
) -> list[Any]:
    """Return how many sessions of known people there were by key and outcome, from a moment until before another.

    Args:
        connection: where to read.
        cut: by what.
        since: the first moment.
        until: the moment after the last.
        zone: offset of the agency's zone, as PostgreSQL reads it; where a day ends.
        of: whose.
    """
    # Of everybody, by what the record itself says, the index of moments has all that is asked for; whoever is erased is in no record.
    is_plain = cut in ("device", "day") and of.areas is None and of.scheme is None
    people, known = ("", "r.subject_id IS NOT NULL") if is_plain else (_PEOPLE, _AREAS)
    return list(
        connection.execute(
            text(
                f"SELECT {_SESSION_KEYS[cut]} AS key, r.outcome, count(*) AS sessions FROM records r {people}"  # noqa: S608 - our own text
                f" WHERE r.event_at >= :since AND r.event_at < :until AND {known}"
                f" {_IN_SCHEME if of.scheme is not None else ''} GROUP BY 1, 2"
            ),
            {"since": since, "until": until, "zone": zone, **of.values},
        )
    )


def sessions_by_each(
    connection: Connection, cuts: Sequence[SessionCut], since: datetime, until: datetime, zone: str, of: Filter
) -> dict[SessionCut, list[tuple[str, str, int]]]:
    """Return what `sessions_by` does for each of several cuts, reading every session once: key, outcome and number.

    Args:
        connection: where to read.
        cuts: by what.
        since: the first moment.
        until: the moment after the last.
        zone: offset of the agency's zone, as PostgreSQL reads it.
        of: whose.
    """
    keys = ", ".join(f"{_SESSION_KEYS[cut]} AS {cut}" for cut in cuts)
    sets = ", ".join(f"({cut}, outcome)" for cut in cuts)
    rows = connection.execute(
        text(
            f"SELECT {', '.join(cuts)}, outcome, count(*) AS sessions FROM (SELECT {keys}, r.outcome FROM records r"  # noqa: S608 - our own text
            f" JOIN subjects s ON s.subject_id = r.subject_id WHERE r.event_at >= :since AND r.event_at < :until"
            f" AND {_AREAS} {_IN_SCHEME if of.scheme is not None else ''}) x GROUP BY GROUPING SETS ({sets})"
        ),
        {"since": since, "until": until, "zone": zone, **of.values},
    )
    found: dict[SessionCut, list[tuple[str, str, int]]] = {cut: [] for cut in cuts}
    for row in rows:
        # No key is NULL, so the one that is there is the one that the row is about.
        cut = next(each for each in cuts if getattr(row, each) is not None)
        found[cut].append((getattr(row, cut), row.outcome, row.sessions))
    return found


def add_snapshot(connection: Connection, day: date, *, keep_from: date, now: datetime) -> bool:
    """Store today's counts by area, scheme and state, and drop those of before a day; return False if they are there."""
    new = connection.execute(
        text("INSERT INTO statistics_snapshots (day, taken_at) VALUES (:day, :now) ON CONFLICT DO NOTHING RETURNING 1"),
        {"day": day, "now": now},
    ).scalar_one_or_none()
    if new is None:
        return False
    work_in_memory(connection)
    for scheme, source in (("CAST(NULL AS text)", "statuses"), ("x.scheme", _BY_SCHEME.format(wanted=""))):
        counted = f"SELECT :today, s.area, {scheme}, {_STATE}, count(*) FROM {source} x"  # noqa: S608 - our own text
        connection.execute(
            text(f"{_SNAPSHOT_ROWS} {counted} JOIN subjects s USING (subject_id) GROUP BY 2, 3, 4"), {"today": day}
        )
    connection.execute(text("DELETE FROM statistics_snapshots WHERE day < :from"), {"from": keep_from})
    return True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counts of a day."""

    day: date
    taken_at: datetime


def snapshots(connection: Connection) -> list[Snapshot]:
    """Return which snapshots are kept, in order."""
    rows = connection.execute(text("SELECT day, taken_at FROM statistics_snapshots ORDER BY day"))
    return [Snapshot(*row) for row in rows]


def snapshot_days(connection: Connection) -> list[date]:
    """Return the days of which there is a snapshot, in order."""
    return list(connection.execute(text("SELECT day FROM statistics_snapshots ORDER BY day")).scalars())


def snapshot_schemes(connection: Connection, day: date) -> list[str]:
    """Return the schemes that somebody was in on the day of a snapshot, in order."""
    rows = connection.execute(
        text("SELECT DISTINCT scheme FROM statistics_snapshot_rows WHERE day = :day AND scheme IS NOT NULL ORDER BY 1"),
        {"day": day},
    )
    return list(rows.scalars())


def snapshot_people_by(
    connection: Connection, cut: Literal["area", "scheme", "state"], day: date, of: Filter
) -> list[Any]:
    """Return what `people_by` returned on the day of a snapshot."""
    key = {"area": "r.area", "scheme": "r.scheme", "state": "r.state"}[cut]
    of_all = "r.scheme IS NOT NULL" if cut == "scheme" else "r.scheme IS NULL"
    wanted = of_all if of.scheme is None else "r.scheme = :scheme"
    return list(
        connection.execute(
            text(
                f"SELECT {key} AS key, r.state, sum(r.people) AS people FROM statistics_snapshot_rows r"  # noqa: S608 - our own text
                f" WHERE r.day = :day AND {wanted} AND (CAST(:areas AS text[]) IS NULL OR r.area = ANY(:areas)) GROUP BY 1, 2"
            ),
            {"day": day, **of.values},
        )
    )


def _theirs(connection: Connection, of: Filter, column: str) -> str:
    """Return what has rows looked up by whose they are, where few people are counted; nothing where many are."""
    if of.areas is None or not are_few(connection, of.areas):
        return ""
    return f"AND {column} {LIVING_THERE}"


def _source(cut: str, of: Filter) -> str:
    if of.scheme is not None:
        return _BY_SCHEME.format(wanted="AND scheme = :scheme")
    return _BY_SCHEME.format(wanted="") if cut == "scheme" else "statuses"


def _band(born: str, day: str) -> str:
    """Return the SQL of an age band; who was born on 29 February grows older on 1 March, as in `protocol.rules.days.age_on`."""
    names = band_names()
    younger = " ".join(
        f"WHEN {born} > {day} - interval '{high} years' THEN '{name}'"
        for name, high in zip(names, BANDS[1:], strict=False)
    )
    return f"CASE WHEN {born} IS NULL THEN '{UNKNOWN_AGE}' {younger} ELSE '{names[-2]}' END"


_SNAPSHOT_ROWS = "INSERT INTO statistics_snapshot_rows (day, area, scheme, state, people)"
_AREAS = "(CAST(:areas AS text[]) IS NULL OR s.area = ANY(:areas))"
_PEOPLE = "JOIN subjects s ON s.subject_id = r.subject_id"
_IN_SCHEME = "AND EXISTS (SELECT 1 FROM benefits b WHERE b.subject_id = s.subject_id AND b.scheme = :scheme)"
# Who has nothing but a benefit that is over is counted in no scheme.
_BY_SCHEME = (
    "(SELECT DISTINCT ON (subject_id, scheme) * FROM obligations o WHERE NOT EXISTS (SELECT 1 FROM benefits b"
    " WHERE b.subject_id = o.subject_id AND b.scheme = o.scheme AND b.ended < :today) {wanted}"
    " ORDER BY subject_id, scheme, due, stop_from, pack_id)"
)
# As `protocol.rules.obligations.state_of`, which a test compares it with, but for one thing: whoever never came is overdue, too, once
# their last day has passed. In counts and lists (`fleet.store.people`) nobody is left out who may be stopped.
_STATE = (
    "CASE WHEN :today >= x.overdue THEN 'overdue' WHEN x.last_act IS NULL THEN 'never_certified'"
    " WHEN :today < x.asked THEN 'certified' WHEN :today >= x.expiring THEN 'expiring' ELSE 'due' END"
)
_CHANNEL_JOINS = (
    "LEFT JOIN acts a ON a.act_id = x.last_act"
    " LEFT JOIN records v ON v.record_id = x.last_act AND jsonb_typeof(v.payload -> 'visit') = 'object'"
)
_KEYS = {
    "area": "s.area",
    "scheme": "x.scheme",
    "state": _STATE,
    "age": _band("s.birth_date", "CAST(:today AS date)"),
    "channel": (
        "CASE WHEN x.last_act IS NULL THEN 'none' WHEN a.act_id IS NOT NULL THEN a.channel"
        " WHEN v.record_id IS NOT NULL THEN 'home_visit' ELSE 'terminal' END"
    ),
}
_SESSION_KEYS = {
    "area": "s.area",
    "age": _band("s.birth_date", "CAST(r.event_at AT TIME ZONE :zone AS date)"),
    "sex": "coalesce(s.sex, 'unknown')",
    "device": "r.terminal_id",
    "day": "CAST(CAST(r.event_at AT TIME ZONE :zone AS date) AS text)",
}
