"""References that terminals made: their seal is opened once, and what they are good for follows from what their link is worth.

An enrolment whose record counts as a pass is in use at once, in the transaction that stored the record; any other one waits for a
person, with the reason. Photographs of case records are provisional references (R1-19). Both follow the records in whatever order these
arrive: when an earlier enrolment comes late, the later one that was not compared with it waits. What a person has decided is never
undone here. Refreshes are proposed (`fleet.references.refresh`) when they arrive; one whose record does not count then is not kept.

A reference of a network that is not in use yet comes with an event, made of the samples of a session that certified. It is worth what that
session is, and is the person's first of that network; one that has a reference of it gets no second, and where the two are not alike a
person looks. The old network's references stay beside it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

import numpy as np
from pydantic import ValidationError
from sqlalchemy import Connection

from fleet.admission import AnyLink
from fleet.clock import day_of
from fleet.errors import FleetError, KeysMissing, Refused
from fleet.keys import FleetKeys
from fleet.references import refresh
from fleet.references.domains import feature_keys, in_current_domain
from fleet.references.refresh import RefreshRules, choose_active
from fleet.store import consents, lives, made, policies, rosters, subjects
from fleet.store.made import Made, Opened, StoredRow
from protocol.envelope import unseal
from protocol.errors import ProtocolError
from protocol.events import TerminalEvent
from protocol.policy import ComparisonPolicy, Policy
from protocol.records import CertificationRecord, SealedReference
from protocol.references import CaptureKind, LegalBasis, Reference
from protocol.rules.days import add_months

UNCLAIMED = timedelta(days=30)
"""How long features of somebody whom the fleet does not know are kept: twice the review clock of R6-2, in which a person can find out."""
_NOT_ALIKE, _SAME = "not_alike", "same"
_FEWEST = 16
"""Features of fewer numbers are none: the smallest networks give 128."""
_CAPTURE = {"enrolment": CaptureKind.LIVE, "refresh": CaptureKind.LIVE, "photo": CaptureKind.PHOTO}


@dataclass(frozen=True, slots=True)
class References:
    """How made references become stored ones in one fleet."""

    keys: FleetKeys
    zone: tzinfo
    validity_months: int
    """From the session on, as for references made at the agency."""


def reference_in(link: AnyLink) -> SealedReference | None:
    """Return what a link brings."""
    if isinstance(link, TerminalEvent):
        return None if link.proposal is None else link.proposal.reference
    return link.reference


def take(connection: Connection, rules: References, link: AnyLink, *, received_at: datetime) -> str | None:
    """Open the reference that a stored link brings and keep what is in it; return its subject, None where nobody has the token."""
    sealed = reference_in(link)
    if sealed is None:
        return None
    is_event = isinstance(link, TerminalEvent)
    token = made.session_token(connection, link.record_id) if isinstance(link, TerminalEvent) else link.claim.token
    found = None if token is None else subjects.find_by_tokens(connection, [token]).get(token)
    reference, problem = _opened(connection, rules.keys, sealed)
    if isinstance(link, TerminalEvent) and reference is not None and not _is_of_its_network(link, reference):
        reference, problem = None, "other_network"
    subject_id = None if found is None else found.subject_id
    made.add(
        connection,
        Opened(
            record_id=link.record_id,
            kind=sealed.kind,
            subject_id=subject_id,
            reference_id=sealed.reference_id,
            legal_basis=sealed.legal_basis,
            problem=problem,
            reference=reference,
            received_at=received_at,
        ),
    )
    if problem is not None or subject_id is None:
        unknown = "session_unknown" if is_event and token is None else "subject_unknown"
        made.set_waiting(connection, link.record_id, problem or unknown)
    return subject_id


def settle(connection: Connection, rules: References, subject_ids: Collection[str], *, now: datetime) -> bool:
    """Bring the references of these subjects in line with what their links are worth; return whether anything changed.

    The caller has locked all terminals, and has judged the records.
    """
    changed: set[str] = set()
    every = made.of_subjects(connection, subject_ids)
    versions = {found.policy_version or "" for found in every if found.shadow_network is not None}
    known = policies.find_policies(connection, versions)
    for found in every:
        if found.problem is not None or (found.kind == "refresh" and found.shadow_network is None):
            continue
        policy = known.get(found.policy_version or "")
        limits = None if policy is None else policy.comparison.get(found.shadow_network or "")
        if _settle_one(connection, rules, found, limits, now=now):
            changed.add(found.subject_id or "")
    for subject_id in sorted(changed):
        _keep_to_the_limit(connection, subject_id, now=now)
        rosters.touch(connection, subject_id)
    return bool(changed)


def propose(
    connection: Connection, rules: References, records: Sequence[CertificationRecord], *, now: datetime
) -> None:
    """Propose the refreshed references of these records, if they count as passes; else erase them.

    The caller has locked all terminals, and has judged the records.
    """
    wanted = {record.record_id: record for record in records if record.reference is not None}
    known = policies.find_policies(connection, {record.decision.policy_version for record in wanted.values()})
    who = {record.claim.subject_id for record in wanted.values() if record.claim.subject_id is not None}
    for found in made.of_subjects(connection, who):
        record = wanted.get(found.record_id)
        if found.kind != "refresh" or found.shadow_network is not None or record is None:
            continue
        policy = known.get(record.decision.policy_version)
        made.set_waiting(connection, found.record_id, _proposed(connection, rules, found, record, policy, now=now))
        made.forget_features(connection, found.record_id)


def _opened(connection: Connection, keys: FleetKeys, sealed: SealedReference) -> tuple[Reference | None, str | None]:
    """Return what is in a seal, or in a word why it cannot be used."""
    try:
        plain = unseal(sealed.sealed.encode(), key=keys.sealing_key())
        reference = Reference.model_validate_json(plain)
        features = reference.vector()
    except KeysMissing:
        return None, "no_sealing_key"
    except (ProtocolError, ValidationError, binascii.Error, ValueError):
        return None, "unreadable"
    if reference.reference_id != sealed.reference_id or reference.legal_basis is not sealed.legal_basis:
        return None, "other_reference"
    if reference.capture is not _CAPTURE[sealed.kind]:
        return None, "other_capture"
    if features.size < _FEWEST or not np.any(features):
        return None, "no_features"
    if reference.key_domain not in feature_keys(connection, keys):
        return None, "unknown_domain"
    return reference, None


def _is_of_its_network(link: TerminalEvent, reference: Reference) -> bool:
    return link.proposal is not None and link.proposal.network.sha256 == reference.model_sha256


def _settle_one(
    connection: Connection, rules: References, found: Made, limits: ComparisonPolicy | None, *, now: datetime
) -> bool:
    """Return whether a reference came into use or went out of it.

    Args:
        connection: a transaction.
        rules: how references are kept.
        found: what a terminal made.
        limits: for a network in the shadow, its thresholds by the policy of the session; None where that has none.
        now: when.
    """
    row = made.stored_row(connection, found.record_id)
    why = _why_not(found)
    if why is None and found.shadow_network is not None:
        why = _why_not_of_its_network(connection, rules, found, row, limits)
    if why == _SAME:
        why = None
        if row is None:
            made.forget_features(connection, found.record_id)
            found = replace(found, features=None)
    made.set_waiting(connection, found.record_id, why)
    if row is None:
        return _store(connection, rules, found, why, now=now)
    if row.is_withdrawn or row.is_decided or row.state in ("rejected", "replaced"):
        return False
    if (row.state == "proposed") == (why is not None):
        return False
    state: lives.State = "proposed" if why is not None else "active"
    lives.decide(connection, row.reference_id, state, now=now, decider_sealed=None)
    return _is_in_use(row) or state == "active"


def _why_not(found: Made) -> str | None:
    """Return in a word why something may not be compared with before a person has looked; None where it may."""
    if not found.is_linked:
        return "chain_broken"
    if not found.is_own:
        return "subject_unknown"
    if found.kind == "photo":
        return found.flags[0] if found.flags else None
    if found.is_pass:
        return None
    return found.flags[0] if found.flags else found.outcome


def _why_not_of_its_network(
    connection: Connection, rules: References, found: Made, row: StoredRow | None, limits: ComparisonPolicy | None
) -> str | None:
    """Return why a reference of a network in the shadow may not be in use, `_SAME` where the person has one that it is alike with."""
    if limits is None:
        return "no_thresholds"
    if row is not None or found.subject_id is None or found.features is None:
        return _NOT_ALIKE if row is not None and row.waits_for == _NOT_ALIKE else None
    own = [
        kept.reference
        for kept in lives.kept(connection, [found.subject_id], states=("active",)).get(found.subject_id, ())
        if kept.reference.model_sha256 == found.model_sha256 and kept.reference.capture is not CaptureKind.PHOTO
    ]
    if not own:
        return None
    try:
        reference = _reference(rules, found)
        scores = [refresh.likeness_of(connection, rules.keys, reference, each) for each in own]
    except (FleetError, KeyError, ValueError):
        # Of another length, or of a key domain whose secret is gone: no person's word is asked for what cannot be compared.
        return _NOT_ALIKE
    return _SAME if min(scores) >= limits.match else _NOT_ALIKE


def _store(connection: Connection, rules: References, found: Made, why: str | None, *, now: datetime) -> bool:
    if found.subject_id is None or found.features is None:
        # Erased after waiting too long, or never there.
        return False
    if _is_withdrawn(connection, found):
        made.set_waiting(connection, found.record_id, "consent_withdrawn")
        made.forget_features(connection, found.record_id)
        return False
    if subjects.is_reference_known(connection, found.reference_id):
        made.set_waiting(connection, found.record_id, "reference_id_reused")
        made.forget_features(connection, found.record_id)
        return False
    reference = _reference(rules, found)
    try:
        reference = in_current_domain(connection, rules.keys, reference)
    except FleetError:
        made.set_waiting(connection, found.record_id, "unknown_domain")
        return False
    subjects.add_reference(connection, found.subject_id, reference, officer_sealed=None)
    made.note_stored(connection, found.record_id, reference.reference_id)
    if why is None:
        return True
    lives.decide(connection, reference.reference_id, "proposed", now=now, decider_sealed=None)
    made.set_waiting(connection, found.record_id, why)
    return False


def _reference(rules: References, found: Made) -> Reference:
    """Return it as the fleet keeps it: dated by the fleet's own clock, valid for as long as the fleet wants."""
    day = day_of(found.event_at, rules.zone)
    return Reference.model_validate(
        {
            "reference_id": found.reference_id,
            "features": base64.b64encode(found.features or b"").decode(),
            "model_sha256": found.model_sha256,
            "runtime": found.runtime,
            "key_domain": found.key_domain,
            "quality": found.quality,
            "capture": found.capture,
            "legal_basis": found.legal_basis,
            "captured_at": found.event_at,
            "valid_until": add_months(day, rules.validity_months),
        }
    )


