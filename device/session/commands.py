"""What a certification session asks of the terminal; the runner carries it out and brings the result back as an event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, Literal

from device.session.decision import Verdict
from device.session.events import Timer
from protocol.challenge import Action, LightChip
from protocol.evidence import EvidenceResult
from protocol.outcomes import Outcome
from protocol.policy import ComparisonPolicy, IlluminationPolicy, PathName, Policy, PulsePolicy
from protocol.records import Purpose


class Line(StrEnum):
    """Everything the terminal can say; the texts stand in `device/lines.toml`."""

    WELCOME = "welcome"
    PRESENT_CARD = "present_card"
    CLAIM_UNREADABLE = "claim_unreadable"
    NOT_READY = "not_ready"
    POWER_FAILING = "power_failing"
    ROSTER_EXPIRED = "roster_expired"
    OFFLINE_LIMIT = "offline_limit"
    CARD_GARBLED = "card_garbled"
    CARD_FOREIGN = "card_foreign"
    CARD_EXPIRED = "card_expired"
    CARD_REVOKED = "card_revoked"
    CARD_OF_ANOTHER = "card_of_another"
    LOOK_HERE = "look_here"
    NO_FACE = "no_face"
    LOOK_AT_CAMERA = "look_at_camera"
    ILLUMINATION_UNIFORMITY = "illumination_uniformity"
    UNDER_EXPOSURE_PREVENTION = "under_exposure_prevention"
    OVER_EXPOSURE_PREVENTION = "over_exposure_prevention"
    DYNAMIC_RANGE = "dynamic_range"
    SHARPNESS = "sharpness"
    SINGLE_FACE_PRESENT = "single_face_present"
    EYES_OPEN = "eyes_open"
    MOUTH_CLOSED = "mouth_closed"
    EYES_VISIBLE = "eyes_visible"
    FACE_OCCLUSION_PREVENTION = "face_occlusion_prevention"
    INTER_EYE_DISTANCE = "inter_eye_distance"
    HEAD_SIZE = "head_size"
    LEFTWARD_CROP_OF_THE_FACE_IMAGE = "leftward_crop_of_the_face_image"
    RIGHTWARD_CROP_OF_THE_FACE_IMAGE = "rightward_crop_of_the_face_image"
    MARGIN_ABOVE_OF_THE_FACE_IMAGE = "margin_above_of_the_face_image"
    MARGIN_BELOW_OF_THE_FACE_IMAGE = "margin_below_of_the_face_image"
    HEAD_POSE_YAW = "head_pose_yaw"
    HEAD_POSE_PITCH = "head_pose_pitch"
    HEAD_POSE_ROLL = "head_pose_roll"
    """From `illumination_uniformity` on: what to do about a component of quality; the names are those of `device.vision.quality`."""
    LIGHT = "light"
    WATCH = "watch"
    AGAIN = "again"
    """A stage is gone through once more, because the face moved."""
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    LOOK_UP = "look_up"
    OPEN_MOUTH = "open_mouth"
    BLINK = "blink"
    TRY_ANOTHER = "try_another"
    ONE_MOMENT = "one_moment"
    CERTIFIED = "certified"
    CERTIFIED_EARLY = "certified_early"
    """Certified, and the next one counts from a later day."""
    REVIEW = "review"
    NOT_CERTIFIED = "not_certified"
    NO_REFERENCE = "no_reference"
    POOR_SAMPLE = "poor_sample"
    PRESENTATION_ATTACK = "presentation_attack"
    TIME_UNCERTAIN = "time_uncertain"
    CANCELLED = "cancelled"
    NOT_STORED = "not_stored"
    OUT_OF_ORDER = "out_of_order"

    # Answers to somebody who asks how they stand.
    STATUS_ASK = "status_ask"
    STATUS_CERTIFIED = "status_certified"
    STATUS_DUE = "status_due"
    STATUS_EXPIRING = "status_expiring"
    STATUS_OVERDUE = "status_overdue"
    STATUS_NEVER_CERTIFIED = "status_never_certified"
    STATUS_UNKNOWN = "status_unknown"
    BUTTON_STUCK = "button_stuck"
    """Said by the front desk, not by a session: nobody is being served."""
    SCREEN_AWAY = "screen_away"
    """The page is lost before somebody; said by the front desk, where nothing else is to be heard."""


OUTCOME_LINES: Final = frozenset({*(Line(outcome.value) for outcome in Outcome), Line.CERTIFIED_EARLY, Line.NOT_STORED})
"""What came of a session: the person waits for its last word."""
STATUS_LINES: Final = frozenset(line for line in Line if line.value.startswith("status_"))
"""Said to somebody who asks how they stand."""
ADVICE_LINES: Final = frozenset(
    {
        Line.NO_FACE,
        Line.LOOK_AT_CAMERA,
        *list(Line)[list(Line).index(Line.ILLUMINATION_UNIFORMITY) : list(Line).index(Line.HEAD_POSE_ROLL) + 1],
    }
)
"""What to do about a sample that is not good enough; given again and again while it lasts."""


class Lamp(StrEnum):
    """Colours of the status lamp."""

    IDLE = "idle"
    WORKING = "working"
    CERTIFIED = "certified"
    ATTENTION = "attention"
    """Not certified, whatever the reason: one colour, so that nobody is shamed by it."""
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class StartAcquisition:
    """Begin to look at frames, with nothing remembered of earlier sessions."""


@dataclass(frozen=True, slots=True)
class StopAcquisition:
    """Stop looking at frames and forget every sample."""


@dataclass(frozen=True, slots=True)
class TakeSample:
    """Keep the features of a frame that was just assessed."""

    sequence: int
    phase: str
    """The part of the session; continuity compares one phase with another. The probe is fused from all of them."""
    wants_more: bool
    """Whether another sample is wanted before the next prompt; saves the feature network's time where not."""
    is_moving: bool = False
    """Whether it shows an action: good for continuity, but no part of the probe."""


