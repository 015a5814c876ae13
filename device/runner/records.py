"""The record of a decided session: what the session knows, completed with ids, digests and times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from device.ports import Errand
from device.runner.claims import Claimed
from device.session.commands import StoreRecord
from protocol.keys import PublicJwk
from protocol.records import (
    AskedAction,
    CertificationRecord,
    Claim,
    Comparison,
    Decision,
    NetworkUse,
    SealedReference,
)
from protocol.times import DeviceTime


class Head(TypedDict):
    """What every link begins with, for its constructor."""

    record_id: str
    fleet_id: str
    terminal_id: str
    counter: int
    previous: str | None


@dataclass(frozen=True, slots=True)
class Identity:
    """What stands in every record of this terminal."""

    fleet_id: str
    terminal_id: str
    software: str
    networks: tuple[NetworkUse, ...]
    features_name: str
    """Name of the feature network, by which the policy has thresholds."""
    features_sha256: str
    features_runtime: str = ""
    """Interpreter and version that run it."""
    is_simulated: bool = False
    """Whether no camera sees what it records."""
    fleet_sealing_key: PublicJwk | None = None
    """To whom references and pictures are sealed; None where the fleet has not said, and then none are made."""


def build_record(
    draft: StoreRecord,
    head: Head,
    *,
    identity: Identity,
    claimed: Claimed,
    errand: Errand,
    reference: SealedReference | None,
    started: DeviceTime,
    decided: DeviceTime,
) -> CertificationRecord:
    """Return the complete record."""
    verdict = draft.verdict
    return CertificationRecord(
        **head,
        session_id=draft.session_id,
        purpose=draft.purpose,
        nonce=draft.nonce,
        claim=Claim(document=claimed.document, token=claimed.token, subject_id=claimed.subject_id),
        decision=Decision(
            outcome=verdict.outcome,
            reasons=verdict.reasons,
            policy_version=draft.policy_version,
            path=draft.path,
            certified_until=verdict.certified_until,
            rule_pack=verdict.rule_pack,
        ),
        comparison=_comparison(draft, claimed, identity),
        evidence=draft.evidence,
        challenge=tuple(
            AskedAction(action=asked.action, result=asked.result, seconds=round(asked.seconds, 3))
            for asked in draft.challenge
        ),
        witness=draft.witness,
        operator=draft.operator,
        visit=errand.visit,
        reference=reference,
        quality={name: round(value, 1) for name, value in draft.quality},
        networks=identity.networks,
        software=identity.software,
        simulated=identity.is_simulated,
        started=started,
        decided=decided,
    )


def _comparison(draft: StoreRecord, claimed: Claimed, identity: Identity) -> Comparison | None:
    if draft.compared is None or claimed.reference is None:
        return None
    compared = draft.compared
    judged = compared.thresholds.judge(
        compared.similarity, normalised=compared.normalised, cohort_people=compared.cohort_people
    )
    return Comparison(
        reference_id=claimed.reference.reference_id,
        capture=claimed.reference.capture,
        score=compared.similarity,
        zone=judged.zone,
        match_threshold=judged.match,
        grey_threshold=judged.grey,
        model_sha256=identity.features_sha256,
        samples=compared.samples,
        judged=judged.kind,
        normalised_score=compared.normalised,
        cohort_people=compared.cohort_people,
    )
