"""Signed policies, as SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from fleet.store.database import notify
from fleet.store.names import SealedName
from protocol.policy import Policy

POLICY_CHANNEL = "lifecert_policy"
"""Notified when every terminal is to get the newest policy, or with the id of the one that is."""


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A policy and the signed bytes in which it goes out."""

    policy: Policy
    envelope: bytes


def add_policy(connection: Connection, policy: Policy, *, sha256: str, envelope: bytes, now: datetime) -> None:
    """Store a new policy."""
    connection.execute(
        text(
            "INSERT INTO policies (policy_version, payload, sha256, envelope, issued_at, published_at)"
            " VALUES (:version, CAST(:payload AS jsonb), :sha256, :envelope, :issued_at, :now)"
        ),
        {
            "version": policy.policy_version,
            "payload": policy.to_bytes().decode(),
            "sha256": sha256,
            "envelope": envelope,
            "issued_at": policy.issued_at,
            "now": now,
        },
    )
    notify(connection, POLICY_CHANNEL)


def add_approval(connection: Connection, policy_version: str, *, place: int, name: SealedName, now: datetime) -> None:
    """Store who approved a policy, the first or the second."""
    connection.execute(
        text(
            "INSERT INTO policy_approvals (policy_version, place, name_hash, name_sealed, name_source, approved_at)"
            " VALUES (:version, :place, :hash, :name, :source, :now)"
        ),
        {
            "version": policy_version,
            "place": place,
            "hash": name.digest,
            "name": name.sealed,
            "source": name.source,
            "now": now,
        },
    )


def find_policies(connection: Connection, versions: set[str]) -> dict[str, Policy]:
    """Return the policies with these versions."""
    rows = connection.execute(
        text("SELECT policy_version, payload FROM policies WHERE policy_version = ANY(:versions)"),
        {"versions": sorted(versions)},
    )
    return {row.policy_version: Policy.model_validate(row.payload) for row in rows}


def newest_policy(connection: Connection) -> StoredPolicy | None:
    """Return the policy in force: the one issued last."""
    row = connection.execute(
        text("SELECT payload, envelope FROM policies ORDER BY issued_at DESC, policy_version DESC LIMIT 1")
    ).one_or_none()
    return StoredPolicy(Policy.model_validate(row.payload), bytes(row.envelope)) if row else None
