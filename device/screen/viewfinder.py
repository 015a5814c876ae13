"""What the camera sees, for the page: the newest frame alone, small, mirrored, never written anywhere."""

from __future__ import annotations

import threading

import cv2
import numpy as np

from device.vision.frame import Frame, Pixels

WIDTH_PX = 480
"""Wide enough to see where one stands; a third of what a full picture costs to encode."""
_QUALITY = 75


class LatestFrame:
    """See `device.ports.Viewfinder`. Frames come from the camera's thread; each watcher encodes in its own."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pixels: Pixels | None = None
        self._serial = 0
        self._watchers = 0

    @property
    def is_watched(self) -> bool:
        """Whether a page shows the picture."""
        return self._watchers > 0

    def show(self, frame: Frame) -> None:
        """Hold the newest frame in place of the one before."""
        with self._changed:
            self._pixels = frame.pixels
            self._serial += 1
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget it."""
        with self._changed:
            self._pixels = None
            self._serial += 1
            self._changed.notify_all()

    def watch(self) -> None:
        """Count a watcher in; every one must be counted out."""
        with self._changed:
            self._watchers += 1

    def unwatch(self) -> None:
        """Count a watcher out."""
        with self._changed:
            self._watchers -= 1

    def next_jpeg(self, after: int, timeout_s: float) -> tuple[int, bytes | None]:
        """Return number and JPEG of the next frame, None in its place where there is none or it was taken away.

        Args:
            after: number of the frame seen last, 0 for none.
            timeout_s: longest wait.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._serial > after, timeout_s)
            serial, pixels = self._serial, self._pixels
        if serial == after or pixels is None:
            return serial, None
        return serial, encode(pixels)


def encode(pixels: Pixels) -> bytes:
    """Return a small, mirrored JPEG: whoever moves to the left moves to the left of the picture, as before a mirror.

    Args:
        pixels: uint8 (H, W, 3) RGB.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, WIDTH_PX / width)
    small = cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(small[:, ::-1, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()
