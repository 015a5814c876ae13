"""The Raspberry Pi camera through picamera2.

Verified so far against a stand-in for the library only, not on a Raspberry Pi; see `docs/verified.md`.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

import numpy as np

from device.errors import CameraUnavailable
from device.vision.frame import Frame

logger = logging.getLogger(__name__)

SIZE = (640, 480)
"""Width and height of the frames: the size the networks were evaluated at; the ISP scales, not the CPU."""
FRAME_RATE = 30.0
"""Frames per second; eye evidence needs 15, and the spare half is for dark rooms, where the exposure grows."""
BUFFERS = 4
"""Buffers of the camera: one held by us, the rest keep the sensor running without a gap."""


class Picamera2Camera:
    """See `device.ports.Camera`. The library is imported in `start`, so that the rest runs where it is not installed."""

    def __init__(self, index: int = 0) -> None:
        self._index = index
        self._device: Any = None
        self._pending: Any = None
        self._sequence = 0

    def start(self) -> None:
        """Open the sensor and begin to stream."""
        if self._device is not None:
            raise CameraUnavailable(f"camera {self._index}: in use already")
        try:
            library = importlib.import_module("picamera2")
        except ImportError as error:
            raise CameraUnavailable(
                f"picamera2 cannot be imported: {error}; on Raspberry Pi OS it comes with apt"
            ) from error
        device: Any = None
        try:
            device = library.Picamera2(self._index)
            # Without the queue a capture waits for a frame that begins now; with it the first one would be old.
            device.configure(
                device.create_video_configuration(
                    main={"size": SIZE, "format": "RGB888"},
                    controls={"FrameRate": FRAME_RATE},
                    buffer_count=BUFFERS,
                    queue=False,
                )
            )
            device.start()
        except (RuntimeError, OSError, IndexError, ValueError) as error:
            if device is not None:
                _close(device)
            raise CameraUnavailable(f"camera {self._index}: cannot be opened: {error}") from error
        self._device = device

    def capture(self, timeout_s: float) -> Frame | None:
        """Return the next frame, or None when none came in time."""
        if self._device is None:
            raise CameraUnavailable(f"camera {self._index}: not open")
        try:
            self._drop_old_frame()
            # A request that timed out stays asked for: the next call takes it over, and no buffer is lost.
            self._pending = self._pending or self._device.capture_request(wait=False)
            request = self._pending.get_result(timeout=timeout_s)
        except TimeoutError:
            return None
        except (RuntimeError, OSError) as error:
            self._pending = None
            raise CameraUnavailable(f"camera {self._index}: capture failed: {error}") from error
        self._pending = None
        try:
            pixels = request.make_array("main")
            stamp = request.get_metadata()["SensorTimestamp"]
        except (RuntimeError, OSError, KeyError) as error:
            raise CameraUnavailable(f"camera {self._index}: frame cannot be read: {error}") from error
        finally:
            request.release()
        self._sequence += 1
        # libcamera names formats by the 24-bit word, so "RGB888" lies in memory as B, G, R. Its time is CLOCK_BOOTTIME,
        # which on a board that never suspends is CLOCK_MONOTONIC.
        return Frame(pixels=np.ascontiguousarray(pixels[:, :, 2::-1]), sequence=self._sequence, monotonic_ns=int(stamp))

    def stop(self) -> None:
        """Close the sensor."""
        device, self._device, self._pending = self._device, None, None
        if device is not None:
            _close(device)

    def _drop_old_frame(self) -> None:
        """Give back what came for a request of an earlier call: it may show who stood here a session ago."""
        if self._pending is None:
            return
        try:
            request = self._pending.get_result(timeout=0)
        except TimeoutError:
            return
        self._pending = None
        request.release()


def _close(device: Any) -> None:
    try:
        device.stop()
        device.close()
    except (RuntimeError, OSError) as error:
        logger.warning("camera did not close cleanly why=%s", error)
