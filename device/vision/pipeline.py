"""The whole way from a frame to plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from device.vision.eyelids import EyelidDetector, EyeOpenness
from device.vision.features import FeatureExtractor, FeatureVector
from device.vision.following import FaceFollower
from device.vision.frame import Frame, Pixels
from device.vision.geometry import Box
from device.vision.inference import Networks
from device.vision.landmarks import FaceLandmarks
from device.vision.pose import HeadPose, head_pose, mouth_openness
from device.vision.quality import QualityAssessment, assess
from device.vision.tracking import TrackedFace


@dataclass(frozen=True, slots=True)
class SubjectObservation:
    """What a frame shows of the subject."""

    track_id: int
    """The same number means unbroken presence; see `device.vision.tracking`."""
    box: Box
    """Face box in frame pixels."""
    is_cut_by_border: bool
    """Whether the box reaches over the frame's border."""
    detection_score: float
    """0..1, larger = more surely a face."""
    presence: float
    """0..1, the landmark network's word on whether there is a face."""
    interocular_px: float
    """Distance between the eyes in pixels."""
    pose: HeadPose
    openness: EyeOpenness | None
    """None where the eyes were not looked at."""
    mouth: float
    """Lip distance divided by mouth width, 0 closed."""
    quality: QualityAssessment | None
    """None where no sample is to be taken of the frame."""
    landmarks: FaceLandmarks
    """Of the face, in frame pixels; for evidence that follows single places of it."""
    similar_faces: int = 1
    """Faces at least half as wide as the subject's, the subject's own included: a head at twice the distance is half as wide, and who
    stands nearer than that is in the picture with the subject."""
    crop: Pixels | None = field(default=None, repr=False)
    """The aligned face, uint8 (h, w, 3), that quality and features were made from; never kept."""
    features: FeatureVector | None = None
    """Only where asked for; ends in the vision worker."""


@dataclass(frozen=True, slots=True)
class FrameObservation:
    """What one frame shows."""

    sequence: int
    monotonic_ns: int
    face_count: int
    """All faces, the subject's included."""
    subject: SubjectObservation | None
    """None where the subject is not in the picture."""
    is_late: bool = False
    """Whether the frame is not newer than the one before: repeated or out of order. Nothing was looked for in it."""


class VisionPipeline:
    """Tracking, landmarks, eyelids, quality and, where asked, features of each frame; detection as often as the track needs it.

    It keeps the track of the subject, so it serves one camera, one frame after another, on one thread.
    """

    def __init__(self, networks: Networks) -> None:
        self._follower = FaceFollower(networks.detection, networks.landmarks)
        self._eyelids = EyelidDetector(networks.eyelids)
        self._extractor = FeatureExtractor(networks.features)
        self._last_ns: int | None = None

    @property
    def model_digest(self) -> str:
        """SHA-256 of the feature network."""
        return self._extractor.model_digest

    def process(
        self,
        frame: Frame,
        *,
        want_features: bool = False,
        want_quality: bool = True,
        want_eyes: bool = True,
        flip_averaging: bool = False,
    ) -> FrameObservation:
        """Observe the next frame.

        Args:
            frame: the frame; one that is not newer than the last is not looked at.
            want_features: whether to run the feature network on the subject.
            want_quality: whether to assess the quality of the frame as a sample; always done where features are wanted.
            want_eyes: whether to look how far the eyes are open, a third of the work of a frame; always done for quality.
            flip_averaging: for enrolment, see `FeatureExtractor.extract`.
        """
        if self._last_ns is not None and frame.monotonic_ns <= self._last_ns:
            return FrameObservation(frame.sequence, frame.monotonic_ns, face_count=0, subject=None, is_late=True)
        self._last_ns = frame.monotonic_ns
        seen = self._follower.see(frame)
        subject = None
        if seen.subject is not None and seen.landmarks is not None:
            others = [face.box for face in seen.faces if face is not seen.subject.face]
            subject = self._observe(
                frame.pixels,
                seen.subject,
                seen.landmarks,
                others,
                want_features=want_features,
                want_quality=want_quality or want_features,
                want_eyes=want_eyes,
                flip_averaging=flip_averaging,
            )
        return FrameObservation(
            sequence=frame.sequence, monotonic_ns=frame.monotonic_ns, face_count=len(seen.faces), subject=subject
        )

    def features_of(self, frame: Frame, subject: SubjectObservation) -> FeatureVector:
        """Return the features of a subject that was observed without, in the frame that shows it."""
        return self._extractor.extract(self._extractor.aligned(frame.pixels, subject.landmarks))

    def forget_subject(self) -> None:
        """Let the next frame choose a subject anew, under a new track id; for the start of a certification session."""
        self._follower.forget_subject()
        self._last_ns = None

    def _observe(
        self,
        pixels: Pixels,
        tracked: TrackedFace,
        landmarks: FaceLandmarks,
        others: Sequence[Box],
        *,
        want_features: bool,
        want_quality: bool,
        want_eyes: bool,
        flip_averaging: bool,
    ) -> SubjectObservation:
        face = tracked.face
        openness = self._eyelids.measure(pixels, landmarks) if want_eyes or want_quality else None
        pose, mouth = head_pose(landmarks), mouth_openness(landmarks)
        crop = quality = None
        if want_quality and openness is not None:
            crop = self._extractor.aligned(pixels, landmarks)
            quality = assess(
                pixels,
                box=face.box,
                others=others,
                landmarks=landmarks,
                pose=pose,
                openness=openness,
                mouth=mouth,
                crop=crop,
            )
        features = None
        if want_features and crop is not None:
            features = self._extractor.extract(crop, flip_averaging=flip_averaging)
        return SubjectObservation(
            track_id=tracked.track_id,
            box=face.box,
            is_cut_by_border=tracked.is_cut_by_border,
            detection_score=face.score,
            presence=landmarks.presence,
            interocular_px=landmarks.interocular_px,
            pose=pose,
            openness=openness,
            mouth=mouth,
            quality=quality,
            landmarks=landmarks,
            similar_faces=1 + sum(2 * (other[2] - other[0]) >= face.box[2] - face.box[0] for other in others),
            crop=crop,
            features=features,
        )
