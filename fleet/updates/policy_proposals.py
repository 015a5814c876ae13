"""Policies that are proposed, looked at beside the one in force, and published: what `publish-policy` does, step by step.

Two persons must approve one whose thresholds are lower than those in force and those shipped and rest on no calibration; any other is
published by one, as on the command line. What somebody looked at is what is published: another policy in force meanwhile is refused.
"""

from __future__ import annotations

import secrets
from datetime import datetime

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.errors import NotFound, Refused
from fleet.keys import FleetKeys
from fleet.store import policies, policy_proposals
from fleet.store.approvals import approvals_of, approve
from fleet.store.database import Database
from fleet.store.names import AccountName, cleaned
from fleet.store.policy_proposals import StoredProposal
from fleet.updates.policy import APPROVALS, demand_publishable, issue, lock_policies
from protocol.policy import Policy

KIND = "policy_proposal"
"""Kind of object under which approvals are stored."""
_LOWERED = "policy_lowered"


def propose(database: Database, keys: FleetKeys, policy: Policy, *, by: str, reason: str, now: datetime) -> str:
    """Store a proposal; return its id.

    Args:
        database: the fleet's.
        keys: the fleet's.
        policy: what is to be in force.
        by: who proposes it.
        reason: why.
        now: when.

    Raises:
        Refused: if it could never be published as it is, or name or reason cannot be taken.
    """
    proposal_id = f"pp-{secrets.token_hex(8)}"
    with database.begin() as connection:
        demand_publishable(connection, policy, has_approvals=True)
        policy_proposals.add_proposal(
            connection,
            proposal_id,
            policy,
            proposer_sealed=keys.cipher.encrypt(cleaned(by), subject_id=proposal_id, field_name="proposer"),
            reason_sealed=keys.cipher.encrypt(cleaned(reason), subject_id=proposal_id, field_name="proposal_reason"),
            now=now,
        )
        _note(connection, keys, "policy.proposed", proposal_id, policy, by=by, now=now)
    return proposal_id


def needs_approvals(connection: Connection, policy: Policy) -> bool:
    """Return whether two persons must answer for a policy."""
    try:
        demand_publishable(connection, policy, has_approvals=False)
    except Refused as error:
        return error.code == _LOWERED
    return False


def approve_proposal(
    database: Database, keys: FleetKeys, proposal_id: str, *, by: str, reason: str, against: str, now: datetime
) -> bool:
    """Take one person's approval; the second one publishes it. Return whether it is in force.

    Args:
        database: the fleet's.
        keys: the fleet's.
        proposal_id: which.
        by: who approves.
        reason: why.
        against: version of the policy in force that it was looked at beside.
        now: when.

    Raises:
        NotFound: if there is none of this id.
        Refused: if it is decided, needs no approval, was looked at beside another policy, or this person approved it before.
    """
    with database.begin() as connection:
        stored = _open(connection, proposal_id, against)
        if not needs_approvals(connection, stored.policy):
            raise Refused(f"policy {stored.policy.policy_version}: needs no approval", code="policy_needs_no_approval")
        count = approve(connection, keys.cipher, KIND, proposal_id, name=by, reason=reason, now=now)
        if count < APPROVALS:
            _note(connection, keys, "policy.approved", proposal_id, stored.policy, by=by, now=now)
            return False
        _publish(connection, keys, stored, by=by, now=now)
    return True


def publish_proposal(
    database: Database, keys: FleetKeys, proposal_id: str, *, by: str, against: str, now: datetime
) -> None:
    """Publish a proposal that needs no approval; arguments as of `approve_proposal`.

    Raises:
        NotFound: if there is none of this id.
        Refused: if it is decided, was looked at beside another policy, or as `publish_policy`.
    """
    with database.begin() as connection:
        _publish(connection, keys, _open(connection, proposal_id, against), by=by, now=now)


def drop_proposal(database: Database, keys: FleetKeys, proposal_id: str, *, by: str, now: datetime) -> None:
    """Drop a proposal, which stays to be looked at.

    Raises:
        NotFound: if there is none of this id.
        Refused: if it is decided.
    """
    with database.begin() as connection:
        stored = _open(connection, proposal_id, None)
        policy_proposals.set_dropped(connection, proposal_id, now=now)
        _note(connection, keys, "policy.dropped", proposal_id, stored.policy, by=by, now=now)


def _open(connection: Connection, proposal_id: str, against: str | None) -> StoredProposal:
    lock_policies(connection)
    stored = policy_proposals.find_proposal(connection, proposal_id, lock=True)
    if stored is None:
        raise NotFound(f"policy proposal {proposal_id}: there is none", code="proposal_unknown")
    if not stored.is_open:
        raise Refused(f"policy proposal {proposal_id}: is decided", code="policy_decided")
    newest = policies.newest_policy(connection)
    if against is not None and against != ("" if newest is None else newest.policy.policy_version):
        raise Refused("another policy came into force meanwhile; look at the differences again", code="policy_moved_on")
    return stored


def _publish(connection: Connection, keys: FleetKeys, stored: StoredProposal, *, by: str, now: datetime) -> None:
    # Whoever approved was signed in.
    names = [AccountName(each.name) for each in approvals_of(connection, keys.cipher, KIND, stored.proposal_id)]
    issue(connection, keys, stored.policy, now=now, approved_by=names if len(names) == APPROVALS else ())
    policy_proposals.set_published(connection, stored.proposal_id, stored.policy.policy_version)
    _note(connection, keys, "policy.published", stored.proposal_id, stored.policy, by=by, now=now)


def _note(
    connection: Connection, keys: FleetKeys, action: str, proposal_id: str, policy: Policy, *, by: str, now: datetime
) -> None:
    note(
        connection,
        keys.cipher,
        actor=by,
        action=action,
        object_kind="policy",
        object_id=policy.policy_version,
        detail={"proposal": proposal_id},
        now=now,
    )
