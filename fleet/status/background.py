"""What the fleet knows about the things records name: policies and references. Gathered once for many records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from sqlalchemy import Connection

from fleet.admission import KnownReference
from fleet.store import policies, subjects
from protocol.policy import Policy
from protocol.records import CertificationRecord


@dataclass(frozen=True, slots=True)
class Background:
    """Policies and references behind some records."""

    _policies: dict[str, Policy]
    _references: dict[tuple[str, str], KnownReference]

    def policy_of(self, record: CertificationRecord) -> Policy | None:
        """Return the policy the record names, if this fleet issued it."""
        return self._policies.get(record.decision.policy_version)

    def reference_of(self, record: CertificationRecord) -> KnownReference | None:
        """Return the reference the record names, if this fleet holds it for the subject the record names."""
        name = _reference_name(record)
        return None if name is None else self._references.get(name)


def background_of(connection: Connection, records: Sequence[CertificationRecord], *, zone: tzinfo) -> Background:
    """Look up what these records name.

    Args:
        connection: where to look.
        records: the records.
        zone: where a reference's last day ends.
    """
    names = {name for record in records if (name := _reference_name(record)) is not None}
    return Background(
        policies.find_policies(connection, {record.decision.policy_version for record in records}),
        subjects.known_references(connection, sorted(names), zone=zone),
    )


def _reference_name(record: CertificationRecord) -> tuple[str, str] | None:
    if record.claim.subject_id is None or record.comparison is None:
        return None
    return record.claim.subject_id, record.comparison.reference_id
