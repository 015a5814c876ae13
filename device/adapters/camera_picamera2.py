"""The Raspberry Pi camera through picamera2.

Verified so far against a stand-in for the library only, not on a Raspberry Pi; see `docs/verified.md`.
"""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

from device.errors import CameraUnavailable
from device.vision.frame import CaptureMetadata, Frame

logger = logging.getLogger(__name__)

SIZE = (640, 480)
"""Width and height of the frames: the size the networks were evaluated at; the ISP scales, not the CPU."""
FRAME_RATE = 30.0
"""Frames per second; eye evidence needs 15, and the spare half is for dark rooms, where the exposure grows."""
BUFFERS = 4
"""Buffers of the camera: one held by us, the rest keep the sensor running without a gap."""


@dataclass(frozen=True, slots=True)
class _Exposure:
    """What a frame was taken with."""

    time_us: float
    analogue_gain: float
    colour_gains: tuple[float, float] | None
    """Of red and blue; None on a sensor without colours."""


class Picamera2Camera:
    """See `device.ports.Camera`. The library is imported in `start`, so that the rest runs where it is not installed."""

    def __init__(self, index: int = 0) -> None:
        self._index = index
        self._device: Any = None
        self._pending: Any = None
        self._sequence = 0
        self._sensor_id = ""
        self._newest: _Exposure | None = None
        self._locked: _Exposure | None = None

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
            sensor_id = str(device.camera_properties["Model"])
        except (RuntimeError, OSError, IndexError, KeyError, ValueError) as error:
            if device is not None:
                _close(device)
            raise CameraUnavailable(f"camera {self._index}: cannot be opened: {error}") from error
        self._device = device
        self._sensor_id = sensor_id

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
            found = request.get_metadata()
            stamp = int(found["SensorTimestamp"])
        except (RuntimeError, OSError, KeyError) as error:
            raise CameraUnavailable(f"camera {self._index}: frame cannot be read: {error}") from error
        finally:
            request.release()
        self._sequence += 1
        self._newest = _exposure(found)
        # libcamera names formats by the 24-bit word, so "RGB888" lies in memory as B, G, R. Its time is CLOCK_BOOTTIME,
        # which on a board that never suspends is CLOCK_MONOTONIC.
        return Frame(
            pixels=np.ascontiguousarray(pixels[:, :, 2::-1]),
            sequence=self._sequence,
            monotonic_ns=stamp,
            metadata=CaptureMetadata(self._sensor_id, stamp, self._newest.time_us, self._newest.analogue_gain)
            if self._newest is not None
            else None,
        )

    def lock_exposure(self, factor: float) -> None:
        """Hold what the newest frame was taken with; see `device.ports.Camera`.

        The exposure cannot grow beyond the time of a frame, so in a dark room a factor above 1 may not be obeyed.
        """
        locked = self._locked or self._newest
        if self._device is None or locked is None:
            raise CameraUnavailable(f"camera {self._index}: no frame yet that says its exposure")
        self._locked = locked
        controls: dict[str, Any] = {
            "AeEnable": False,
            "ExposureTime": round(locked.time_us * factor),
            "AnalogueGain": locked.analogue_gain,
        }
        if locked.colour_gains is not None:
            controls |= {"AwbEnable": False, "ColourGains": locked.colour_gains}
        self._set(controls)

    def release_exposure(self) -> None:
        """Let the library's own control run again."""
        locked = self._locked
        if self._device is None or locked is None:
            return
        self._set({"AeEnable": True} | ({"AwbEnable": True} if locked.colour_gains is not None else {}))
        # Not before: after a release that failed the next one must try again.
        self._locked = None

    def stop(self) -> None:
        """Close the sensor."""
        device, self._device, self._pending = self._device, None, None
        self._newest = self._locked = None
        if device is not None:
            _close(device)

    def _set(self, controls: dict[str, Any]) -> None:
        try:
            self._device.set_controls(controls)
        except (RuntimeError, OSError) as error:
            raise CameraUnavailable(f"camera {self._index}: exposure cannot be set: {error}") from error

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


def _exposure(found: dict[str, Any]) -> _Exposure | None:
    """Read a frame's metadata; None where the driver does not say the exposure."""
    try:
        time_us, gain = float(found["ExposureTime"]), float(found["AnalogueGain"])
    except (KeyError, TypeError, ValueError):
        return None
    gains = found.get("ColourGains")
    return _Exposure(time_us, gain, (float(gains[0]), float(gains[1])) if gains else None)


def _close(device: Any) -> None:
    try:
        device.stop()
        device.close()
    except (RuntimeError, OSError) as error:
        logger.warning("camera did not close cleanly why=%s", error)
