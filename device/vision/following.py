"""From a frame to all boxes and the subject's landmarks, with the detector run as often as the track needs it."""

from __future__ import annotations

from dataclasses import dataclass

from device.vision.detection import DetectedFace, FaceDetector
from device.vision.frame import Frame
from device.vision.inference import Network
from device.vision.landmarks import FaceLandmarks, LandmarkDetector
from device.vision.tracking import FOLLOWED_PRESENCE, SubjectTracker, TrackedFace, moved


@dataclass(frozen=True, slots=True)
class SeenFaces:
    """The faces of one frame."""

    faces: tuple[DetectedFace, ...]
    """All of them."""
    subject: TrackedFace | None
    """None where the subject is not in the picture."""
    landmarks: FaceLandmarks | None
    """The subject's; there are some exactly where there is a subject."""


class FaceFollower:
    """Keeps the subject's track over the frames of one camera.

    A lone face is followed by its landmarks; the detector runs where that ends, see `SubjectTracker`.
    """

    def __init__(self, detection: Network, landmarks: Network) -> None:
        self._detector = FaceDetector(detection)
        self._landmarks = LandmarkDetector(landmarks)
        self._tracker = SubjectTracker()
        self._before: FaceLandmarks | None = None

    def see(self, frame: Frame) -> SeenFaces:
        """Return the faces of the next frame; its time must not run backwards."""
        return self._followed(frame) or self._detected(frame)

    def forget_subject(self) -> None:
        """Let the next frame choose a subject anew, under a new track id."""
        self._tracker.forget_subject()

    def _followed(self, frame: Frame) -> SeenFaces | None:
        """Return the lone face of the last frame where it is now, or None where the detector must look."""
        expected = self._tracker.expected(frame.monotonic_ns)
        if expected is None or self._before is None:
            return None
        landmarks = self._landmarks.find(frame.pixels, expected)
        if landmarks.presence < FOLLOWED_PRESENCE:
            return None
        face = moved(expected, self._before, landmarks)
        tracked = self._tracker.follow(face, frame_size=_size_of(frame), monotonic_ns=frame.monotonic_ns)
        if tracked is None:
            return None
        self._before = landmarks
        return SeenFaces((face,), tracked, landmarks)

    def _detected(self, frame: Frame) -> SeenFaces:
        faces = self._detector.detect(frame.pixels)
        tracked = self._tracker.update(faces, frame_size=_size_of(frame), monotonic_ns=frame.monotonic_ns)
        if tracked is None:
            return SeenFaces(faces, None, None)
        self._before = self._landmarks.find(frame.pixels, tracked.face)
        return SeenFaces(faces, tracked, self._before)


def _size_of(frame: Frame) -> tuple[int, int]:
    """Return width and height."""
    height, width = frame.pixels.shape[:2]
    return width, height
