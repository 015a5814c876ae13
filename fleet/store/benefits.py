"""What happened to benefits, and the files that follow from it, as SQL. Knows columns, not what events mean: that is `fleet.benefits`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

LOSS_OVER = (
    "coalesce(e.until, (SELECT min(l.since) FROM life_events l WHERE e.kind = 'sentence' AND l.subject_id = e.subject_id"
    " AND l.kind = 'release' AND l.withdrawn_at IS NULL AND l.since > e.since))"
)
"""SQL: when the loss of a report `e` was over, as `fleet.admission.releases` says it."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event as it is stored."""

    subject_id: str
    scheme: str
    number: int
    """Its place among the events of the benefit, from 1."""
    kind: str
    day: date
    body: dict[str, Any]
    text_sealed: bytes | None
    """What a person wrote with it, encrypted."""
    at: datetime


@dataclass(frozen=True, slots=True)
class FileRow:
    """What follows from a benefit's events."""

    subject_id: str
    scheme: str
    state: str
    standing: str
    stopped_from: date | None
    stop_id: str | None
    """Of the stop that is proposed, or of the one that was carried out."""
    reason: str | None
    effect: str | None
    basis: str | None
    from_month: date | None
    proposed_on: date | None
    steps: int
    missing: list[str]
    approvals: int
    frozen_by: list[str]
    answered: list[str]
    recoveries: int
    open_recoveries: list[str]
    events: int


@dataclass(frozen=True, slots=True)
class DueStop:
    """An obligation that was not met, and lets a stop be proposed."""

    subject_id: str
    scheme: str
    pack_id: str
    pack_version: int
    due: date
    stop_from: date


@dataclass(frozen=True, slots=True)
class LossReport:
    """A confirmed report of a loss for a benefit that is still paid."""

    subject_id: str
    scheme: str
    event_id: str
    kind: str
    since: date


def add_events(connection: Connection, rows: Sequence[EventRow]) -> None:
    """Store events; their numbers must be the next ones."""
    connection.execute(
        text(
            "INSERT INTO benefit_events (subject_id, scheme, number, kind, day, body, text_sealed, at)"
            " VALUES (:subject_id, :scheme, :number, :kind, :day, CAST(:body AS jsonb), :text_sealed, :at)"
        ),
        [{**asdict(row), "body": json.dumps(row.body, ensure_ascii=False)} for row in rows],
    )


def events_of(connection: Connection, subject_ids: Sequence[str], scheme: str | None = None) -> list[EventRow]:
    """Return the events of these people's benefits, or of one scheme, in order of subject, scheme and number."""
    rows = connection.execute(
        text(
            "SELECT subject_id, scheme, number, kind, day, body, text_sealed, at FROM benefit_events"
            " WHERE subject_id = ANY(:ids) AND (CAST(:scheme AS text) IS NULL OR scheme = :scheme)"
            " ORDER BY subject_id, scheme, number"
        ),
        {"ids": list(subject_ids), "scheme": scheme},
    )
    return [
        EventRow(
            row.subject_id,
            row.scheme,
            row.number,
            row.kind,
            row.day,
            row.body,
            None if row.text_sealed is None else bytes(row.text_sealed),
            row.at,
        )
        for row in rows
    ]


def save_files(connection: Connection, files: Sequence[FileRow]) -> None:
    """Store what follows from the events, in place of what did before."""
    if not files:
        return
    names = list(FileRow.__dataclass_fields__)
    updates = ", ".join(f"{name} = EXCLUDED.{name}" for name in names[2:])
    connection.execute(
        text(
            f"INSERT INTO benefit_files ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"  # noqa: S608 - our own names
            f" ON CONFLICT (subject_id, scheme) DO UPDATE SET {updates}"
        ),
        [asdict(file) for file in files],
    )


def delete_files(connection: Connection, subject_ids: Sequence[str]) -> None:
    """Delete what followed from the events of these people, to be worked out anew."""
    connection.execute(text("DELETE FROM benefit_files WHERE subject_id = ANY(:ids)"), {"ids": list(subject_ids)})


def files_of(connection: Connection, subject_id: str) -> list[FileRow]:
    """Return the files of one person's benefits, by scheme."""
    return _files(connection, "WHERE subject_id = :id ORDER BY scheme", {"id": subject_id})


def find_file(connection: Connection, stop_id: str) -> FileRow | None:
    """Return the file with a stop that is proposed or carried out."""
    found = _files(connection, "WHERE stop_id = :id", {"id": stop_id})
    return found[0] if found else None


