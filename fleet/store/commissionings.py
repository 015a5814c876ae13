"""Reports of commissionings as terminals signed them, as SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from protocol.commissioning import CommissioningReport


@dataclass(frozen=True, slots=True)
class StoredReport:
    """One report."""

    sha256: str
    received_at: datetime
    envelope: bytes
    """JWS, verified when it came."""


def add(
    connection: Connection,
    report: CommissioningReport,
    *,
    sha256: str,
    envelope: bytes,
    passed: bool,
    received_at: datetime,
) -> bool:
    """Store a report; return False for one that is there already. The terminal's row must be locked.

    Args:
        connection: where.
        report: what the envelope says.
        sha256: of the envelope.
        envelope: as the terminal signed it.
        passed: whether the fleet takes the terminal as commissioned by it.
        received_at: when it came.
    """
    values = {
        "sha256": sha256,
        "terminal": report.terminal_id,
        "finished": report.finished_at,
        "received": received_at,
        "passed": passed,
        "envelope": envelope,
    }
    is_new = connection.execute(
        text(
            "INSERT INTO terminal_commissionings (sha256, terminal_id, finished_at, received_at, passed, envelope)"
            " VALUES (:sha256, :terminal, :finished, :received, :passed, :envelope) ON CONFLICT DO NOTHING RETURNING 1"
        ),
        values,
    ).scalar_one_or_none()
    if is_new is None:
        return False
    # A report that comes late, after a newer one, changes nothing.
    connection.execute(
        text(
            "UPDATE terminals SET commissioned_at = :finished, commissioning_passed = :passed"
            " WHERE terminal_id = :terminal AND (commissioned_at IS NULL OR commissioned_at <= :finished)"
        ),
        values,
    )
    return True


def reports_of(connection: Connection, terminal_id: str, *, limit: int) -> list[StoredReport]:
    """Return a terminal's reports, the newest first."""
    rows = connection.execute(
        text(
            "SELECT sha256, received_at, envelope FROM terminal_commissionings WHERE terminal_id = :id"
            " ORDER BY finished_at DESC, sha256 LIMIT :limit"
        ),
        {"id": terminal_id, "limit": limit},
    )
    return [StoredReport(row.sha256, row.received_at, bytes(row.envelope)) for row in rows]
