"""The policy: every threshold, path and timer of a session, issued and signed by the fleet and named in each record.

Thresholds are not settings of a device. Values and the source of each stand in `default_policy.toml`, which a fleet starts with.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Annotated, ClassVar, Literal, LiteralString, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from protocol.challenge import Action, is_drawable
from protocol.evidence import EvidenceKind
from protocol.wire import UtcTime, WireMessage, WirePart

POLICY_TYP = "lifecert-policy"
POLICY_FAULTS = frozenset(
    {
        "policy_twice",
        "policy_action_twice",
        "policy_actions",
        "policy_rest",
        "policy_grey",
        "policy_warning",
        "policy_path_evidence",
        "policy_path_thresholds",
        "policy_path_light",
        "policy_path_turn",
    }
)
"""Kinds of faults that policies themselves find, for whoever says them in other words."""


def _fault(kind: LiteralString, sentence: LiteralString, **facts: str) -> PydanticCustomError:
    return PydanticCustomError(kind, sentence, facts or None)


class PathName(StrEnum):
    """A way through the session, for people who cannot go the standard one."""

    STANDARD = "standard"
    NO_MOVEMENT = "no_movement"
    """For people who cannot move: nothing is asked of them, a worker is the named witness."""
    NO_FLASH = "no_flash"
    """For photosensitive people: the light fades and never steps."""
    HELPER = "helper"
    """Standard, with another person in the picture."""


class PathPolicy(WirePart):
    """Which evidence a path needs."""

    required: tuple[EvidenceKind, ...] = Field(min_length=1)
    """Each of these must have passed."""
    advisory: tuple[EvidenceKind, ...] = ()
    """Recorded; one that failed stops certification all the same, one that was not run does not."""
    needs_witness: bool = False
    """Whether a named worker must vouch for the presentation; without one the outcome is `review` at best."""
    most_faces: int = Field(default=1, ge=1, le=4)
    """How many faces of a size to be taken for the subject's may be in the picture."""

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        if twice := set(self.required) & set(self.advisory):
            raise _fault("policy_twice", "both required and advisory: {kinds}", kinds=", ".join(sorted(twice)))
        return self


class ChallengePolicy(WirePart):
    """The challenge: what is asked and how long is waited."""

    actions: tuple[Action, ...] = Field(min_length=2)
    """What may be asked; drawn at random, never the same twice in a row."""
    count: int = Field(ge=2, le=5)
    """Actions that must be performed in one session; one at least moves the head, one the face alone."""
    answer_timeout_s: float = Field(gt=0, le=60)
    """From the end of the prompt to the completed action."""
    rest_shortest_s: float = Field(default=0.8, ge=0, le=5)
    """Least time that head and mouth must be at rest before a prompt is given."""
    rest_longest_s: float = Field(default=2.4, ge=0, le=5)
    """Most of it; each pause is drawn from the nonce between the two."""
    rest_timeout_s: float = Field(default=20.0, gt=0, le=120)
    """How long is waited for such a rest before the challenge counts as not run."""
    reaction_s: float = Field(default=0.4, ge=0, le=1)
    """An action that begins sooner after the prompt is no answer to it."""
    prompt_s: float = Field(ge=0, le=20)
    """How long a prompt takes to speak, at least; an action during it counts, and a terminal that speaks for longer waits for longer."""
    wrong_actions_allowed: int = Field(ge=0, le=3)
    """After so many wrong actions a fresh one is drawn and the prompt is given again; one more fails the challenge."""
    repeats: int = Field(ge=0, le=3)
    """How often an unanswered prompt is given again before the challenge counts as not answered."""

    @model_validator(mode="after")
    def _drawable(self) -> Self:
        if len(set(self.actions)) != len(self.actions):
            raise _fault("policy_action_twice", "an action is named twice")
        if not is_drawable(self.actions, self.count):
            raise _fault("policy_actions", "no action moves the head, or none the face alone")
        if self.rest_shortest_s > self.rest_longest_s:
            raise _fault("policy_rest", "shortest rest above longest rest")
        return self


class ContinuityPolicy(WirePart):
    """Whether all phases showed one face."""

    min_similarity: float = Field(gt=0, le=1)
    """Least cosine between the features of any two phases."""


