"""Does a pass follow from the record's own numbers by the policy it names?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.challenge import ChallengeDraws
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus, PadOutcome, fuse
from protocol.outcomes import Outcome, Reason
from protocol.policy import ComparisonPolicy, PathPolicy, Policy
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
    return _is_presence_shown(record, policy) and _is_match(record, policy) and _is_probe_complete(record, policy)


def supports_enrolment(record: CertificationRecord, policy: Policy, model_sha256: str) -> bool:
    """Return whether an enrolment that says it is a pass follows from the record's own numbers by the policy it names.

    As `supports_decision`, but nobody need be compared with: the reference must be of a network that the record names and the policy has
    thresholds for, and where there was a comparison it must be a match, if only with a photograph.

    Args:
        record: the enrolment's.
        policy: the policy it names.
        model_sha256: digest of the network that made the reference.
    """
    if not _is_presence_shown(record, policy) or _thresholds_of(record, policy, model_sha256) is None:
        return False
    if record.comparison is None:
        return True
    return _is_match(record, policy, is_photo_enough=True) and _is_probe_complete(record, policy)


def _is_presence_shown(record: CertificationRecord, policy: Policy) -> bool:
    """Return whether the record shows a living person by the policy of its path, in a picture that is good enough."""
    allowed = {Reason.CLOCK} if record.decision.outcome is Outcome.TIME_UNCERTAIN else set()
    path = policy.paths.get(record.decision.path)
    if path is None or not allowed.issuperset(record.decision.reasons):
        return False
    if path.needs_witness and record.witness is None:
        return False
    if fuse(record.evidence, path.required, path.advisory).outcome is not PadOutcome.BONA_FIDE:
        return False
    if not is_acceptable(record.quality, policy.minimum_quality(record.decision.path), rounding=QUALITY_ROUNDING):
        return False
    named = {*path.required, *path.advisory}
    passed = [result for result in record.evidence if result.status is EvidenceStatus.PASSED and result.kind in named]
    if not all(_is_reached(result, record, policy) for result in passed):
        return False
    return EvidenceKind.CHALLENGE not in path.required or _is_challenge_met(record, policy, path)


def _thresholds_of(record: CertificationRecord, policy: Policy, model_sha256: str) -> ComparisonPolicy | None:
    """Return the policy's thresholds for a network of the record; None where it is none, or two."""
    named = [network.name for network in record.networks if network.sha256 == model_sha256]
    return policy.comparison.get(named[0]) if len(named) == 1 else None


def _is_match(record: CertificationRecord, policy: Policy, *, is_photo_enough: bool = False) -> bool:
    comparison = record.comparison
    if comparison is None or comparison.zone != "match":
        return False
    if comparison.capture is CaptureKind.PHOTO and not is_photo_enough:
        return False
    thresholds = _thresholds_of(record, policy, comparison.model_sha256)
    if thresholds is None:
        return False
    judged = thresholds.judge(
        comparison.score, normalised=comparison.normalised_score, cohort_people=comparison.cohort_people
    )
    if (comparison.match_threshold, comparison.grey_threshold) != (judged.match, judged.grey):
        return False
    return judged.kind == comparison.judged and judged.zone == "match"


def _is_probe_complete(record: CertificationRecord, policy: Policy) -> bool:
    return record.comparison is not None and record.comparison.samples >= policy.quality.probe_samples


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