def find_recovery(connection: Connection, recovery_id: str) -> FileRow | None:
    """Return the file with an open recovery."""
    found = _files(connection, "WHERE open_recoveries @> ARRAY[CAST(:id AS text)]", {"id": recovery_id})
    return found[0] if found else None


def proposed_for(connection: Connection, reasons: Sequence[str], *, after: str, limit: int) -> list[str]:
    """Return people with a stop that is proposed for one of these reasons, by id, those after one."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT subject_id FROM benefit_files WHERE state IN ('pause_proposed', 'end_proposed')"
            " AND reason = ANY(:reasons) AND subject_id > :after ORDER BY subject_id LIMIT :limit"
        ),
        {"reasons": list(reasons), "after": after, "limit": limit},
    )
    return [str(found) for found in rows.scalars()]


def files_in(connection: Connection, states: Sequence[str], *, today: date, limit: int) -> list[FileRow]:
    """Return files in these states, those that were proposed first first; none of a benefit that its list has ended counts as paid."""
    return _files(
        connection,
        "f WHERE state = ANY(:states) AND (state <> 'paying' OR NOT EXISTS (SELECT 1 FROM benefits b"
        " WHERE b.subject_id = f.subject_id AND b.scheme = f.scheme AND b.ended < :today))"
        " ORDER BY proposed_on, subject_id, scheme LIMIT :limit",
        {"states": list(states), "today": today, "limit": limit},
    )


def schemes_of(connection: Connection, subject_id: str) -> list[str]:
    """Return the schemes from which somebody has a benefit."""
    rows = connection.execute(
        text("SELECT scheme FROM benefits WHERE subject_id = :id ORDER BY scheme"), {"id": subject_id}
    )
    return [str(found) for found in rows.scalars()]


def listed_facts(connection: Connection, subject_id: str, scheme: str) -> dict[str, str | None] | None:
    """Return what the lists say of somebody and one benefit, field by field; None if there is no such benefit."""
    row = (
        connection.execute(
            text(
                "SELECT s.birth_date::text AS birth_date, s.sex, s.area, b.region, b.category, b.started::text AS started"
                " FROM subjects s JOIN benefits b USING (subject_id) WHERE s.subject_id = :id AND b.scheme = :scheme"
            ),
            {"id": subject_id, "scheme": scheme},
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else dict(row)


def subjects_with_events(connection: Connection, *, after: str, limit: int) -> list[str]:
    """Return people to whose benefits something happened, by id, those after one."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT subject_id FROM benefit_events JOIN subjects USING (subject_id) WHERE subject_id > :after"
            " ORDER BY subject_id LIMIT :limit"
        ),
        {"after": after, "limit": limit},
    )
    return [str(found) for found in rows.scalars()]


def due_stops(connection: Connection, *, today: date, limit: int) -> list[DueStop]:
    """Return for benefits that are paid, and for which no stop is proposed, the obligation whose stop day was first.

    Left out are benefits that a case holds up, and a stop day that was answered before.
    """
    rows = connection.execute(
        text(
            "SELECT DISTINCT ON (o.subject_id, o.scheme) o.subject_id, o.scheme, o.pack_id, o.pack_version, o.due, o.stop_from"
            " FROM obligations o JOIN benefits b USING (subject_id, scheme) LEFT JOIN benefit_files f USING (subject_id, scheme)"
            " WHERE o.stop_from <= :today AND (b.ended IS NULL OR b.ended >= :today)"
            " AND (f.subject_id IS NULL OR (f.state = 'paying' AND f.frozen_by = '{}'"
            " AND NOT o.pack_id || '/' || o.pack_version || '/' || o.stop_from = ANY(f.answered)))"
            " ORDER BY o.subject_id, o.scheme, o.stop_from, o.pack_id LIMIT :limit"
        ),
        {"today": today, "limit": limit},
    )
    return [DueStop(*row) for row in rows]


def loss_reports(
    connection: Connection, *, ending: Sequence[str], suspending: Sequence[str], today: date, limit: int
) -> list[LossReport]:
    """Return confirmed reports that stand today and that no stop of the benefit is about yet; of several, the earliest.

    An end is due as long as the benefit has not ended, and no end is proposed; a pause as long as it is paid and nothing is proposed.
    """
    rows = connection.execute(
        text(
            "SELECT DISTINCT ON (e.subject_id, b.scheme) e.subject_id, b.scheme, e.event_id, e.kind, e.since"  # noqa: S608 - our own text
            " FROM life_events e JOIN benefits b USING (subject_id) LEFT JOIN benefit_files f USING (subject_id, scheme)"
            f" WHERE e.withdrawn_at IS NULL AND e.confirmed AND e.since <= :today AND coalesce({LOSS_OVER} > :today, true)"
            " AND (f.subject_id IS NULL OR (f.frozen_by = '{}' AND NOT e.event_id = ANY(f.answered)"
            " AND ((e.kind = ANY(:ending) AND f.state IN ('paying', 'paused', 'pause_proposed'))"
            "  OR (e.kind = ANY(:suspending) AND f.state IN ('paying')))))"
            " AND e.kind = ANY(:kinds) AND (b.ended IS NULL OR b.ended >= :today)"
            " ORDER BY e.subject_id, b.scheme, e.kind = ANY(:ending) DESC, e.since, e.event_id LIMIT :limit"
        ),
        {
            "ending": list(ending),
            "suspending": list(suspending),
            "kinds": [*ending, *suspending],
            "today": today,
            "limit": limit,
        },
    )
    return [LossReport(*row) for row in rows]


