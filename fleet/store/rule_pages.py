"""What the pages of rules count: people of a pack, days to come, terminals that lag behind, policies and thresholds; as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from fleet.store.calibrations import StoredCalibration
from fleet.store.subject_areas import unless_everybody


@dataclass(frozen=True, slots=True)
class Lagging:
    """A terminal in service that was not heard of since something came into force, or reports something older."""

    terminal_id: str
    area: str
    heard_at: datetime | None
    policy_version: str | None


@dataclass(frozen=True, slots=True)
class IssuedPolicy:
    """A policy that was in force, or is."""

    policy_version: str
    issued_at: datetime
    approvals: int


def people_by_pack(connection: Connection, within: Sequence[str] | None) -> dict[tuple[str, int], int]:
    """Return how many people each version of a pack asks something of, of those who live in some areas."""
    within = unless_everybody(connection, within)
    area = "" if within is None else "JOIN subjects s USING (subject_id) WHERE s.area = ANY(:within)"
    rows = connection.execute(
        text(
            "SELECT pack_id, pack_version, count(*) AS people FROM (SELECT DISTINCT o.pack_id, o.pack_version, o.subject_id"  # noqa: S608 - our own text
            f" FROM obligations o {area}) each GROUP BY 1, 2"
        ),
        _within(within),
    )
    return {(row.pack_id, row.pack_version): row.people for row in rows}


def days_to_come(
    connection: Connection, what: str, first: date, last: date, within: Sequence[str] | None
) -> dict[date, int]:
    """Return for how many people a day is their last one, or the one from which a stop may be proposed.

    Args:
        connection: where to read.
        what: `due` or `stop_from`.
        first: the first day that is counted.
        last: the last one.
        within: areas in which they live; None for all.

    Raises:
        KeyError: for another word.
    """
    column = {"due": "due", "stop_from": "stop_from"}[what]
    within = unless_everybody(connection, within)
    area = "" if within is None else "JOIN subjects s USING (subject_id)"
    rows = connection.execute(
        text(
            f"SELECT t.{column} AS day, count(*) AS people FROM statuses t {area} WHERE t.{column} BETWEEN :first AND :last"  # noqa: S608 - our own fragments
            f" {'' if within is None else 'AND s.area = ANY(:within)'} GROUP BY 1 ORDER BY 1"
        ),
        {"first": first, "last": last, **_within(within)},
    )
    return {row.day: row.people for row in rows}


def reminders_waiting(connection: Connection, within: Sequence[str] | None) -> list[tuple[str, str, int]]:
    """Return kind and step of the reminders that wait to be sent or made, with how many there are."""
    within = unless_everybody(connection, within)
    area = "" if within is None else "JOIN subjects s USING (subject_id)"
    rows = connection.execute(
        text(
            f"SELECT r.kind, r.step, count(*) AS many FROM reminders r {area} WHERE r.state = 'pending'"  # noqa: S608 - our own text
            f" {'' if within is None else 'AND s.area = ANY(:within)'} GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        _within(within),
    )
    return [(row.kind, row.step, row.many) for row in rows]


def terminals_not_heard(
    connection: Connection, since: datetime, within: Sequence[str] | None, *, limit: int
) -> list[Lagging]:
    """Return terminals in service that were not heard of since a moment, by id: they cannot have what was sent then."""
    return _lagging(
        connection, "(t.presence_received_at IS NULL OR t.presence_received_at < :since)", within, limit, since=since
    )


def terminals_without_policy(
    connection: Connection, policy_version: str, within: Sequence[str] | None, *, limit: int
) -> list[Lagging]:
    """Return terminals in service that report another policy, or none yet, by id."""
    return _lagging(connection, "t.policy_version IS DISTINCT FROM :policy", within, limit, policy=policy_version)


def terminals_by_policy(connection: Connection, within: Sequence[str] | None) -> dict[str, int]:
    """Return how many terminals in service report each policy; empty for those that report none."""
    rows = connection.execute(
        text(
            "SELECT coalesce(policy_version, '') AS policy, count(*) AS terminals FROM terminals WHERE retired_at IS NULL"
            " AND (CAST(:within AS text[]) IS NULL OR area = ANY(:within)) GROUP BY 1"
        ),
        _within(within),
    )
    return {row.policy: row.terminals for row in rows}


def issued_policies(connection: Connection, *, limit: int) -> list[IssuedPolicy]:
    """Return the policies, the one issued last first."""
    rows = connection.execute(
        text(
            "SELECT policy_version, issued_at, (SELECT count(*) FROM policy_approvals a"
            " WHERE a.policy_version = p.policy_version) AS approvals FROM policies p"
            " ORDER BY issued_at DESC, policy_version DESC LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [IssuedPolicy(*row) for row in rows]


def calibrations(connection: Connection, *, limit: int) -> list[StoredCalibration]:
    """Return proposed thresholds, the last ones first."""
    rows = connection.execute(
        text(
            "SELECT calibration_id, proposed_at, network, proposal, thresholds, (SELECT count(*)"
            " FROM calibration_approvals a WHERE a.calibration_id = c.calibration_id), policy_version FROM calibrations c"
            " ORDER BY proposed_at DESC, calibration_id LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [StoredCalibration(*row) for row in rows]


def calibration_names(connection: Connection, calibration_id: str) -> tuple[bytes, list[tuple[bytes, datetime]]]:
    """Return who proposed thresholds, and who approved them when; all sealed."""
    proposer = connection.execute(
        text("SELECT proposer_sealed FROM calibrations WHERE calibration_id = :id"), {"id": calibration_id}
    ).scalar_one()
    rows = connection.execute(
        text("SELECT name_sealed, approved_at FROM calibration_approvals WHERE calibration_id = :id ORDER BY place"),
        {"id": calibration_id},
    )
    return bytes(proposer), [(bytes(row.name_sealed), row.approved_at) for row in rows]


def _lagging(
    connection: Connection, which: str, within: Sequence[str] | None, limit: int, **values: Any
) -> list[Lagging]:
    rows = connection.execute(
        text(
            "SELECT t.terminal_id, t.area, t.presence_received_at, t.policy_version FROM terminals t"  # noqa: S608 - our own text
            f" WHERE t.retired_at IS NULL AND {which}"
            " AND (CAST(:within AS text[]) IS NULL OR t.area = ANY(:within)) ORDER BY t.terminal_id LIMIT :limit"
        ),
        {"limit": limit, **_within(within), **values},
    )
    return [Lagging(*row) for row in rows]


def _within(within: Sequence[str] | None) -> dict[str, Any]:
    return {"within": None if within is None else list(within)}
