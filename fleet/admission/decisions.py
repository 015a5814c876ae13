"""Does a pass follow from the record's own numbers by the policy it names?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.challenge import ChallengeDraws
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus, PadOutcome, fuse
from protocol.outcomes import Outcome, Reason
from protocol.policy import PathPolicy, Policy
from protocol.quality import is_acceptable
from protocol.records import CertificationRecord
from protocol.references import CaptureKind

QUALITY_ROUNDING = 0.05
"""Terminals write quality components rounded to a tenth."""
MEASURE_ROUNDING = 0.00005
"""Terminals write the measures behind evidence rounded to four places; scores as they are."""
_ALL_OF_IT = 1.0
"""What the light's score, the least of its measures as a part of what is asked, must reach."""


def supports_decision(record: CertificationRecord, policy: Policy) -> bool:
    """Return whether a pass follows from the record's own numbers by the policy it names.

    Everything a pass needs must stand in the record: no reason against it but the clock's where the moment is left to the fleet, a
    match by the policy's own thresholds for the one network that compared, required evidence whose scores and measures reach what the
    policy asks (advisory evidence that says it passed, too), the challenge the nonce draws, a probe of the policy's size and quality, and
    the name of a witness, whoever that is, where the path asks for one.
    """
    allowed = {Reason.CLOCK} if record.decision.outcome is Outcome.TIME_UNCERTAIN else set()
    path = policy.paths.get(record.decision.path)
    if path is None or not allowed.issuperset(record.decision.reasons):
        return False
    if path.needs_witness and record.witness is None:
        return False
    if fuse(record.evidence, path.required, path.advisory).outcome is not PadOutcome.BONA_FIDE:
        return False
    if not _is_match(record, policy) or not _is_probe_good(record, policy):
        return False
    named = {*path.required, *path.advisory}
    passed = [result for result in record.evidence if result.status is EvidenceStatus.PASSED and result.kind in named]
    if not all(_is_reached(result, record, policy) for result in passed):
        return False
    return EvidenceKind.CHALLENGE not in path.required or _is_challenge_met(record, policy, path)


def _is_match(record: CertificationRecord, policy: Policy) -> bool:
    comparison = record.comparison
    if comparison is None or comparison.zone != "match" or comparison.capture is CaptureKind.PHOTO:
        return False
    compared = [network.name for network in record.networks if network.sha256 == comparison.model_sha256]
    thresholds = policy.comparison.get(compared[0]) if len(compared) == 1 else None
    if thresholds is None:
        return False
    judged = thresholds.judge(
        comparison.score, normalised=comparison.normalised_score, cohort_people=comparison.cohort_people
    )
    if (comparison.match_threshold, comparison.grey_threshold) != (judged.match, judged.grey):
        return False
    return judged.kind == comparison.judged and judged.zone == "match"


def _is_probe_good(record: CertificationRecord, policy: Policy) -> bool:
    if record.comparison is None or record.comparison.samples < policy.quality.probe_samples:
        return False
    return is_acceptable(record.quality, policy.minimum_quality(record.decision.path), rounding=QUALITY_ROUNDING)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a policy asks of a result that passed."""

    score: float
    """The least score, and the least threshold the terminal may have compared it with."""
    least: Mapping[str, float] = field(default_factory=dict)
    """By measure; one that is not in the record reaches nothing."""
    most: Mapping[str, float] = field(default_factory=dict)


def _is_reached(result: EvidenceResult, record: CertificationRecord, policy: Policy) -> bool:
    """Return whether a result that passed shows all that the policy asks of its kind."""
    if result.kind is EvidenceKind.CHALLENGE:
        # It has no score; what was asked and answered stands in the record and is judged there.
        return True
    asked = _asked_of(result.kind, record, policy)
    if asked is None or result.score is None or result.threshold is None:
        return False
    found = result.measures
    return (
        result.score >= asked.score
        and result.threshold >= asked.score
        and all(name in found and found[name] >= value - MEASURE_ROUNDING for name, value in asked.least.items())
        and all(name in found and found[name] <= value + MEASURE_ROUNDING for name, value in asked.most.items())
    )


def _asked_of(kind: EvidenceKind, record: CertificationRecord, policy: Policy) -> _Asked | None:
    """Return what the policy asks of a kind with a score; None where it says nothing of it, so that nothing reaches it."""
    match kind:
        case EvidenceKind.CONTINUITY:
            return _Asked(policy.continuity.min_similarity)
        case EvidenceKind.PLANARITY if (depth := policy.planarity) is not None:
            return _Asked(depth.min_residual, {"turned_frames": depth.min_frames, "largest_yaw_deg": depth.min_yaw_deg})
        case EvidenceKind.ILLUMINATION if (light := policy.illumination) is not None:
            least = {
                "code_correlation": light.min_code_correlation,
                "gain": light.min_gain,
                "relief_left": light.min_relief,
                "relief_right": light.min_relief,
                "albedo_share": light.min_albedo_share,
                # Measures are rounded in a record: the terminal asks for more than 0, which may be written as 0.
                "code_margin": 0.0,
                "steady": light.min_steady,
            }
            most = {
                "highlight": light.max_highlight,
                "code_deviation": light.max_code_deviation,
                "longest_gap_s": light.max_gap_s,
            }
            return _Asked(_ALL_OF_IT, least, most)
        case EvidenceKind.CAPTURE_PATH if (sensor := policy.capture_path) is not None:
            most = {"exposure_error": sensor.max_exposure_error, "repeated": sensor.max_repeated_frames}
            least = {"exposure_response": sensor.min_exposure_response, "regular": sensor.min_regular}
            return _Asked(sensor.min_exposure_response, least, most)
        case EvidenceKind.PULSE if policy.pulse is not None:
            return _Asked(policy.pulse.min_snr_db, most={"motion": policy.pulse.max_motion})
        case EvidenceKind.TEXTURE:
            used = [network.name for network in record.networks if network.name in policy.texture]
            if len(used) != 1:
                return None
            skin = policy.texture[used[0]]
            return _Asked(skin.min_score, {"frames": skin.min_frames})
        case _:
            return None


def _is_challenge_met(record: CertificationRecord, policy: Policy, path: PathPolicy) -> bool:
    """Enough actions were performed, and those asked for are the ones the nonce draws."""
    draws = ChallengeDraws(
        bytes.fromhex(record.nonce), policy.challenge, needs_turn=EvidenceKind.PLANARITY in path.required
    )
    return draws.are_met([(asked.action, asked.result) for asked in record.challenge])
