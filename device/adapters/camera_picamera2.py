"""The Raspberry Pi camera through picamera2: a small stream for the networks, a large one for pictures that are kept as evidence.

Verified against a stand-in for the library and, by `make test-picamera2`, against the library itself on libcamera's virtual pipeline;
not on a Raspberry Pi. See `docs/verified.md`.

The ISP scales both streams; the processor only turns YUV into RGB. The small one is 640x480 unless the settings say otherwise: so the
networks were evaluated, and it is enough. The feature network's crop has 35.2 pixels between the eyes (`device.vision.quality`), which are
63 mm apart. Camera Module 3, its picture cut to 4:3, sees 1.0 m across at a distance of 1 m, so it gives 35.2 pixels at 1.15 m; Camera
Module 2 sees 1.2 m across and gives them at 0.95 m. The policy's minimum of 21 pixels is at 1.9 m and 1.6 m. Source: Raspberry Pi's
documentation of the modules, 66 degrees across 16:9 and 62.2 across 4:3.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from device.errors import CameraUnavailable
from device.settings import Camera as CameraSettings
from device.vision.frame import CaptureMetadata, Frame, Pixels

logger = logging.getLogger(__name__)

FRAME_RATE = 30.0
"""Frames per second, always: eye evidence needs 15 of them looked at, and a sensor whose frames become longer in the dark has no regular
clock (`device.vision.evidence.capture_path`)."""
BUFFERS = 4
"""Buffers of the camera: one held by us, the rest keep the sensor running without a gap."""
_CONVERSIONS = {"YUV420": cv2.COLOR_YUV2RGB_I420, "NV12": cv2.COLOR_YUV2RGB_NV12}
"""How to make RGB of what libcamera may give for YUV420: it adjusts a format that it does not have, and says so. Both are BT.601 with
16..235, the colour space that is asked for."""
_SETTLE_NS = 1_000_000_000
"""For so long after a release automatic exposure is on its way from what was held to what the light asks for. Raspberry Pi's control goes a
fifth of the way with each frame (`speed` 0.2 in its tuning files): after thirty nothing is left."""
_MANUAL_FOCUS, _CONTINUOUS_FOCUS = 0, 2
"""libcamera's AfMode."""


@dataclass(frozen=True, slots=True)
class _Exposure:
    """What a frame was taken with."""

    time_us: float
    analogue_gain: float
    colour_gains: tuple[float, float] | None
    """Of red and blue; None on a sensor without colours."""


