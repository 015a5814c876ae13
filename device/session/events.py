"""What can happen to a certification session; plain values only, every one with the monotonic moment it happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from protocol.entitlements import Rule
from protocol.evidence import EvidenceResult
from protocol.policy import PathName, Policy
from protocol.records import Purpose
from protocol.rules.acts import Channel


class Timer(StrEnum):
    """Timers a session can start."""

    ACQUIRE = "acquire"
    """Bounds the wait for enough acceptable frames."""
    FACE_LOST = "face_lost"
    """Bounds how long the face may be out of the picture."""
    REST = "rest"
    """Bounds the wait for a face at rest, before a prompt and after the last action."""
    ANSWER = "answer"
    """Bounds one prompt of the challenge and its answer."""
    TOLD = "told"
    """Runs out when a line has been said that the rest before the next prompt waits for."""
    STAGE = "stage"
    """Bounds a light code, and watching the face."""
    RECOVER = "recover"
    """Bounds the wait for a camera that gives no frames."""
    COMPARE = "compare"
    """Bounds the wait for comparison and evidence."""
    STORE = "store"
    """Bounds the wait for the record to be on the disk."""
    RESULT = "result"
    """How long the result stays."""
    RETRY = "retry"
    """When a faulted terminal looks again."""


class Fault(StrEnum):
    """What is broken."""

    CAMERA = "camera"
    LIGHT = "light"
    VISION = "vision"
    STORAGE = "storage"
    SHUTDOWN = "shutdown"
    """Nothing is broken; the terminal is being stopped."""


class ClaimProblem(StrEnum):
    """Why a claim does not begin a session."""

    UNREADABLE = "unreadable"
    """No valid document number, e.g. a wrong check digit."""
    POWER_FAILING = "power_failing"
    """The mains is gone and the reserve will not last; a session that began now might not end."""
    BUSY = "busy"
    """Another session is under way; the person before is still being served."""
    NOT_READY = "not_ready"
    """The terminal has no roster in force, so it cannot say who anybody is; or no keys for a reference card."""
    ROSTER_EXPIRED = "roster_expired"
    """The terminal had a roster, but has not heard of its fleet for so long that it may not use it any more."""
    OFFLINE_LIMIT = "offline_limit"
    """The fleet was not heard of for too long, or has too many records still to confirm (`protocol.offline`)."""
    CARD_GARBLED = "card_garbled"
    """A reference card that cannot be read: damaged, or of a kind this program does not know."""
    CARD_FOREIGN = "card_foreign"
    """A reference card of another agency, or one made with card keys that are no longer in use."""
    CARD_EXPIRED = "card_expired"
    """A reference card whose last day has passed."""
    CARD_REVOKED = "card_revoked"
    """A reference card that is not to be taken any more."""
    CARD_OF_ANOTHER = "card_of_another"
    """A reference card together with a document number that is not of the person it was made for."""


@dataclass(frozen=True, slots=True)
class ClaimPresented:
    """A person claims to be a subject."""

    at_ns: int
    session_id: str
    """Random, 32 hexadecimal digits."""
    nonce: str
    """Random, 32 hexadecimal digits; challenge and light are drawn from it."""
    is_subject_known: bool
    """Whether the roster has the claim."""
    has_reference: bool
    """Whether a reference is there that is valid and was made by the network in use."""
    is_reference_provisional: bool
    """Whether that reference is a photograph nobody has confirmed."""
    path: PathName
    witness: str | None
    """Opaque id of the worker who vouches for the presentation; None when nobody does."""
    network: str
    """Name of the feature network in use; the policy has thresholds by it."""
    policy: Policy | None
    purpose: Purpose = Purpose.CERTIFICATION
    operator: str | None = None
    """Opaque id of who is signed in; None when nobody is."""
    may_enrol: bool = False
    """Whether that operator may enrol."""
    rules: tuple[Rule, ...] = ()
    """What the rule packs ask about the subject's benefits."""
    channel: Channel = Channel.TERMINAL
    """At the terminal, or on a visit."""


@dataclass(frozen=True, slots=True)
class ClaimRefused:
    """Something was presented that cannot begin a session."""

    at_ns: int
    problem: ClaimProblem


