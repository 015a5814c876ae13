"""Pictures from files: image folders, video files and GIFs, read one after the other."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from device.errors import CameraUnavailable
from device.vision.frame import Pixels

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
FOLDER_RATE = 10.0
"""Frames per second of an image folder, which does not say; the rate at which the shipped clips were rendered."""
_RATES = (1.0, 240.0)
"""A video file that claims another rate than these is not believed."""


class Clip:
    """A clip on disk; it is opened anew by each reader.

    Raises:
        CameraUnavailable: if there is nothing readable at the path, with one message that names it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_dir():
            self._images = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
            if not self._images:
                raise CameraUnavailable(f"image folder {path}: no image in it")
            self.rate = FOLDER_RATE
        else:
            self._images = []
            self.rate = _probe_rate(path)

    def pictures(self) -> Iterator[Pixels]:
        """Give the pictures in order, uint8 (H, W, 3) RGB.

        Raises:
            CameraUnavailable: if a picture cannot be decoded, or the file ends before its first one.
        """
        if self._images:
            for image in self._images:
                yield read_image(image)
            return
        count = 0
        video = _open(self.path)
        try:
            while True:
                is_read, picture = video.read()
                if not is_read:
                    break
                count += 1
                yield np.ascontiguousarray(picture[:, :, ::-1], dtype=np.uint8)
            stated = video.get(cv2.CAP_PROP_FRAME_COUNT)
        finally:
            video.release()
        if count == 0:
            raise CameraUnavailable(f"video {self.path}: no frame can be decoded")
        if stated > 0 and count < stated:
            logger.warning("video ends early frames=%d stated=%d", count, int(stated))


def read_image(path: Path) -> Pixels:
    """Read one image file as uint8 (H, W, 3) RGB.

    Raises:
        CameraUnavailable: if it is missing, empty or cannot be decoded.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CameraUnavailable(f"image {path}: cannot be read: {error.strerror}") from error
    return decode_image(content, name=path.name)


def decode_image(content: bytes, *, name: str) -> Pixels:
    """Decode an image, turned as its EXIF data says, into uint8 (H, W, 3) RGB.

    Raises:
        CameraUnavailable: if it is empty, damaged or no image.
    """
    if not content:
        raise CameraUnavailable(f"image {name}: the file is empty")
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise CameraUnavailable(f"image {name}: cannot be decoded") from error
    if picture is None:
        raise CameraUnavailable(f"image {name}: cannot be decoded; damaged or not an image")
    return np.ascontiguousarray(picture[:, :, ::-1], dtype=np.uint8)


def encode_png(pixels: Pixels) -> bytes:
    """Return a picture, uint8 (H, W, 3) RGB, as a PNG file."""
    return cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes()


def _probe_rate(path: Path) -> float:
    video = _open(path)
    rate = float(video.get(cv2.CAP_PROP_FPS))
    is_read, _ = video.read()
    video.release()
    if not is_read:
        raise CameraUnavailable(f"video {path}: no frame can be decoded; damaged or truncated")
    return rate if _RATES[0] <= rate <= _RATES[1] else FOLDER_RATE


def _open(path: Path) -> cv2.VideoCapture:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise CameraUnavailable(f"video {path}: cannot be read: {error.strerror}") from error
    if size == 0:
        raise CameraUnavailable(f"video {path}: the file is empty")
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not video.isOpened():
        video.release()
        raise CameraUnavailable(f"video {path}: cannot be opened; damaged or not a video")
    return video
