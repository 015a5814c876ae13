"""Features of the one face in a picture, for enrolment."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta

from device.errors import PictureUnsuitable
from device.simulated.clips import decode_image
from device.vision.features import FeatureVector
from device.vision.frame import Frame, Pixels
from device.vision.inference import Networks
from device.vision.pipeline import VisionPipeline
from device.vision.quality import QualityAssessment
from protocol.capture import FeatureReport
from protocol.references import CaptureKind, LegalBasis, Reference, encode_features, protect

_VALIDITY = timedelta(days=366)
"""Of a reference that lives as long as one run of `certify`; any day from tomorrow on would do."""


def observe_picture(pixels: Pixels, networks: Networks, *, name: str) -> tuple[QualityAssessment, FeatureVector]:
    """Find the one face of a picture and its flip-averaged features.

    Args:
        pixels: uint8 (H, W, 3) RGB.
        networks: the terminal's networks.
        name: of the picture, for messages.

    Raises:
        PictureUnsuitable: if there is no face, more than one, or one that the border cuts.
    """
    frame = Frame(pixels=pixels, sequence=1, monotonic_ns=0)
    observation = VisionPipeline(networks).process(frame, want_features=True, flip_averaging=True)
    subject = observation.subject
    if subject is None or subject.features is None or subject.quality is None:
        fault = "no face found, one expected"
    elif observation.face_count > 1:
        fault = f"{observation.face_count} faces found, one expected"
    elif subject.is_cut_by_border:
        fault = "the face is cut by the border; the whole face is needed"
    else:
        return subject.quality, subject.features
    if subject is not None and subject.features is not None:
        subject.features.erase()
    raise PictureUnsuitable(f"picture {name}: {fault}")


def feature_report(content: bytes, networks: Networks, *, name: str) -> FeatureReport:
    """Return what the fleet needs of a picture to make a reference.

    Raises:
        CameraUnavailable: if the bytes are no picture.
        PictureUnsuitable: if they do not show exactly one whole face.
    """
    quality, features = observe_picture(decode_image(content, name=name), networks, name=name)
    report = FeatureReport(
        features=base64.b64encode(features.values.astype("<f4").tobytes()).decode(),
        model_name=networks.features.manifest.name,
        model_sha256=features.model_digest,
        runtime=networks.features.runtime,
        quality={key: round(value, 1) for key, value in quality.components().items()},
        overall_quality=round(quality.overall, 1),
    )
    features.erase()
    return report


def reference_of(
    content: bytes, networks: Networks, *, name: str, key: bytes, key_domain: str, capture: CaptureKind, now: datetime
) -> Reference:
    """Enrol a picture under a throw-away key.

    Raises:
        CameraUnavailable: if the bytes are no picture.
        PictureUnsuitable: if they do not show exactly one whole face.
    """
    quality, features = observe_picture(decode_image(content, name=name), networks, name=name)
    protected = protect(features.values.astype("float32"), key)
    features.erase()
    return Reference(
        reference_id=hashlib.sha256(protected.tobytes()).hexdigest()[:32],
        features=encode_features(protected),
        model_sha256=networks.features.digest,
        runtime=networks.features.runtime,
        key_domain=key_domain,
        quality=round(quality.overall, 1),
        capture=capture,
        legal_basis=LegalBasis.CONSENT,
        captured_at=now,
        valid_until=(now + _VALIDITY).date(),
    )
