"""Where the vision worker gets its frames: a camera that is opened again when it stops giving them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from device.errors import CameraUnavailable
from device.ports import Camera
from device.vision.frame import Frame

logger = logging.getLogger(__name__)

CAPTURE_TIMEOUT_S = 0.5
"""How long one look waits for a frame; bounds how late an order is seen."""
STALL_S = 1.0
"""After so long without a frame the person is asked to wait and the camera is opened again: libcamera's own request timeout is a
second, and the longest exposure a fifth of one."""
REOPEN_S = 2.0
"""A camera is opened again at most this often: opening and the first frame take up to so long."""
SILENCE_S = 5.0
"""A camera that gives no frame for so long is broken."""


_LEAST_SPAN_NS = 2_000_000_000
"""A rate over less says little: exposure settles at the beginning of a session."""


@dataclass(frozen=True, slots=True)
class LookedAt:
    """The pictures of one acquisition that were looked at."""

    pictures: int
    span_ns: int
    """From the first to the last, by the camera's own times."""

    @property
    def rate_hz(self) -> float:
        """Pictures a second."""
        return (self.pictures - 1) * 1e9 / self.span_ns


class FrameCount:
    """Counts the pictures that are looked at in an acquisition."""

    def __init__(self) -> None:
        self._pictures = 0
        self._first_ns = 0
        self._last_ns = 0
        self.newest: LookedAt | None = None
        """Of the newest acquisition that was long enough to tell a rate. May be read from any thread."""

    def note(self, monotonic_ns: int) -> None:
        """Count a picture."""
        if not self._pictures:
            self._first_ns = monotonic_ns
        self._last_ns = monotonic_ns
        self._pictures += 1

    def end(self) -> None:
        """End an acquisition; without a picture since the last end nothing happens."""
        span_ns = self._last_ns - self._first_ns
        if self._pictures > 1 and span_ns >= _LEAST_SPAN_NS:
            self.newest = LookedAt(self._pictures, span_ns)
        self._pictures = 0


class FrameSource:
    """The newest frames of a camera, with patience for one that stops. Used by the worker's thread."""

    def __init__(
        self,
        camera: Camera,
        *,
        now_ns: Callable[[], int],
        on_stall: Callable[[int], None],
        is_paced: bool = False,
    ) -> None:
        """Prepare.

        Args:
            camera: the frames.
            now_ns: reads the monotonic clock.
            on_stall: called once for each stall, with the moment, before the camera is opened again.
            is_paced: whether the caller moves the clock; an empty camera then is a clip's end, and one that fails has failed.
        """
        self._camera = camera
        self._now_ns = now_ns
        self._on_stall = on_stall
        self._is_paced = is_paced
        self.last_ns = 0
        """When the last frame came, or the wait for the first one began."""
        self._opened_ns: int | None = None
        """When the silent camera was last opened again; None while it gives frames."""
        self.is_lost = False
        """Whether the camera failed and must be opened before it is asked again."""

    def begin(self) -> None:
        """Wait for frames from now on."""
        self.last_ns = self._now_ns()
        self._opened_ns = None

    def next(self) -> Frame | None:
        """Return the newest frame, or None when none came in time.

        Raises:
            CameraUnavailable: if none has come for `SILENCE_S`, with all that was tried.
        """
        frame, why = None, f"no frame for {SILENCE_S} s"
        try:
            frame = self._camera.capture(CAPTURE_TIMEOUT_S) if not self.is_lost else None
        except CameraUnavailable as error:
            if self._is_paced:
                raise
            self.is_lost, why = True, str(error)
        now = self._now_ns()
        if frame is not None:
            if self._opened_ns is not None:
                logger.info("camera gives frames again after_ms=%d", (now - self.last_ns) // 1_000_000)
            self.last_ns, self._opened_ns = now, None
        elif not self._is_paced:
            self._have_patience(now, why)
        return frame

    def open_again(self) -> None:
        """Close the camera, open it and wait for a frame.

        Raises:
            CameraUnavailable: if it cannot be opened, or no frame comes within `SILENCE_S`.
        """
        self._camera.stop()
        self._camera.start()
        self.is_lost = False
        if self._camera.capture(SILENCE_S) is None:
            raise CameraUnavailable(f"no frame for {SILENCE_S} s")

    def _have_patience(self, now: int, why: str) -> None:
        silent_ns = now - self.last_ns
        if silent_ns > SILENCE_S * 1e9:
            raise CameraUnavailable(why)
        if not self.is_lost and silent_ns <= STALL_S * 1e9:
            return
        if self._opened_ns is None:
            logger.warning("camera stalled, opening it again why=%s", why)
            self._on_stall(now)
        elif now - self._opened_ns < REOPEN_S * 1e9:
            return
        self._opened_ns = now
        self._camera.stop()
        try:
            self._camera.start()
            self.is_lost = False
        except CameraUnavailable as error:
            logger.warning("camera cannot be opened again yet why=%s", error)
            self.is_lost = True