class LightPolicy(WirePart):
    """The code that the light ring plays, and the exposure that goes with it."""

    chips: int = Field(ge=6, le=40)
    """Steps of the code."""
    chip_s: float = Field(ge=0.35, le=5)
    """Length of a step. From 0.35 s on there are at most three flashes in any second (WCAG 2.2, 2.3.1)."""
    ramp_s: float = Field(default=0.0, ge=0, le=5)
    """How long the light takes from one step to the next; 0 is at once."""
    lowest: float = Field(default=0.0, ge=0, le=1)
    """Brightness of a half of the ring that is off, 1 = full."""
    exposures: tuple[Annotated[float, Field(ge=0.1, le=4)], ...] = Field(default=(1.0,), min_length=1, max_length=4)
    """Factors on the locked exposure that a step may ask for."""
    repeats: int = Field(default=1, ge=0, le=3)
    """How often the stage is gone through again, with a fresh code, because the person moved."""


class IlluminationPolicy(WirePart):
    """What the light on the face must show. All measures: `device/vision/evidence/illumination.py`."""

    min_code_correlation: float = Field(gt=0, le=1)
    """Least correlation of the face's brightness with the code."""
    min_gain: float = Field(gt=0, le=10)
    """Least gain of the face by the lamp, as a part of its brightness without; below it the evidence did not run."""
    min_relief: float = Field(gt=0)
    """Least relief: how far the gain over the face is from that of a flat or evenly bent sheet."""
    max_highlight: float = Field(gt=0)
    """Most highlight: peak over median of the gain; glass goes beyond it."""
    min_albedo_share: float = Field(gt=0, le=1)
    """How dark brows, eyes and lips must at least be in the light that the lamp adds, as a part of how dark they are in the room's."""
    max_code_deviation: float = Field(gt=0, le=0.5)
    """How far the face may be from the code anywhere, as a part of what both halves of the ring add; one half more or less is 0.5."""
    min_steady: float = Field(ge=0.5, le=1)
    """Part of the frames of a code that must show the face where and how it usually is; below it the evidence did not run."""
    max_gap_s: float = Field(gt=0, le=0.35)
    """Longest time of a code without a frame that is judged, at most the shortest step there is; beyond it the evidence did not run."""


class PlanarityPolicy(WirePart):
    """What a turning head must show that a sheet cannot."""

    min_residual: float = Field(gt=0, le=1)
    """Least residual of the best homography, in distances between the eyes."""
    min_yaw_deg: float = Field(gt=0, le=45)
    """How far the head must be turned for a frame to count."""
    min_frames: int = Field(ge=1, le=100)


class TexturePolicy(WirePart):
    """The passive network; for the network of that name in `texture`."""

    min_score: float = Field(gt=0, le=1)
    """Least median score, larger = more likely bona fide."""
    min_frames: int = Field(ge=1, le=100)


class PulsePolicy(WirePart):
    """The blood-volume pulse in the skin."""

    window_s: float = Field(ge=5, le=30)
    """How long the face is watched at rest."""
    min_snr_db: float = Field(gt=0, le=30)
    """Least signal-to-noise ratio of the pulse."""
    repeats: int = Field(default=1, ge=0, le=3)
    """How often the stage is gone through again because the person moved."""
    max_motion: float = Field(gt=0, le=1)
    """Range of the eyes' middle within the window, in distances between the eyes; beyond it the evidence did not run."""
    min_rate_bpm: float = Field(ge=20, le=100)
    max_rate_bpm: float = Field(ge=60, le=240)


class CapturePathPolicy(WirePart):
    """What shows that frames come from the sensor, now."""

    max_exposure_error: float = Field(gt=0, le=1)
    """Largest relative difference between commanded and reported exposure."""
    min_exposure_response: float = Field(gt=0, le=1)
    """Least part of a commanded change of exposure that the picture must show."""
    max_repeated_frames: int = Field(ge=0, le=100)
    """So many frames may equal the one before, bit by bit; a sensor's noise never repeats."""
    min_regular: float = Field(ge=0.5, le=1)
    """Part of the intervals between frames that must be whole multiples of the usual one, as those of a sensor's clock are."""


class QualityPolicy(WirePart):
    """What a sample must reach to be compared, components 0..100."""

    minimum: dict[str, float]
    """Per named component of the terminal's quality assessment."""
    probe_samples: int = Field(ge=1, le=20)
    """Acceptable frames that are fused into a probe."""
    capture_s: float = Field(default=0.0, ge=0, le=10)
    """For so long after the first acceptable frame more of them are gathered; the best `probe_samples` are taken."""


class RefreshPolicy(WirePart):
    """When a certified session proposes its probe as a further reference, because people age."""

    after_days: int = Field(ge=30, le=3650)
    """So old the reference that was compared with must be."""
    min_quality: float = Field(ge=0, le=100)
    """Unified quality of the probe, at least: a reference is used for years."""


