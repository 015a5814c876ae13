"""What the loop orders the vision worker to do, beside the session's own commands, and the news that come back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from device.session.commands import (
    AwaitRest,
    DropSamples,
    PlayLight,
    StartAcquisition,
    StopAcquisition,
    StopPlay,
    TakeSample,
    WantSample,
    Watched,
    WatchFace,
    WatchFor,
)
from device.session.events import (
    CameraStalled,
    ChallengeAnswered,
    FaultCleared,
    FaultRaised,
    FrameRateLow,
    SampleAssessed,
    StagePlayed,
)
from device.vision.features import FeatureVector
from device.vision.normalisation import CohortMember, CohortRules
from device.vision.shadow import Fate, Move
from protocol.cases import PhotoCheck, PhotoRole
from protocol.evidence import EvidenceResult
from protocol.policy import PathName, Policy


@dataclass(frozen=True, slots=True)
class KeyOf:
    """A key domain with its secret; its repr shows no secret."""

    domain: str
    secret: bytes

    def __repr__(self) -> str:
        return f"KeyOf({self.domain})"


@dataclass(frozen=True, slots=True)
class TakeStill:
    """Order: take a picture."""

    number: int
    """The news that comes of it has the same; whoever ordered knows by it whether it is still wanted."""
    role: PhotoRole
    minimum: Mapping[str, float]
    """Quality of a live sample, by component."""
    least_similarity: float
    """Below it the faces of two pictures may be of two people."""
    keep_as: KeyOf | None = None
    """Under which key the face is wanted as a reference; None where it is not."""

    def __repr__(self) -> str:
        return f"TakeStill({self.role})"


@dataclass(frozen=True, slots=True)
class Aim:
    """Order: show what the camera sees outside a session, so that somebody can take a picture, or stop it."""

    is_on: bool


@dataclass(frozen=True, slots=True)
class ForgetStills:
    """Order: forget what was kept for checks."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was taken; its repr shows nothing of it."""

    role: PhotoRole
    jpeg: bytes
    width_px: int
    height_px: int
    checks: tuple[PhotoCheck, ...]
    reference: FeatureVector | None = None
    """int8 (D,) protected, where it was wanted and there is exactly one face."""
    quality: float = 0.0
    """Of the face as a reference, 0..100."""

    def __repr__(self) -> str:
        return f"Picture({self.role})"

    def erase(self) -> None:
        """Zero the face's features."""
        if self.reference is not None:
            self.reference.erase()

    @property
    def sha256(self) -> str:
        """Digest of the JPEG."""
        return hashlib.sha256(self.jpeg).hexdigest()


@dataclass(frozen=True, slots=True)
class PictureTaken:
    """News: a picture was taken."""

    number: int
    """Of the order."""
    picture: Picture


@dataclass(frozen=True, slots=True)
class PictureNotTaken:
    """News: the camera gave none."""

    number: int
    """Of the order."""
    role: PhotoRole


@dataclass(frozen=True, slots=True)
class CompareWith:
    """Order: compare the probe with a reference and the phases with each other, and judge all evidence."""

    reference: FeatureVector | None
    """Protected features, int8 (D,)."""
    key: bytes
    """The reference's key domain secret."""
    policy: Policy
    path: PathName
    phases: tuple[str, ...]
    watched: Watched = Watched.WHOLE
    subject_id: str = ""
    cohort: tuple[CohortMember, ...] = ()
    """Other people's references, for a policy that judges normalised scores."""
    rules: CohortRules | None = None
    keep_as: KeyOf | None = None
    """Under which key the probe is wanted as a reference; None where it is not."""

    def __repr__(self) -> str:
        return f"CompareWith({self.reference!r})"

    def erase(self) -> None:
        """Zero all features that came with the order."""
        if self.reference is not None:
            self.reference.erase()
        for member in self.cohort:
            member.features.erase()


@dataclass(frozen=True, slots=True)
class Reopen:
    """Order: close camera and ring light, open them again and see whether a frame comes."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a comparison gave; the runner adds day and clock."""

    at_ns: int
    similarity: float | None
    samples: int
    evidence: tuple[EvidenceResult, ...]
    quality: tuple[tuple[str, float], ...]
    normalised: float | None = None
    cohort_people: int = 0
    reference: FeatureVector | None = None
    """The probe as a protected reference, int8 (D,), where it was wanted; the receiver erases it."""
    unified_quality: float = 0.0
    """Of the probe, 0..100, by the policy's minima."""


@dataclass(frozen=True, slots=True)
class EndShadow:
    """Order: the session whose faces are held for the network in the shadow has ended."""

    record_id: str | None = None
    """The record of the session if it certified; only then the network is run on them."""
    move: Move | Fate = Fate.NOT_ON_ROSTER
    """How a reference is made of them, or why none can be."""


@dataclass(frozen=True, slots=True)
class Borrowed:
    """Order: do something with camera or ring light for whoever borrowed them; it belongs to no session."""

    work: Callable[[], None]
    """Raises nothing."""


Order = (
    Aim
    | Borrowed
    | TakeStill
    | ForgetStills
    | StartAcquisition
    | StopAcquisition
    | TakeSample
    | DropSamples
    | AwaitRest
    | WantSample
    | PlayLight
    | WatchFace
    | StopPlay
    | WatchFor
    | CompareWith
    | EndShadow
    | Reopen
)
News = (
    SampleAssessed
    | ChallengeAnswered
    | FrameRateLow
    | StagePlayed
    | CameraStalled
    | Findings
    | FaultRaised
    | FaultCleared
    | PictureTaken
    | PictureNotTaken
)