def _keep_to_the_limit(connection: Connection, subject_id: str, *, now: datetime) -> None:
    active = lives.kept(connection, [subject_id], states=("active",)).get(subject_id, ())
    staying = {kept.reference.reference_id for kept in choose_active(active, refresh.MOST_IN_USE)}
    for kept in active:
        if kept.reference.reference_id not in staying:
            lives.decide(connection, kept.reference.reference_id, "set_aside", now=now, decider_sealed=None)


def _proposed(
    connection: Connection,
    rules: References,
    found: Made,
    record: CertificationRecord,
    policy: Policy | None,
    *,
    now: datetime,
) -> str | None:
    """Propose one; return in a word why it is not kept, None where it is."""
    if found.problem is not None or found.subject_id is None or found.features is None:
        return found.problem or "subject_unknown"
    if _is_withdrawn(connection, found):
        return "consent_withdrawn"
    if not (found.is_pass and found.is_linked and found.is_own) or policy is None:
        return "not_counted"
    named = [network.name for network in record.networks if network.sha256 == found.model_sha256]
    thresholds = policy.comparison.get(named[0]) if len(named) == 1 else None
    if thresholds is None:
        return "other_network"
    limits = RefreshRules(least_likeness=thresholds.match, least_anchor=thresholds.grey)
    try:
        refresh.propose(
            connection,
            rules.keys,
            found.subject_id,
            _reference(rules, found),
            record_id=found.record_id,
            rules=limits,
            now=now,
        )
    except Refused as error:
        return str(error)
    except FleetError:
        return "unknown_domain"
    return None


def _is_withdrawn(connection: Connection, found: Made) -> bool:
    """Return whether the consent that something rests on was withdrawn since: it was made before, and came late."""
    return (
        found.legal_basis is LegalBasis.CONSENT
        and found.subject_id is not None
        and consents.is_withdrawn_since(connection, found.subject_id, found.event_at)
    )


def _is_in_use(row: StoredRow) -> bool:
    return row.state in ("active", "set_aside")
