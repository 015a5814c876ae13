"""Life events as they were reported, as SQL."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import Connection, text

from protocol.rules.life import LifeEvent, LifeEventKind


@dataclass(frozen=True, slots=True)
class NewLifeEvent:
    """One report about somebody."""

    subject_id: str
    kind: LifeEventKind
    since: date
    until: date | None
    source: str
    """Who says so: `family`, `unit`, `village`, `staff`, `feed:<name>`."""
    source_id: str
    """Its id there; the same source and id is the same report, however often it comes."""
    confirmed: bool
    """Whether the source is one whose word is a confirmation (a feed of the body that keeps the register)."""
    reported_on: date | None = None
    """When the source learnt of it, for the report clocks (R8-1, R8-2)."""
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredLifeEvent:
    """One report with where it came from."""

    event_id: str
    subject_id: str
    event: LifeEvent
    source: str
    source_id: str
    confirmed: bool
    reported_on: date | None
    received_at: datetime
    withdrawn_at: datetime | None
    detail: dict[str, str]


def add_life_events(connection: Connection, events: Sequence[NewLifeEvent], *, now: datetime) -> dict[str, str]:
    """Store reports that are not here yet; return event id -> subject of the new ones."""
    if not events:
        return {}
    rows = connection.execute(
        text(
            "INSERT INTO life_events (event_id, subject_id, kind, since, until, source, source_id, confirmed, reported_on,"
            " received_at, detail) SELECT p.id, p.subject, p.kind, p.since, p.until, p.source, p.source_id, p.confirmed,"
            " p.reported, :now, p.detail FROM unnest(CAST(:ids AS text[]), CAST(:subjects AS text[]),"
            " CAST(:kinds AS text[]), CAST(:since AS date[]), CAST(:until AS date[]), CAST(:sources AS text[]),"
            " CAST(:source_ids AS text[]), CAST(:confirmed AS boolean[]), CAST(:reported AS date[]),"
            " CAST(:details AS jsonb[])) AS p (id, subject, kind, since, until, source, source_id, confirmed, reported, detail)"
            " ON CONFLICT DO NOTHING RETURNING event_id, subject_id"
        ),
        {
            "ids": [os.urandom(16).hex() for _ in events],
            "subjects": [event.subject_id for event in events],
            "kinds": [event.kind.value for event in events],
            "since": [event.since for event in events],
            "until": [event.until for event in events],
            "sources": [event.source for event in events],
            "source_ids": [event.source_id for event in events],
            "confirmed": [event.confirmed for event in events],
            "reported": [event.reported_on for event in events],
            "details": [json.dumps(dict(event.detail), ensure_ascii=False) for event in events],
            "now": now,
        },
    )
    return {row.event_id: row.subject_id for row in rows}


def life_events_of(
    connection: Connection, subject_ids: Sequence[str], *, with_withdrawn: bool = False
) -> dict[str, list[StoredLifeEvent]]:
    """Return the reports about these people, in order of day and id."""
    rows = connection.execute(
        text(
            "SELECT * FROM life_events WHERE subject_id = ANY(:ids) AND (:all OR withdrawn_at IS NULL)"
            " ORDER BY since, event_id"
        ),
        {"ids": list(subject_ids), "all": with_withdrawn},
    )
    found: dict[str, list[StoredLifeEvent]] = {}
    for row in rows:
        event = LifeEvent(LifeEventKind(row.kind), row.since, row.until)
        found.setdefault(row.subject_id, []).append(
            StoredLifeEvent(
                row.event_id,
                row.subject_id,
                event,
                row.source,
                row.source_id,
                row.confirmed,
                row.reported_on,
                row.received_at,
                row.withdrawn_at,
                dict(row.detail),
            )
        )
    return found


def subjects_reported(
    connection: Connection, kinds: Sequence[str], *, since: datetime, after: str, limit: int
) -> list[str]:
    """Return whom reports of these kinds are about that came or were withdrawn at or after a moment, in order of id."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT subject_id FROM life_events WHERE kind = ANY(:kinds) AND subject_id > :after"
            " AND (received_at >= :since OR withdrawn_at >= :since) ORDER BY subject_id LIMIT :limit"
        ),
        {"kinds": list(kinds), "since": since, "after": after, "limit": limit},
    )
    return list(rows.scalars())


def withdraw_life_event(connection: Connection, event_id: str, *, now: datetime) -> str | None:
    """Take a report back; return its subject, or None if there is none of this id that stands."""
    found = connection.execute(
        text(
            "UPDATE life_events SET withdrawn_at = :now WHERE event_id = :id AND withdrawn_at IS NULL RETURNING subject_id"
        ),
        {"id": event_id, "now": now},
    ).scalar_one_or_none()
    return None if found is None else str(found)


def subject_of_report(connection: Connection, event_id: str) -> str | None:
    """Return whom a report is about, withdrawn or not; None if there is none of this id."""
    found = connection.execute(
        text("SELECT subject_id FROM life_events WHERE event_id = :id"), {"id": event_id}
    ).scalar_one_or_none()
    return None if found is None else str(found)
