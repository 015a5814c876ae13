"""What terminals write of a session: evidence with scores and measures, comparison and quality, as the default policy asks for them."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

from demo.agency.world import MODEL, POLICY
from protocol.challenge import ChallengeDraws
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.outcomes import Outcome, Reason
from protocol.policy import PathName, Policy
from protocol.records import AskedAction, Comparison, NetworkUse
from protocol.references import CaptureKind

RUNTIME = "ai-edge-litert 2.3.0"
_LIKE = {"match": (0.66, 0.93), "grey": (0.46, 0.59), "non_match": (0.05, 0.4)}
"""Cosines of each zone of the default policy."""
_REASON_OF_ATTACK = {
    EvidenceKind.ILLUMINATION: "wrong_code",
    EvidenceKind.PLANARITY: "flat",
    EvidenceKind.CAPTURE_PATH: "exposure_disobeyed",
}
_PASSED_REASON = {
    EvidenceKind.CHALLENGE: "all_performed",
    EvidenceKind.CONTINUITY: "same_person",
    EvidenceKind.PLANARITY: "solid",
    EvidenceKind.ILLUMINATION: "follows_light",
    EvidenceKind.CAPTURE_PATH: "sensor_answers",
}
_SHORT = (Outcome.CANCELLED, Outcome.POOR_SAMPLE, Outcome.NO_REFERENCE)
"""Outcomes of sessions that ended before anything was measured."""


def findings(
    draw: Random, outcome: Outcome, reference_id: str | None, spoilt: dict[str, float], nonce: str
) -> dict[str, Any]:
    """Return the fields of a record that say what was found in a session.

    Args:
        draw: for scores and times.
        outcome: how it ended.
        reference_id: what was compared with.
        spoilt: by how many points a quality component is worse than usual at this terminal on this day.
        nonce: of the session, which draws the challenge.
    """
    is_short = outcome in _SHORT
    failed = draw.choice(tuple(_REASON_OF_ATTACK)) if outcome is Outcome.PRESENTATION_ATTACK else None
    zone = {Outcome.REVIEW: "grey", Outcome.NOT_CERTIFIED: "non_match"}.get(outcome, "match")
    path = POLICY.paths[PathName.STANDARD]
    compared = None if is_short or reference_id is None else comparison(draw, reference_id, zone)
    return {
        "comparison": compared,
        "evidence": (
            *(
                _not_run(kind) if is_short else _failed(draw, kind) if kind is failed else _passed(draw, kind)
                for kind in path.required
            ),
            EvidenceResult(kind=EvidenceKind.TEXTURE, status=EvidenceStatus.NOT_RUN, reason="not_installed"),
        ),
        "challenge": () if is_short else _challenge(draw, POLICY, nonce),
        "quality": quality(draw, spoilt, is_poor=outcome is Outcome.POOR_SAMPLE),
        "networks": (NetworkUse(name=_network(), sha256=MODEL, runtime=RUNTIME),),
    }


def reasons(draw: Random, outcome: Outcome) -> tuple[Reason, ...]:
    """Return why a session did not end as certified."""
    said = {
        Outcome.CERTIFIED: (),
        Outcome.REVIEW: (Reason.COMPARISON_GREY,),
        Outcome.NOT_CERTIFIED: (Reason.COMPARISON_NON_MATCH,),
        Outcome.NO_REFERENCE: (Reason.NO_USABLE_REFERENCE,),
        Outcome.POOR_SAMPLE: (draw.choice((Reason.QUALITY, Reason.QUALITY, Reason.NO_FACE)),),
        Outcome.PRESENTATION_ATTACK: (Reason.EVIDENCE_FAILED,),
        Outcome.TIME_UNCERTAIN: (Reason.CLOCK,),
        Outcome.CANCELLED: (draw.choice((Reason.CANCELLED_BY_PERSON, Reason.LEFT)),),
    }
    return said[outcome]


def comparison(draw: Random, reference_id: str, zone: str) -> Comparison:
    """Return a comparison that ended in a zone."""
    limits = POLICY.comparison[_network()]
    return Comparison.model_validate(
        {
            "reference_id": reference_id,
            "capture": CaptureKind.LIVE,
            "score": round(draw.uniform(*_LIKE[zone]), 4),
            "zone": zone,
            "match_threshold": limits.match,
            "grey_threshold": limits.grey,
            "model_sha256": MODEL,
            "samples": POLICY.quality.probe_samples,
        }
    )


def quality(draw: Random, spoilt: dict[str, float], *, is_poor: bool = False) -> dict[str, float]:
    """Return a quality vector: above every minimum, but for what is spoilt and for one component of a poor sample."""
    least = POLICY.quality.minimum
    found = {name: round(low + (100 - low) * draw.triangular(0.25, 0.95, 0.65), 1) for name, low in least.items()}
    for name, points in spoilt.items():
        # What still ends as certified stays above the minimum, however dull the picture is.
        found[name] = round(max(found[name] - points, least[name] + draw.uniform(0.2, 4)), 1)
    if is_poor:
        name = draw.choice(("sharpness", "over_exposure_prevention", "head_pose_yaw", "face_occlusion_prevention"))
        found[name] = round(least[name] * draw.uniform(0.3, 0.9), 1)
    return found


@cache
def _network() -> str:
    return next(iter(POLICY.comparison))


def _passed(draw: Random, kind: EvidenceKind) -> EvidenceResult:
    policy = POLICY
    light, depth, sensor = policy.illumination, policy.planarity, policy.capture_path
    more, less = draw.uniform(1.1, 1.6), draw.uniform(0.3, 0.8)
    threshold: float | None = None
    score: float | None = None
    measures: dict[str, float] = {}
    if kind is EvidenceKind.CONTINUITY:
        threshold = policy.continuity.min_similarity
        score = threshold + (1 - threshold) * draw.uniform(0.4, 0.9)
    elif kind is EvidenceKind.PLANARITY and depth is not None:
        threshold, score = depth.min_residual, min(depth.min_residual * more, 1)
        measures = {"turned_frames": depth.min_frames + draw.randrange(8), "largest_yaw_deg": depth.min_yaw_deg * more}
    elif kind is EvidenceKind.ILLUMINATION and light is not None:
        threshold, score = 1.0, more
        measures = {
            "code_correlation": min(light.min_code_correlation * more, 0.99),
            "gain": light.min_gain * more,
            "relief_left": light.min_relief * more,
            "relief_right": light.min_relief * more,
            "albedo_share": min(light.min_albedo_share * more, 1.0),
            "highlight": light.max_highlight * less,
            "code_margin": 0.3 * less,
            "steady": (1 + light.min_steady) / 2,
            "code_deviation": light.max_code_deviation * less,
            "longest_gap_s": light.max_gap_s * less,
        }
    elif kind is EvidenceKind.CAPTURE_PATH and sensor is not None:
        threshold = sensor.min_exposure_response
        score = (1 + threshold) / 2
        measures = {
            "exposure_response": score,
            "exposure_error": sensor.max_exposure_error * less,
            "repeated": 0.0,
            "regular": (1 + sensor.min_regular) / 2,
        }
    rounded = {name: round(value, 3) for name, value in measures.items()}
    return EvidenceResult(
        kind=kind,
        status=EvidenceStatus.PASSED,
        score=None if score is None else round(score, 4),
        threshold=threshold,
        reason=_PASSED_REASON[kind],
        measures=rounded,
    )


def _failed(draw: Random, kind: EvidenceKind) -> EvidenceResult:
    good = _passed(draw, kind)
    score = None if good.threshold is None else round(good.threshold * draw.uniform(0.1, 0.6), 4)
    changes = {"status": EvidenceStatus.FAILED, "score": score, "reason": _REASON_OF_ATTACK[kind]}
    return good.model_copy(update=changes)


def _not_run(kind: EvidenceKind) -> EvidenceResult:
    return EvidenceResult(kind=kind, status=EvidenceStatus.NOT_RUN, reason="interrupted")


def _challenge(draw: Random, policy: Policy, nonce: str) -> tuple[AskedAction, ...]:
    needs_turn = EvidenceKind.PLANARITY in policy.paths[PathName.STANDARD].required
    drawn = ChallengeDraws(bytes.fromhex(nonce), policy.challenge, needs_turn=needs_turn).first()
    return tuple(
        AskedAction(action=action, result="performed", seconds=round(draw.uniform(0.9, 4.5), 1))
        for action in drawn.left
    )