@dataclass(frozen=True, slots=True)
class SampleAssessed:
    """A frame was looked at."""

    at_ns: int
    sequence: int
    """The camera's frame number; `TakeSample` names it."""
    track_id: int | None
    """The subject's face track; None when there is no face."""
    quality: tuple[tuple[str, float], ...] = ()
    """Named components 0..100, larger = better; empty when there is no face or no sample was wanted of the frame."""
    has_features: bool = False
    """Whether the frame's features are there, so that a sample can be taken of it."""
    is_at_rest: bool = False
    """Whether head and mouth are near their rest."""
    faces: int = 1
    """Faces of a size to be taken for the subject's, the subject's own included."""
    is_blind: bool = False
    """Whether no face was seen because there was no frame, and not because nobody was there."""


@dataclass(frozen=True, slots=True)
class ChallengeAnswered:
    """The subject did something after a prompt."""

    at_ns: int
    prompt: int
    """The number that `WatchFor` gave the prompt; an answer to an older one is none."""
    is_performed: bool
    """Whether it was what the prompt asked for; if not it was another action."""
    sequence: int | None = None
    """The frame, with features, that shows the action; None when there is none that can be compared."""


@dataclass(frozen=True, slots=True)
class FrameRateLow:
    """Frames come too slowly to see the action that a prompt asks for."""

    at_ns: int
    prompt: int


@dataclass(frozen=True, slots=True)
class StagePlayed:
    """The light code was played to its end, or the face was watched for long enough."""

    at_ns: int
    play: int
    """The number that `PlayLight` or `WatchFace` gave it."""
    is_usable: bool
    """Whether the face stayed and held still enough to be judged."""


@dataclass(frozen=True, slots=True)
class CameraStalled:
    """No frame has come for a while; the camera is being opened again. The next `SampleAssessed` says that frames come."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class ComparisonDone:
    """Comparison and the evidence that rests on features are there."""

    at_ns: int
    similarity: float | None
    """Cosine of probe and reference, -1..1, larger = more alike; None when no comparison was possible."""
    samples: int
    """Frames the probe was fused from; fewer than the policy asks for make no comparison."""
    evidence: tuple[EvidenceResult, ...]
    """Continuity, and every further kind that this terminal has."""
    quality: tuple[tuple[str, float], ...]
    """Components of the probe, 0..100."""
    day: date
    """The day of the decision where the terminal stands."""
    clock_uncertainty_s: float | None
    """Bound on the wall clock's error; None when nothing bounds it."""
    normalised: float | None = None
    """The normalised score, -2..2, larger = more alike; None where there was no cohort for one."""
    cohort_people: int = 0
    """How many others the cohort was made of."""


@dataclass(frozen=True, slots=True)
class StartPressed:
    """The start button."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class RepeatPressed:
    """The button that asks for the prompt again."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class CancelPressed:
    """The cancel button."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class TimerExpired:
    """A timer started by the session ran out."""

    at_ns: int
    timer: Timer


@dataclass(frozen=True, slots=True)
class RecordStored:
    """The signed record is on the disk."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class RecordNotStored:
    """The record could not be put on the disk: it is full or does not answer."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class FaultRaised:
    """A part of the terminal failed."""

    at_ns: int
    fault: Fault


@dataclass(frozen=True, slots=True)
class FaultCleared:
    """Everything a session needs works again."""

    at_ns: int


Event = (
    ClaimPresented
    | ClaimRefused
    | SampleAssessed
    | ChallengeAnswered
    | FrameRateLow
    | StagePlayed
    | CameraStalled
    | ComparisonDone
    | StartPressed
    | RepeatPressed
    | CancelPressed
    | TimerExpired
    | RecordStored
    | RecordNotStored
    | FaultRaised
    | FaultCleared
)

EVENTS: tuple[type[Event], ...] = (
    ClaimPresented,
    ClaimRefused,
    SampleAssessed,
    ChallengeAnswered,
    FrameRateLow,
    StagePlayed,
    CameraStalled,
    ComparisonDone,
    StartPressed,
    RepeatPressed,
    CancelPressed,
    TimerExpired,
    RecordStored,
    RecordNotStored,
    FaultRaised,
    FaultCleared,
)
"""Every kind of event, for the table's completeness."""
