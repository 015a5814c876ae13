"""Passes that contradict a report of death, absence or prison, as SQL."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, text

Resolution = Literal["alive", "report_stands"]


@dataclass(frozen=True, slots=True)
class LaterAct:
    """An act of somebody about whom a report stands."""

    subject_id: str
    act_id: str
    acted_at: datetime


@dataclass(frozen=True, slots=True)
class HereCase:
    """One such pass, and what was decided."""

    case_id: str
    subject_id: str
    pass_id: str
    """Of the record, or the act, that is the pass."""
    event_ids: list[str]
    """Of the reports that it contradicts."""
    opened_at: datetime
    resolved_at: datetime | None
    resolution: Resolution | None


def acts_of_reported(
    connection: Connection, subject_ids: Collection[str], kinds: Collection[str], *, acts: Collection[str]
) -> list[LaterAct]:
    """Return acts of some kinds of those of these people about whom a report of some kinds stands, whenever either was."""
    rows = connection.execute(
        text(
            "SELECT a.subject_id, a.act_id, a.acted_at FROM acts a WHERE a.subject_id = ANY(:ids) AND a.withdrawn_at IS NULL"
            " AND a.kind = ANY(:acts) AND EXISTS (SELECT 1 FROM life_events e WHERE e.subject_id = a.subject_id"
            " AND e.withdrawn_at IS NULL AND e.kind = ANY(:kinds))"
        ),
        {"ids": sorted(subject_ids), "acts": sorted(acts), "kinds": sorted(kinds)},
    )
    return [LaterAct(*row) for row in rows]


def open_contradictions(
    connection: Connection,
    subject_ids: Collection[str],
    kinds: Collection[str],
    *,
    flag: str,
    act_ids: Collection[str],
    now: datetime,
) -> list[HereCase]:
    """Open a case for each of these people with a pass against which a report stands and nobody has decided; return the new ones.

    A pass is a record that judging held by a report, or one of some acts; the earliest is named. Whoever has an open case gets no second
    one, and a decision that the report stands holds for all passes that were here by then. A record of a broken chain or under another
    claim is none.

    Args:
        connection: a transaction in which the subjects are locked.
        subject_ids: whom to look at.
        kinds: of the reports.
        flag: what judging gives a record that is held by one.
        act_ids: of acts that a report contradicts.
        now: when.
    """
    rows = connection.execute(
        text(_CONTRADICTIONS),
        {
            "ids": sorted(subject_ids),
            "kinds": sorted(kinds),
            "flag": flag,
            "acts": sorted(act_ids),
        },
    ).all()
    made = [
        HereCase(os.urandom(16).hex(), row.subject_id, row.pass_id, list(row.event_ids), now, None, None)
        for row in rows
    ]
    if made:
        connection.execute(
            text(
                "INSERT INTO i_am_here (case_id, subject_id, pass_id, event_ids, opened_at)"
                " VALUES (:case, :subject, :pass, :events, :now)"
            ),
            [
                {
                    "case": each.case_id,
                    "subject": each.subject_id,
                    "pass": each.pass_id,
                    "events": each.event_ids,
                    "now": now,
                }
                for each in made
            ],
        )
    return made


def open_case_of(connection: Connection, subject_id: str, *, lock: bool = False) -> HereCase | None:
    """Return somebody's open case.

    Args:
        connection: where.
        subject_id: whose.
        lock: whether to decide it: whoever else does waits until the transaction ends. It comes before every other lock.
    """
    if lock:
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"i_am_here:{subject_id}"}
        )
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


def pass_moment(connection: Connection, pass_id: str) -> datetime | None:
    """Return when a pass was."""
    found = connection.execute(
        text(
            "SELECT event_at FROM records WHERE record_id = :id UNION ALL SELECT acted_at FROM acts WHERE act_id = :id LIMIT 1"
        ),
        {"id": pass_id},
    ).scalar_one_or_none()
    return found if isinstance(found, datetime) else None


_SELECT = "SELECT case_id, subject_id, pass_id, event_ids, opened_at, resolved_at, resolution FROM i_am_here"
_CONTRADICTIONS = """
WITH passes AS (
    SELECT r.subject_id, r.record_id AS pass_id, r.event_at AS at, r.received_at AS known_at
    FROM records r JOIN links k ON k.record_id = r.record_id JOIN subjects s ON s.subject_id = r.subject_id
    WHERE r.subject_id = ANY(:ids) AND jsonb_exists(r.flags, :flag) AND k.chain <> 'broken' AND r.claim_token = s.claim_token
    UNION ALL
    SELECT a.subject_id, a.act_id, a.acted_at, a.recorded_at FROM acts a WHERE a.act_id = ANY(:acts)
)
SELECT DISTINCT ON (p.subject_id) p.subject_id, p.pass_id, ARRAY(
    SELECT e.event_id FROM life_events e WHERE e.subject_id = p.subject_id AND e.withdrawn_at IS NULL AND e.kind = ANY(:kinds)
    ORDER BY e.since, e.event_id
) AS event_ids
FROM passes p WHERE NOT EXISTS (
    SELECT 1 FROM i_am_here h WHERE h.subject_id = p.subject_id
    AND (h.resolved_at IS NULL OR (h.resolution = 'report_stands' AND p.known_at <= h.resolved_at))
) ORDER BY p.subject_id, p.at, p.pass_id
"""