@dataclass(frozen=True, slots=True)
class DropSamples:
    """Forget the samples taken so far, which may be of somebody else, and want new ones."""


@dataclass(frozen=True, slots=True)
class AwaitRest:
    """No prompt is open; want samples of the resting face."""


@dataclass(frozen=True, slots=True)
class WantSample:
    """Want features of the coming frames, for a `TakeSample`."""


@dataclass(frozen=True, slots=True)
class PlayLight:
    """Lock the exposure, play a light code and say when it is over."""

    play: int
    """Names it; `StagePlayed` repeats it."""
    code: tuple[LightChip, ...]
    chip_s: float
    """How long a step is held."""
    ramp_s: float
    """How long the light takes to it; 0 is at once."""
    rules: IlluminationPolicy | None
    """Whether it could be used is asked by them."""

    @property
    def step_s(self) -> float:
        """From one step to the next."""
        return self.chip_s + self.ramp_s

    @property
    def seconds(self) -> float:
        """How long all of it takes, with the way back to dark."""
        return len(self.code) * self.step_s + self.ramp_s


@dataclass(frozen=True, slots=True)
class WatchFace:
    """Watch the resting face under constant light and exposure, and say when it is over."""

    play: int
    rules: PulsePolicy


@dataclass(frozen=True, slots=True)
class StopPlay:
    """Switch the light off and release the exposure, whatever is played."""


@dataclass(frozen=True, slots=True)
class WatchFor:
    """Watch for the answer to a prompt, in place of any prompt before it."""

    prompt: int
    """1 for the first prompt of a session, then one more each."""
    action: Action
    prompted_ns: int
    """What began before this moment is no answer."""
    reaction_s: float = 0.0
    """Nor is what began sooner after it than this."""


class DateRole(StrEnum):
    """What a date that is said after a line means; the words stand in `device/dates.toml`."""

    UNTIL = "until"
    """The last day on which the subject counts as certified."""
    NEXT_FROM = "next_from"
    """The first day on which the next certification counts."""
    BY = "by"
    """The last day for the next certification."""


@dataclass(frozen=True, slots=True)
class Dated:
    """A date with what it means."""

    role: DateRole
    day: date


@dataclass(frozen=True, slots=True)
class Prompt:
    """Give a line by voice and screen."""

    line: Line
    dates: tuple[Dated, ...] = ()
    """Said after the line, in this order."""


@dataclass(frozen=True, slots=True)
class SetLamp:
    """Set the status lamp."""

    lamp: Lamp


class Watched(StrEnum):
    """Whether the subject's face was followed from the first sample to the last."""

    WHOLE = "whole"
    CHANGED = "changed"
    """Another face took the place of the first one."""
    BLIND = "blind"
    """The terminal had no frames for a while, and nobody can say who was there meanwhile."""


@dataclass(frozen=True, slots=True)
class Compare:
    """Compare the probe with the claimed subject's reference and the phases with each other, and judge all evidence."""

    policy: Policy
    path: PathName
    phases: tuple[str, ...]
    """Every phase that a sample was taken of or should have been; continuity does not pass without each."""
    watched: Watched = Watched.WHOLE
    purpose: Purpose = Purpose.CERTIFICATION


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Start or restart a timer."""

    timer: Timer
    seconds: float
    line: Line | None = None
    """Given just before: the seconds begin at its end, where the terminal speaks for longer than `line_s`."""
    line_s: float = 0.0
    """What `seconds` holds for the line already."""


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Stop a timer; one that is not running is no error."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Asked:
    """One prompt of the challenge and what came of it."""

    action: Action
    result: Literal["performed", "wrong", "no_answer"]
    seconds: float
    """From prompt to result."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The comparison behind a decision."""

    similarity: float
    samples: int
    thresholds: ComparisonPolicy
    normalised: float | None = None
    cohort_people: int = 0


@dataclass(frozen=True, slots=True)
class StoreRecord:
    """Sign and store what was decided; the runner adds ids, digests and times that the session does not know."""

    session_id: str
    nonce: str
    path: PathName
    witness: str | None
    policy_version: str
    verdict: Verdict
    compared: Compared | None
    evidence: tuple[EvidenceResult, ...]
    challenge: tuple[Asked, ...]
    quality: tuple[tuple[str, float], ...]
    purpose: Purpose = Purpose.CERTIFICATION
    operator: str | None = None


@dataclass(frozen=True, slots=True)
class Recheck:
    """Try the parts that failed again and raise `FaultCleared` or `FaultRaised`."""


Command = (
    StartAcquisition
    | StopAcquisition
    | TakeSample
    | DropSamples
    | AwaitRest
    | WantSample
    | PlayLight
    | WatchFace
    | StopPlay
    | WatchFor
    | Prompt
    | SetLamp
    | Compare
    | StartTimer
    | CancelTimer
    | StoreRecord
    | Recheck
)