class Picamera2Camera:
    """See `device.ports.Camera`. The library is imported in `start`, so that the rest runs where it is not installed."""

    def __init__(self, settings: CameraSettings | None = None, index: int = 0) -> None:
        self._settings = settings if settings is not None else CameraSettings()
        self._index = index
        self._conversions: dict[str, tuple[int, int, int]] = {}
        """By stream: OpenCV's code, width and height."""
        self._device: Any = None
        self._pending: Any = None
        self._sequence = 0
        self._sensor_id = ""
        self._newest: _Exposure | None = None
        self._newest_ns = 0
        self._locked: _Exposure | None = None
        self._released: tuple[_Exposure, int] | None = None
        """What the last lock held, and the time of the newest frame as it ended."""

    def start(self) -> None:
        """Open the sensor and begin to stream."""
        if self._device is not None:
            raise CameraUnavailable(f"camera {self._index}: in use already")
        try:
            library, libcamera = importlib.import_module("picamera2"), importlib.import_module("libcamera")
        except ImportError as error:
            raise CameraUnavailable(
                f"picamera2 cannot be imported: {error}; on Raspberry Pi OS it comes with apt"
            ) from error
        device: Any = None
        try:
            self._look_for_it(library)
            device = library.Picamera2(self._index)
            is_turned = self._settings.rotation == 180
            # Without the queue a capture waits for a frame that begins now; with it the first one would be old.
            device.configure(
                device.create_video_configuration(
                    main={"size": self._settings.still_size, "format": "YUV420"},
                    lores={"size": self._settings.size, "format": "YUV420"},
                    transform=libcamera.Transform(hflip=is_turned, vflip=is_turned),
                    colour_space=libcamera.ColorSpace.Smpte170m(),
                    controls={"FrameRate": FRAME_RATE} | self._focus(device),
                    buffer_count=BUFFERS,
                    queue=False,
                )
            )
            configured = device.camera_configuration()
            self._conversions = {stream: _conversion(stream, configured[stream]) for stream in ("lores", "main")}
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
        return self._take("lores", timeout_s)

    def still(self, timeout_s: float = 2.0) -> Frame:
        """Return a picture of the large stream; see `device.ports.Camera`."""
        frame = self._take("main", timeout_s)
        if frame is None:
            raise CameraUnavailable(f"camera {self._index}: no picture within {timeout_s} s")
        return frame

    def _take(self, stream: str, timeout_s: float) -> Frame | None:
        if self._device is None:
            raise CameraUnavailable(f"camera {self._index}: not open")
        try:
            self._drop_old_frame()
            # A request that timed out stays asked for: the next call takes it over, and no buffer is lost.
            self._pending = self._pending or self._device.capture_request(wait=False)
            request = self._pending.get_result(timeout=timeout_s)
        except TimeoutError:
            return None
        except (RuntimeError, OSError, CancelledError) as error:
            self._pending = None
            raise CameraUnavailable(f"camera {self._index}: capture failed: {error}") from error
        self._pending = None
        try:
            pixels = _rgb(request.make_array(stream), *self._conversions[stream])
            found = request.get_metadata()
            stamp = int(found["SensorTimestamp"])
        except (RuntimeError, OSError, KeyError, cv2.error) as error:
            raise CameraUnavailable(f"camera {self._index}: frame cannot be read: {error}") from error
        finally:
            self._give_back(request)
        self._sequence += 1
        self._newest, self._newest_ns = _exposure(found), stamp
        # The sensor's time is CLOCK_BOOTTIME, which on a board that never suspends is CLOCK_MONOTONIC.
        return Frame(
            pixels=pixels,
            sequence=self._sequence,
            monotonic_ns=stamp,
            metadata=CaptureMetadata(self._sensor_id, stamp, self._newest.time_us, self._newest.analogue_gain)
            if self._newest is not None
            else None,
        )

    def lock_exposure(self, factor: float) -> None:
        """Hold what the newest frame was taken with, or what was held until a moment ago; see `device.ports.Camera`.

        The exposure cannot grow beyond the time of a frame, so in a dark room a factor above 1 may not be obeyed.
        """
        locked = self._locked or self._held_of_late() or self._newest
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
        self._locked, self._released = None, (locked, self._newest_ns)

    def stop(self) -> None:
        """Close the sensor."""
        device, self._device, pending, self._pending = self._device, None, self._pending, None
        self._newest = self._locked = self._released = None
        if device is not None:
            _close(device, pending)

    def _held_of_late(self) -> _Exposure | None:
        if self._released is None:
            return None
        held, since_ns = self._released
        return held if self._newest_ns - since_ns < _SETTLE_NS else None

    def _look_for_it(self, library: Any) -> None:
        """Raise ValueError where there is no such camera.

        Each `Picamera2` that cannot be opened leaves a file descriptor behind, and a missing camera is looked for for days.
        """
        present = len(library.Picamera2.global_camera_info())
        if self._index >= present:
            raise ValueError(
                f"{present} cameras found; see that its ribbon cable sits firmly, and start the computer anew"
            )

    def _focus(self, device: Any) -> dict[str, Any]:
        """Return the controls for a lens that moves; none for one that does not."""
        position = self._settings.lens_position
        if "AfMode" not in device.camera_controls:
            if position is not None:
                raise ValueError("camera.lens_position is set, but the lens of this camera does not move: remove it")
            return {}
        if position is None:
            return {"AfMode": _CONTINUOUS_FOCUS}
        return {"AfMode": _MANUAL_FOCUS, "LensPosition": position}

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
        self._give_back(request)

    def _give_back(self, request: Any) -> None:
        """Let the sensor have the buffer again; controls that were set go with it."""
        try:
            request.release()
        except (RuntimeError, OSError, AttributeError) as error:
            # A picamera2 that is newer than its libcamera names controls that are not there.
            raise CameraUnavailable(f"camera {self._index}: frame cannot be given back: {error}") from error


def _conversion(stream: str, configured: dict[str, Any]) -> tuple[int, int, int]:
    given = configured["format"]
    if given not in _CONVERSIONS:
        raise ValueError(f"the {stream} stream comes as {given}, expected one of {', '.join(_CONVERSIONS)}")
    width, height = configured["size"]
    return _CONVERSIONS[given], int(width), int(height)


def _rgb(planes: NDArray[np.uint8], code: int, width: int, height: int) -> Pixels:
    """Return uint8 (height, width, 3) RGB; rows of the planes may be longer than the picture is wide."""
    return np.ascontiguousarray(np.asarray(cv2.cvtColor(planes, code), np.uint8)[:height, :width])


def _exposure(found: dict[str, Any]) -> _Exposure | None:
    """Read a frame's metadata; None where the driver does not say the exposure."""
    try:
        time_us, gain = float(found["ExposureTime"]), float(found["AnalogueGain"])
    except (KeyError, TypeError, ValueError):
        return None
    gains = found.get("ColourGains")
    return _Exposure(time_us, gain, (float(gains[0]), float(gains[1])) if gains else None)


def _close(device: Any, pending: Any = None) -> None:
    """Close a device in any state.

    A capture that waits for a frame which never comes would be waited for by `Picamera2.stop`, so it is cancelled first; and `stop` asks
    the library's own thread, which may be dead, so `close` is called alone: it ends that thread and then stops without it.
    """
    with contextlib.suppress(RuntimeError, OSError, CancelledError):
        device.cancel_all_and_flush()
        if pending is not None:
            pending.get_result(timeout=0).release()
    try:
        device.close()
    except (RuntimeError, OSError) as error:
        logger.warning("camera did not close cleanly why=%s", error)
