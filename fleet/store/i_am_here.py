"""Live passes that contradict a report of death, absence or prison, as SQL."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, text

Resolution = Literal["alive", "report_stands"]


@dataclass(frozen=True, slots=True)
class HereCase:
    """One such pass, and what was decided."""

    case_id: str
    subject_id: str
    record_id: str
    """Of the pass."""
    event_ids: list[str]
    """Of the reports that it contradicts."""
    opened_at: datetime
    resolved_at: datetime | None
    resolution: Resolution | None


def open_contradictions(
    connection: Connection, subject_ids: Collection[str], kinds: Collection[str], *, flag: str, now: datetime
) -> list[HereCase]:
    """Open a case for the earliest pass of each of these people that a report holds and nobody decided about; return the new ones.

    Whoever has an open case gets no second one, and a decision that the report stands holds for all passes that were here by then. A pass
    of a broken chain or under another claim is none.

    Args:
        connection: a transaction in which the subjects are locked.
        subject_ids: whom to look at.
        kinds: of the reports.
        flag: what judging gives such a pass.
        now: when.
    """
    rows = connection.execute(
        text(
            "SELECT DISTINCT ON (r.subject_id) r.subject_id, r.record_id,"
            " ARRAY(SELECT e.event_id FROM life_events e WHERE e.subject_id = r.subject_id AND e.withdrawn_at IS NULL"
            "  AND e.kind = ANY(:kinds) ORDER BY e.since, e.event_id) AS event_ids"
            " FROM records r JOIN links k ON k.record_id = r.record_id JOIN subjects s ON s.subject_id = r.subject_id"
            " WHERE r.subject_id = ANY(:ids) AND jsonb_exists(r.flags, :flag) AND k.chain <> 'broken'"
            " AND r.claim_token = s.claim_token"
            " AND NOT EXISTS (SELECT 1 FROM i_am_here h WHERE h.subject_id = r.subject_id AND (h.resolved_at IS NULL"
            "  OR (h.resolution = 'report_stands' AND r.received_at <= h.resolved_at)))"
            " ORDER BY r.subject_id, r.event_at, r.record_id"
        ),
        {"ids": sorted(subject_ids), "kinds": sorted(kinds), "flag": flag},
    ).all()
    made = [
        HereCase(os.urandom(16).hex(), row.subject_id, row.record_id, list(row.event_ids), now, None, None)
        for row in rows
    ]
    if made:
        connection.execute(
            text(
                "INSERT INTO i_am_here (case_id, subject_id, record_id, event_ids, opened_at)"
                " VALUES (:case, :subject, :record, :events, :now)"
            ),
            [
                {
                    "case": each.case_id,
                    "subject": each.subject_id,
                    "record": each.record_id,
                    "events": each.event_ids,
                    "now": now,
                }
                for each in made
            ],
        )
    return made


def open_case_of(connection: Connection, subject_id: str) -> HereCase | None:
    """Return somebody's open case."""
    row = connection.execute(
        text(_SELECT + " WHERE subject_id = :id AND resolved_at IS NULL"), {"id": subject_id}
    ).one_or_none()
    return None if row is None else HereCase(*row)


def here_cases(connection: Connection, *, is_open_only: bool, limit: int) -> list[HereCase]:
    """Return cases, the oldest first."""
    rows = connection.execute(
        text(_SELECT + " WHERE NOT :open OR resolved_at IS NULL ORDER BY opened_at, case_id LIMIT :limit"),
        {"open": is_open_only, "limit": limit},
    )
    return [HereCase(*row) for row in rows]


def resolve_case(connection: Connection, case_id: str, resolution: Resolution, *, now: datetime) -> None:
    """Note what was decided."""
    connection.execute(
        text(
            "UPDATE i_am_here SET resolved_at = :now, resolution = :resolution WHERE case_id = :id AND resolved_at IS NULL"
        ),
        {"id": case_id, "resolution": resolution, "now": now},
    )


def pass_moment(connection: Connection, record_id: str) -> datetime | None:
    """Return when the pass of a record was."""
    found = connection.execute(
        text("SELECT event_at FROM records WHERE record_id = :id"), {"id": record_id}
    ).scalar_one_or_none()
    return found if isinstance(found, datetime) else None


_SELECT = "SELECT case_id, subject_id, record_id, event_ids, opened_at, resolved_at, resolution FROM i_am_here"
