"""Where a person stands, as SQL: a few rows by key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class ObligationRow:
    """What one pack asks of one benefit next."""

    scheme: str
    pack_id: str
    pack_version: int
    last_day: date | None
    opens: date
    asked: date
    expiring: date
    due: date
    overdue: date
    stop_from: date


@dataclass(frozen=True, slots=True)
class BenefitStateRow:
    """The state of one benefit."""

    scheme: str
    state: str
    stopped_from: date | None
    is_frozen: bool


def obligations_of(connection: Connection, subject_id: str) -> list[ObligationRow]:
    """Return what is asked of somebody, the strictest first (`protocol.rules.obligations.strictest`)."""
    rows = connection.execute(
        text(
            "SELECT scheme, pack_id, pack_version, last_day, opens, asked, expiring, due, overdue, stop_from FROM obligations"
            " WHERE subject_id = :id ORDER BY due, stop_from, pack_id, scheme"
        ),
        {"id": subject_id},
    )
    return [ObligationRow(*row) for row in rows]


def benefit_states_of(connection: Connection, subject_id: str, today: date) -> list[BenefitStateRow]:
    """Return the state of each of somebody's benefits; one to which nothing ever happened is paid until the day its list ends it."""
    rows = connection.execute(
        text(
            "SELECT b.scheme, CASE WHEN b.ended < :today THEN 'ended' ELSE coalesce(f.state, 'paying') END AS state,"
            " coalesce(f.stopped_from, CASE WHEN b.ended < :today THEN"
            " CAST(date_trunc('month', b.ended) + interval '1 month' AS date) END) AS stopped_from,"
            " coalesce(cardinality(f.frozen_by) > 0, false) AS is_frozen"
            " FROM benefits b LEFT JOIN benefit_files f USING (subject_id, scheme) WHERE b.subject_id = :id ORDER BY b.scheme"
        ),
        {"id": subject_id, "today": today},
    )
    return [BenefitStateRow(*row) for row in rows]


def open_cases_of(connection: Connection, subject_id: str) -> int:
    """Return how many cases about somebody wait for a decision."""
    found = connection.execute(
        text(
            "SELECT (SELECT count(*) FROM cases WHERE subject_id = :id AND state NOT IN ('passed', 'refused', 'closed'))"
            " + (SELECT count(*) FROM i_am_here WHERE subject_id = :id AND resolved_at IS NULL)"
        ),
        {"id": subject_id},
    )
    return int(found.scalar_one())
