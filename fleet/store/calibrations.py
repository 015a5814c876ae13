"""Proposed thresholds, their approvals, and the references they are found from, as SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text

from fleet.store.names import SealedName


@dataclass(frozen=True, slots=True)
class Population:
    """References that can be compared with one another."""

    model_sha256: str
    key_domain: str
    people: int


@dataclass(frozen=True, slots=True)
class StoredCalibration:
    """A proposal as it was stored."""

    calibration_id: str
    proposed_at: datetime
    network: str
    proposal: dict[str, object]
    thresholds: dict[str, object]
    """What approval puts in force for the network."""
    approvals: int
    policy_version: str | None
    """The policy it was signed into; None as long as approvals are missing."""


def populations(connection: Connection, *, area: str | None, today: date) -> list[Population]:
    """Return how many people have usable references, by network and key domain, most people first."""
    rows = connection.execute(
        text(
            f"SELECT r.model_sha256, r.key_domain, count(DISTINCT r.subject_id) AS people {_USABLE}"
            " GROUP BY r.model_sha256, r.key_domain ORDER BY people DESC, r.model_sha256, r.key_domain"
        ),
        {"area": area, "today": today},
    )
    return [Population(*row) for row in rows]


def features_of(
    connection: Connection, population: Population, *, area: str | None, today: date, limit: int
) -> list[bytes]:
    """Return the protected features of the newest reference of each person, of so many people at most.

    Who is taken follows from the random reference ids: no order of enrolment, no area comes first.
    """
    rows = connection.execute(
        text(
            "SELECT features FROM ("  # noqa: S608 - fixed fragments
            f"SELECT DISTINCT ON (r.subject_id) r.features, r.reference_id {_USABLE}"
            " AND r.model_sha256 = :model AND r.key_domain = :domain"
            " ORDER BY r.subject_id, r.captured_at DESC, r.reference_id) newest ORDER BY reference_id LIMIT :limit"
        ),
        {
            "area": area,
            "today": today,
            "model": population.model_sha256,
            "domain": population.key_domain,
            "limit": limit,
        },
    )
    return [bytes(features) for features in rows.scalars()]


def add_calibration(
    connection: Connection,
    calibration_id: str,
    *,
    network: str,
    proposal: str,
    thresholds: str,
    proposer_sealed: bytes,
    now: datetime,
) -> None:
    """Store a proposal and the thresholds that approval puts in force, both JSON."""
    connection.execute(
        text(
            "INSERT INTO calibrations (calibration_id, proposed_at, proposer_sealed, network, proposal, thresholds)"
            " VALUES (:id, :now, :proposer, :network, CAST(:proposal AS jsonb), CAST(:thresholds AS jsonb))"
        ),
        {
            "id": calibration_id,
            "now": now,
            "proposer": proposer_sealed,
            "network": network,
            "proposal": proposal,
            "thresholds": thresholds,
        },
    )


def lock_calibrations(connection: Connection, beginning: str) -> None:
    """Keep everybody else from approving the proposals whose id begins so until this transaction ends."""
    connection.execute(
        text(
            "SELECT 1 FROM calibrations WHERE starts_with(calibration_id, :beginning) ORDER BY calibration_id FOR UPDATE"
        ),
        {"beginning": beginning},
    )


def find_calibrations(connection: Connection, beginning: str) -> list[StoredCalibration]:
    """Return the proposals whose id begins so, two at most."""
    rows = connection.execute(
        text(
            "SELECT calibration_id, proposed_at, network, proposal, thresholds, (SELECT count(*)"
            " FROM calibration_approvals a WHERE a.calibration_id = c.calibration_id), policy_version FROM calibrations c"
            " WHERE starts_with(calibration_id, :beginning) ORDER BY calibration_id LIMIT 2"
        ),
        {"beginning": beginning},
    )
    return [StoredCalibration(*row) for row in rows]


def newest_calibrations(connection: Connection, *, limit: int) -> list[StoredCalibration]:
    """Return proposals, the newest first."""
    rows = connection.execute(
        text(
            "SELECT calibration_id, proposed_at, network, proposal, thresholds, (SELECT count(*)"
            " FROM calibration_approvals a WHERE a.calibration_id = c.calibration_id), policy_version FROM calibrations c"
            " ORDER BY proposed_at DESC, calibration_id LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [StoredCalibration(*row) for row in rows]


def has_approved(connection: Connection, calibration_id: str, name_hash: bytes) -> bool:
    """Return whether this person's approval is stored."""
    return (
        connection.execute(
            text("SELECT 1 FROM calibration_approvals WHERE calibration_id = :id AND name_hash = :hash"),
            {"id": calibration_id, "hash": name_hash},
        ).one_or_none()
        is not None
    )


def approved_by(connection: Connection, calibration_id: str) -> list[str | None]:
    """Return the accounts of the approvals that are stored; None for one that was given on the command line."""
    rows = connection.execute(
        text("SELECT account_id FROM calibration_approvals WHERE calibration_id = :id"), {"id": calibration_id}
    )
    return list(rows.scalars())


def add_approval(connection: Connection, calibration_id: str, *, place: int, name: SealedName, now: datetime) -> None:
    """Store one approval, the first or the second."""
    connection.execute(
        text(
            "INSERT INTO calibration_approvals (calibration_id, place, name_hash, name_sealed, name_source, approved_at, account_id)"
            " VALUES (:id, :place, :hash, :name, :source, :now, :account)"
        ),
        {
            "id": calibration_id,
            "place": place,
            "hash": name.digest,
            "name": name.sealed,
            "source": name.source,
            "now": now,
            "account": name.account_id,
        },
    )


def set_policy(connection: Connection, calibration_id: str, policy_version: str) -> None:
    """Note the policy a proposal was signed into."""
    connection.execute(
        text("UPDATE calibrations SET policy_version = :version WHERE calibration_id = :id"),
        {"id": calibration_id, "version": policy_version},
    )


_USABLE = (
    "FROM references_ r JOIN subjects s USING (subject_id)"
    " WHERE r.withdrawn_at IS NULL AND r.state = 'active' AND r.valid_until >= :today AND (CAST(:area AS text) IS NULL OR s.area = :area)"
)