class ThresholdSource(WirePart):
    """How the population served gave thresholds; see `protocol.calibration`."""

    calibration_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    """Of the proposal that two persons approved; the fleet keeps who they were and what it rested on."""
    population: str = Field(min_length=1, max_length=100)
    """`fleet`, or `area` and its name."""
    fmr: float = Field(gt=0, le=0.1)
    """False match rate that `match` is meant to keep: it is the upper end of the interval below."""
    grey_fmr: float = Field(gt=0, le=0.1)
    """False match rate expected at `grey`."""
    match_estimate: float
    """The best estimate of the score with that false match rate; `match` is the upper end of its one-sided 95 % interval."""
    match_interval: tuple[float, float]
    """Two-sided 95 % interval of the estimate."""
    people: int = Field(ge=2)
    pairs: int = Field(ge=1)
    """Of different people, whose scores were used."""


class NormalisedThresholds(WirePart):
    """Thresholds on cohort-normalised scores (`protocol.cohort`), -2..2, larger = more alike."""

    match: float = Field(ge=-2, le=2)
    grey: float = Field(ge=-2, le=2)
    nearest_share: float = Field(gt=0, le=1)
    """Of the cohort that counts as near."""
    least_people: int = Field(ge=1)
    """Others of the same key domain and network that a terminal must know; with fewer the raw score is judged."""
    source: ThresholdSource

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.grey > self.match:
            raise _fault("policy_grey", "grey threshold above match threshold")
        return self


Zone = Literal["match", "grey", "non_match"]


@dataclass(frozen=True, slots=True)
class Judged:
    """The zone of a comparison and what it was judged by."""

    zone: Zone
    kind: Literal["raw", "normalised"]
    """Which score the thresholds were applied to."""
    match: float
    grey: float


