"""Policies that are proposed at the console, as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, text

from protocol.policy import Policy


@dataclass(frozen=True, slots=True)
class StoredProposal:
    """A proposal as it was stored."""

    proposal_id: str
    policy: Policy
    proposer_sealed: bytes = field(repr=False)
    reason_sealed: bytes = field(repr=False)
    proposed_at: datetime
    policy_version: str | None
    """The policy that it became; None as long as it is not published."""
    dropped_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it waits to be published or dropped."""
        return self.policy_version is None and self.dropped_at is None


_PROPOSAL = (
    "SELECT proposal_id, policy, proposer_sealed, reason_sealed, proposed_at, policy_version, dropped_at"
    " FROM policy_proposals"
)


def add_proposal(
    connection: Connection,
    proposal_id: str,
    policy: Policy,
    *,
    proposer_sealed: bytes,
    reason_sealed: bytes,
    now: datetime,
) -> None:
    """Store a proposal."""
    connection.execute(
        text(
            "INSERT INTO policy_proposals (proposal_id, policy, proposer_sealed, reason_sealed, proposed_at)"
            " VALUES (:id, CAST(:policy AS jsonb), :proposer, :reason, :now)"
        ),
        {
            "id": proposal_id,
            "policy": policy.to_bytes().decode(),
            "proposer": proposer_sealed,
            "reason": reason_sealed,
            "now": now,
        },
    )


def find_proposal(connection: Connection, proposal_id: str, *, lock: bool = False) -> StoredProposal | None:
    """Return one proposal; with a lock, nobody else decides about it meanwhile."""
    row = connection.execute(
        text(_PROPOSAL + " WHERE proposal_id = :id" + (" FOR UPDATE" if lock else "")), {"id": proposal_id}
    ).one_or_none()
    return None if row is None else _proposal(*row)


def newest_proposals(connection: Connection, *, limit: int) -> Sequence[StoredProposal]:
    """Return the newest proposals."""
    rows = connection.execute(text(_PROPOSAL + " ORDER BY proposed_at DESC LIMIT :limit"), {"limit": limit})
    return [_proposal(*row) for row in rows]


def set_published(connection: Connection, proposal_id: str, policy_version: str) -> None:
    """Store that a proposal became a policy."""
    connection.execute(
        text("UPDATE policy_proposals SET policy_version = :version WHERE proposal_id = :id"),
        {"id": proposal_id, "version": policy_version},
    )


def set_dropped(connection: Connection, proposal_id: str, *, now: datetime) -> None:
    """Store that a proposal was dropped."""
    connection.execute(
        text("UPDATE policy_proposals SET dropped_at = :now WHERE proposal_id = :id"), {"id": proposal_id, "now": now}
    )


def _proposal(
    proposal_id: str,
    policy: object,
    proposer: bytes,
    reason: bytes,
    proposed_at: datetime,
    version: str | None,
    dropped_at: datetime | None,
) -> StoredProposal:
    read = Policy.model_validate(policy)
    return StoredProposal(proposal_id, read, bytes(proposer), bytes(reason), proposed_at, version, dropped_at)
