"""Looks at photograph files for the fleet's intake: one report a picture, with the networks loaded once for all."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import BinaryIO

from device.errors import CameraUnavailable
from device.simulated.clips import decode_image
from device.vision.frame import Frame, Pixels
from device.vision.inference import Networks
from device.vision.photo import COVER_MOST, WHITE_SHARE, cover_colour, white_share
from device.vision.pipeline import SubjectObservation, VisionPipeline
from protocol.capture import FeatureReport
from protocol.photo_files import MAX_PIXELS, CheckName, PhotoFileCheck, PhotoReport, jpeg_size, read_framed


class PhotoChecker:
    """Reports on pictures, one after the other.

    Args:
        networks: the terminal's networks.
    """

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._pipeline = VisionPipeline(networks)

    def reports(self, stream: BinaryIO) -> Iterator[PhotoReport]:
        """Give the report of every picture of a stream, in order; one picture at a time is held.

        Raises:
            Malformed: if the stream ends within a picture.
        """
        while (content := read_framed(stream)) is not None:
            yield self.report(content)

    def report(self, content: bytes) -> PhotoReport:
        """Return what a file shows; one that is no picture has a report, too."""
        digest = hashlib.sha256(content).hexdigest()
        pixels = _decoded(content)
        if pixels is None:
            return PhotoReport(sha256=digest, checks=(_check("readable", passed=False),))
        self._pipeline.forget_subject()
        observation = self._pipeline.process(
            Frame(pixels=pixels, sequence=1, monotonic_ns=0), want_features=True, flip_averaging=True
        )
        self._pipeline.forget_subject()
        subject, faces = observation.subject, observation.face_count
        share = round(white_share(pixels), 3)
        checks = [
            _check("readable", passed=True),
            _check("one_face", passed=subject is not None and faces == 1, found=float(faces), asked=1.0),
            _check("white_ground", passed=share >= WHITE_SHARE, found=share, asked=WHITE_SHARE),
        ]
        if subject is not None:
            cover = round(cover_colour(pixels, subject.landmarks), 1)
            checks.append(_check("whole_face", passed=not subject.is_cut_by_border))
            checks.append(_check("bare_head", passed=cover <= COVER_MOST, found=cover, asked=COVER_MOST))
        features = None if subject is None else self._features(subject, is_wanted=faces == 1)
        height, width = pixels.shape[:2]
        return PhotoReport(sha256=digest, width_px=width, height_px=height, checks=tuple(checks), features=features)

    def _features(self, subject: SubjectObservation, *, is_wanted: bool) -> FeatureReport | None:
        found, quality = subject.features, subject.quality
        if found is None:
            return None
        try:
            if not is_wanted or quality is None or subject.is_cut_by_border:
                return None
            return FeatureReport(
                features=base64.b64encode(found.values.astype("<f4").tobytes()).decode(),
                model_name=self._networks.features.manifest.name,
                model_sha256=found.model_digest,
                runtime=self._networks.features.runtime,
                quality={key: round(value, 1) for key, value in quality.components().items()},
                overall_quality=round(quality.overall, 1),
            )
        finally:
            found.erase()


def _decoded(content: bytes) -> Pixels | None:
    size = jpeg_size(content)
    if size is None or size[0] * size[1] > MAX_PIXELS:
        return None
    try:
        return decode_image(content, name="(photograph)")
    except CameraUnavailable:
        return None


def _check(name: CheckName, *, passed: bool, found: float | None = None, asked: float = 1.0) -> PhotoFileCheck:
    return PhotoFileCheck(name=name, passed=passed, found=float(passed) if found is None else found, asked=asked)
