"""Pictures for a case: taken with the camera's large size, checked, made a JPEG; the features that a check needs are kept until the end.

Belongs to the vision worker's thread. What it gives away is the JPEG alone, for the operator to look at and for the fleet, sealed.
"""

from __future__ import annotations

import cv2
import numpy as np

from device.errors import PictureTooLarge
from device.ports import Camera, Viewfinder
from device.runner.orders import Picture, TakeStill
from device.vision.comparison import compare
from device.vision.features import FeatureVector
from device.vision.frame import Frame, Pixels
from device.vision.geometry import Box
from device.vision.photo import check_photo
from device.vision.pipeline import VisionPipeline
from protocol.cases import PhotoRole
from protocol.references import protect

LONGEST_PX = 1600
MOST_SENT_BYTES = 512 * 1024
"""Of the JPEG: sealed and in base64 it stays under a message of 1 MiB."""
_QUALITIES = (90, 80, 70, 55, 40)


class Photographer:
    """Shows what the camera sees, and takes and checks pictures.

    Args:
        camera: of the terminal.
        pipeline: the face processing of the sessions; it forgets whom it followed.
        viewfinder: shows the person what the camera sees; None where nothing does.
    """

    def __init__(self, camera: Camera, pipeline: VisionPipeline, viewfinder: Viewfinder | None) -> None:
        self._camera = camera
        self._pipeline = pipeline
        self._viewfinder = viewfinder
        self.is_aiming = False
        """Whether frames are wanted outside a session, only to be shown."""
        self._card: FeatureVector | None = None
        """The face on the identity card, to compare the next picture with."""

    def aim(self, *, is_on: bool) -> None:
        """Begin or stop to show what the camera sees outside a session."""
        if self.is_aiming and not is_on:
            self.show_nothing()
        self.is_aiming = is_on

    def look(self, timeout_s: float) -> None:
        """Show the next frame while somebody aims. Raises `CameraUnavailable`."""
        frame = self._camera.capture(timeout_s)
        if frame is not None:
            self.show(frame)

    def show(self, frame: Frame) -> None:
        """Show a frame to whoever looks."""
        if self._viewfinder is not None and self._viewfinder.is_watched:
            self._viewfinder.show(frame)

    def show_nothing(self) -> None:
        """Take the picture away."""
        if self._viewfinder is not None:
            self._viewfinder.clear()

    def take(self, order: TakeStill) -> Picture:
        """Take a picture.

        Raises:
            CameraUnavailable: if none comes.
            PictureTooLarge: if it does not get small enough to be sent.
        """
        frame = self._camera.still()
        jpeg, shown = encode(frame.pixels)
        features, quality, boxes = self._face(frame)
        similarity = None
        if order.role is PhotoRole.WITH_NEWSPAPER and self._card is not None and features is not None:
            similarity = compare(features, self._card).similarity
        reference = None
        if features is not None and order.keep_as is not None and len(boxes) == 1:
            values = protect(features.values.astype("float32", copy=False), order.keep_as.secret)
            reference = FeatureVector(values, features.model_digest, order.keep_as.domain)
        if order.role is PhotoRole.IDENTITY_CARD:
            self.forget()
            self._card = features
        elif features is not None:
            features.erase()
        return Picture(
            role=order.role,
            jpeg=jpeg,
            width_px=shown[1],
            height_px=shown[0],
            checks=check_photo(
                frame.pixels,
                role=order.role,
                image_bytes=len(jpeg),
                faces=boxes,
                quality=quality,
                minimum=order.minimum,
                similarity=similarity,
                least_similarity=order.least_similarity,
            ),
            reference=reference,
            quality=max(0.0, min(quality.values(), default=0.0)),
        )

    def forget(self) -> None:
        """Forget the face on the card."""
        if self._card is not None:
            self._card.erase()
            self._card = None

    def _face(self, frame: Frame) -> tuple[FeatureVector | None, dict[str, float], list[Box]]:
        self._pipeline.forget_subject()
        observation = self._pipeline.process(frame, want_features=True, flip_averaging=True)
        self._pipeline.forget_subject()
        subject = observation.subject
        if subject is None:
            return None, {}, []
        # Only how many others there are matters, and where the largest one is.
        boxes = [subject.box] * observation.face_count
        quality = {} if subject.quality is None else subject.quality.components()
        return subject.features, quality, boxes


def encode(pixels: Pixels) -> tuple[bytes, tuple[int, int]]:
    """Return a JPEG of at most `MOST_SENT_BYTES` and its height and width.

    Args:
        pixels: uint8 (H, W, 3) RGB.

    Raises:
        PictureTooLarge: if no quality makes it small enough.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, LONGEST_PX / max(height, width))
    shown = pixels
    if scale < 1.0:
        shown = np.asarray(
            cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA), np.uint8
        )
    bgr = np.ascontiguousarray(shown[:, :, ::-1])
    for quality in _QUALITIES:
        is_made, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if is_made and data.size <= MOST_SENT_BYTES:
            return data.tobytes(), (shown.shape[0], shown.shape[1])
    raise PictureTooLarge("picture: does not get small enough to be sent")