def baseless(connection: Connection, *, today: date, limit: int) -> list[FileRow]:
    """Return files with a stop that is proposed for what no longer holds: the person came, or the report was withdrawn or is over."""
    return _files(
        connection,
        "f WHERE state IN ('pause_proposed', 'end_proposed') AND ((reason = 'overdue' AND NOT EXISTS"  # noqa: S608 - our own text
        " (SELECT 1 FROM obligations o"
        " WHERE o.subject_id = f.subject_id AND o.scheme = f.scheme AND o.stop_from <= :today))"
        " OR EXISTS (SELECT 1 FROM life_events e WHERE e.event_id = f.basis"
        f" AND (e.withdrawn_at IS NOT NULL OR {LOSS_OVER} <= :today))) ORDER BY subject_id, scheme LIMIT :limit",
        {"today": today, "limit": limit},
    )


def is_stop_due(connection: Connection, subject_id: str, scheme: str, *, today: date) -> bool:
    """Return whether some pack still lets a stop of this benefit be proposed."""
    found = connection.execute(
        text(
            "SELECT EXISTS (SELECT 1 FROM obligations WHERE subject_id = :id AND scheme = :scheme AND stop_from <= :today)"
        ),
        {"id": subject_id, "scheme": scheme, "today": today},
    )
    return bool(found.scalar_one())


def last_act(connection: Connection, subject_id: str, scheme: str) -> tuple[str, date] | None:
    """Return id and day of the act that counted last for a benefit."""
    row = connection.execute(
        text(
            "SELECT last_act, last_day FROM obligations WHERE subject_id = :id AND scheme = :scheme AND last_act IS NOT NULL"
            " ORDER BY last_day DESC, last_act LIMIT 1"
        ),
        {"id": subject_id, "scheme": scheme},
    ).one_or_none()
    return None if row is None else (row.last_act, row.last_day)


def report_holds(connection: Connection, event_id: str, *, today: date) -> bool | None:
    """Return whether a life event stands and is not over on a day; None if there is none of this id."""
    row = connection.execute(
        text(
            f"SELECT e.withdrawn_at IS NULL AND coalesce({LOSS_OVER} > :today, true) AS holds"  # noqa: S608 - our own text
            " FROM life_events e WHERE e.event_id = :id"
        ),
        {"id": event_id, "today": today},
    ).one_or_none()
    return None if row is None else bool(row.holds)


def last_trace(connection: Connection, subject_id: str) -> datetime | None:
    """Return when anything was last heard of somebody: a record of whatever outcome, or an act."""
    found = connection.execute(
        text(
            "SELECT max(at) FROM (SELECT max(event_at) AS at FROM records WHERE subject_id = :id"
            " UNION ALL SELECT max(acted_at) FROM acts WHERE subject_id = :id AND withdrawn_at IS NULL) AS traces"
        ),
        {"id": subject_id},
    ).scalar_one()
    return found if isinstance(found, datetime) else None


def paused_before(connection: Connection, month: date, *, after: tuple[str, str], limit: int) -> list[FileRow]:
    """Return paused benefits whose first unpaid month was before one, and for which nothing is claimed back yet; those after one."""
    return _files(
        connection,
        "WHERE standing = 'paused' AND stopped_from < :month AND recoveries = 0 AND (subject_id, scheme) > (:subject, :scheme)"
        " ORDER BY subject_id, scheme LIMIT :limit",
        {"month": month, "subject": after[0], "scheme": after[1], "limit": limit},
    )


def _files(connection: Connection, where: str, values: dict[str, Any]) -> list[FileRow]:
    names = ", ".join(FileRow.__dataclass_fields__)
    rows = connection.execute(text(f"SELECT {names} FROM benefit_files {where}"), values)  # noqa: S608 - our own names
    return [FileRow(*row) for row in rows]