class ComparisonPolicy(WirePart):
    """The three zones for one feature network; scores are cosines, larger = more alike.

    A score equal to a threshold belongs to the better zone.
    """

    match: float = Field(ge=-1, le=1)
    """Judges the raw score, wherever there is no normalised one."""
    grey: float = Field(ge=-1, le=1)
    source: ThresholdSource | None = None
    """None for values that were not found in the population served; their source stands beside them in `default_policy.toml`."""
    normalised: NormalisedThresholds | None = None
    """Judges the normalised score where the terminal has a cohort; None: raw scores only."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.grey > self.match:
            raise _fault("policy_grey", "grey threshold above match threshold")
        return self

    def judge(self, score: float, *, normalised: float | None = None, cohort_people: int = 0) -> Judged:
        """Return the zone of a comparison; a score that is not a number is a non-match.

        Args:
            score: cosine, -1..1, larger = more alike.
            normalised: the normalised score, -2..2; None without one.
            cohort_people: how many people the cohort had.
        """
        limits = self.normalised
        if limits is not None and normalised is not None and cohort_people >= limits.least_people:
            # Of a raw score that is no number there is no normalised one.
            found = score if math.isnan(score) else normalised
            return Judged(_zone(found, limits.match, limits.grey), "normalised", limits.match, limits.grey)
        return Judged(_zone(score, self.match, self.grey), "raw", self.match, self.grey)


def _zone(score: float, match: float, grey: float) -> Zone:
    if score >= match:
        return "match"
    return "grey" if score >= grey else "non_match"


class TimerPolicy(WirePart):
    """Longest waits of the session, in seconds."""

    acquire_s: float = Field(gt=0, le=300)
    """Until enough acceptable frames are there."""
    compare_s: float = Field(gt=0, le=60)
    """Until comparison and evidence are there."""
    store_s: float = Field(gt=0, le=60)
    """Until the record is on the disk."""
    face_lost_s: float = Field(gt=0, le=60)
    """How long the face may be out of the picture."""
    stage_slack_s: float = Field(default=5.0, gt=0, le=60)
    """How much longer than it plays a stage of light or watching may take."""
    result_s: float = Field(gt=0, le=60)
    """How long the result stays before the terminal is idle again."""


class OfflinePolicy(WirePart):
    """How long, and for how many records, a terminal goes on without hearing from its fleet; see `protocol.offline`."""

    warn_after_days: float = Field(default=7.0, gt=0, le=366)
    """From here on the staff is told."""
    stop_after_days: float = Field(default=30.0, gt=0, le=366)
    """From here on no new claim begins a session."""
    warn_records: int = Field(default=1000, ge=1)
    """Records that the fleet has not confirmed, from which on the staff is told."""
    stop_records: int = Field(default=5000, ge=1)
    """The same, from which on no new claim begins a session."""

    @model_validator(mode="after")
    def _warns_first(self) -> Self:
        if self.warn_after_days >= self.stop_after_days or self.warn_records >= self.stop_records:
            raise _fault("policy_warning", "a warning must come before its limit")
        return self


class Policy(WireMessage):
    """All of it."""

    TYPE: ClassVar[str] = "policy"
    VERSION: ClassVar[int] = 1

    type: Literal["policy"] = "policy"
    version: Literal[1] = 1
    policy_version: str = Field(pattern=r"^[0-9A-Za-z.-]{1,40}$")
    issued_at: UtcTime
    paths: dict[PathName, PathPolicy]
    """Each requires continuity, and challenge or illumination."""
    challenge: ChallengePolicy
    continuity: ContinuityPolicy
    light: dict[PathName, LightPolicy] = Field(default_factory=dict)
    """By path; one is needed where illumination or capture path is required, and played there only."""
    illumination: IlluminationPolicy | None = None
    """Without one this kind of evidence does not run, and so with the four below."""
    planarity: PlanarityPolicy | None = None
    texture: dict[str, TexturePolicy] = Field(default_factory=dict)
    """By name of the network."""
    pulse: PulsePolicy | None = None
    capture_path: CapturePathPolicy | None = None
    quality: QualityPolicy
    comparison: dict[str, ComparisonPolicy]
    """By name of the feature network."""
    timers: TimerPolicy
    attack_evidence: tuple[EvidenceKind, ...]
    """Kinds whose failure alone is reported as `presentation_attack`; a failure of any other kind goes to review."""
    max_clock_uncertainty_s: float = Field(gt=0)
    """Above this (or with no bound at all) a session that would certify ends as `time_uncertain`."""
    offline: OfflinePolicy = OfflinePolicy()
    refresh: RefreshPolicy | None = None
    """Without one no terminal proposes a reference."""

    def minimum_quality(self, path: PathName) -> Mapping[str, float]:
        """Return what a sample must reach on a path: where another person may be in the picture, that the subject is alone is no part."""
        if self.paths[path].most_faces == 1:
            return self.quality.minimum
        return {name: least for name, least in self.quality.minimum.items() if name != _ALONE}

    @model_validator(mode="after")
    def _paths_can_be_gone(self) -> Self:
        has = {
            EvidenceKind.ILLUMINATION: self.illumination is not None,
            EvidenceKind.PLANARITY: self.planarity is not None,
            EvidenceKind.TEXTURE: bool(self.texture),
            EvidenceKind.PULSE: self.pulse is not None,
            EvidenceKind.CAPTURE_PATH: self.capture_path is not None,
        }
        for name, path in self.paths.items():
            required = set(path.required)
            if EvidenceKind.CONTINUITY not in required or required.isdisjoint(DRAWN):
                raise _fault(
                    "policy_path_evidence",
                    "path {path} must require continuity, and challenge or illumination",
                    path=name,
                )
            if missing := [kind for kind in EvidenceKind if kind in required and not has.get(kind, True)]:
                raise _fault(
                    "policy_path_thresholds",
                    "path {path} requires what has no thresholds: {kinds}",
                    path=name,
                    kinds=", ".join(missing),
                )
            if not required.isdisjoint(LIT) and name not in self.light:
                raise _fault("policy_path_light", "path {path} needs light and has none", path=name)
            if EvidenceKind.PLANARITY in required and not is_drawable(
                self.challenge.actions, self.challenge.count, needs_turn=True
            ):
                raise _fault("policy_path_turn", "path {path} requires planarity, and no action is a turn", path=name)
        return self


_ALONE = "single_face_present"
"""The component of quality that says so; see `device.vision.quality`."""
DRAWN = frozenset({EvidenceKind.CHALLENGE, EvidenceKind.ILLUMINATION})
"""Kinds that ask for an answer to what is drawn from the nonce; without one of them a recording would do."""
LIT = frozenset({EvidenceKind.ILLUMINATION, EvidenceKind.CAPTURE_PATH})
"""Kinds that are judged while the light code is played: the second by the exposure that goes with it."""


def default_policy() -> Policy:
    """Return the policy a new fleet starts with."""
    text = files("protocol").joinpath("default_policy.toml").read_text(encoding="utf-8")
    return Policy.model_validate(tomllib.loads(text))
