"""A camera that looks at an actor, in real time or frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event, Lock

import cv2
import numpy as np

from device.errors import CameraUnavailable, RingLightUnavailable
from device.ports import Clock
from device.session.commands import Dated
from device.simulated.actor import Actor
from device.simulated.clock import SteppedClock
from device.simulated.presenting import Injected, Says, Seen, Stuck
from device.simulated.scene import DARK, LAYER_GAMMA, RingState, View
from device.simulated.sensor import SENSOR_ID, Exposure, Sensor
from device.vision.frame import CaptureMetadata, Frame, Pixels

_POLL_S = 0.002
"""How finely a real-time camera waits for its next frame: well under the frame time of 60 frames/s."""


class SimulatedCamera:
    """Plays an actor. What is spoken by the terminal reaches the actor through `hear`.

    With a `SteppedClock` every capture moves the clock by one frame and gives the next one, so no frame is dropped. With any other clock
    frames come at the actor's rate and a slow caller misses some, as with a real camera.

    Exposure and light matter to actors that are lit. The pictures of a plain clip are what they are: an injected file is no different.
    """

    def __init__(self, actor: Actor, clock: Clock, *, seed: int = 0) -> None:
        """Prepare.

        Args:
            actor: who is seen.
            clock: the terminal's.
            seed: of the sensor's noise.
        """
        self._clock = clock
        self._sensor = Sensor(seed)
        self._ring = self._ring_next = DARK
        self._exposure = Exposure(0.0, 1.0)
        self._last: Frame | None = None
        self._stepped = clock if isinstance(clock, SteppedClock) else None
        self._lock = Lock()
        self._waiting = Event()
        self._actor = actor
        self._is_open = False
        self._is_unplugged = False
        self._is_covered = False
        self._begin_ns = 0
        self._sequence = 0
        self._last_slot = -1

    def start(self) -> None:
        """Open the device; the actor begins.

        Raises:
            CameraUnavailable: if it is unplugged, or open already.
        """
        if self._is_unplugged:
            raise CameraUnavailable("simulated camera: unplugged")
        if self._is_open:
            raise CameraUnavailable("simulated camera: in use already")
        self._is_open = True
        self.change_actor(self._actor)

    def capture(self, timeout_s: float) -> Frame | None:
        """Return the newest frame not yet returned, or None when none came in time or the clip has ended.

        Raises:
            CameraUnavailable: if the device is not open or was unplugged, or the clip cannot be read on.
        """
        if not self._is_open or self._is_unplugged:
            raise CameraUnavailable(
                "simulated camera: unplugged" if self._is_unplugged else "simulated camera: not open"
            )
        return self._capture_stepped(timeout_s) if self._stepped else self._capture_live(timeout_s)

    def still(self, timeout_s: float = 2.0) -> Frame:
        """Return the next frame: the actors have no larger picture than that.

        Raises:
            CameraUnavailable: as `capture`, and when the clip has ended.
        """
        frame = self.capture(timeout_s)
        if frame is None:
            raise CameraUnavailable(f"simulated camera: no picture within {timeout_s} s")
        return frame

    def stop(self) -> None:
        """Close the device."""
        self._is_open = False

    def lock_exposure(self, factor: float) -> None:
        """Hold exposure and white balance; see `device.ports.Camera`.

        Raises:
            CameraUnavailable: if the device is not open or was unplugged.
        """
        if not self._is_open or self._is_unplugged:
            raise CameraUnavailable("simulated camera: not open")
        self._sensor.lock(factor)

    def release_exposure(self) -> None:
        """Let them be automatic again."""
        self._sensor.release()

    def shine(self, ring: RingState) -> None:
        """Let the light of the ring fall on the scene: in the frame after the next, as the next is being exposed already."""
        self._ring_next = ring

    def hear(self, line: str) -> None:
        """Let the actor hear a line."""
        with self._lock:
            self._actor.hear(line, self._since_s(self._clock.monotonic_ns()))

    def change_actor(self, actor: Actor) -> None:
        """Put somebody else in front of the camera; a clip begins at its start."""
        with self._lock:
            self._actor = actor
            self._begin_ns = self._clock.monotonic_ns()
            self._last_slot = -1

    @property
    def actor(self) -> Actor:
        """Who is seen."""
        return self._actor

    def unplug(self) -> None:
        """Pull the cable."""
        self._is_unplugged = True

    def plug_in(self) -> None:
        """Put the cable back; the device must be opened again."""
        self._is_unplugged = False
        self._is_open = False

    def cover_lens(self) -> None:
        """Put something dark before the lens."""
        self._is_covered = True

    def uncover_lens(self) -> None:
        """Take it away."""
        self._is_covered = False

    def _since_s(self, now_ns: int) -> float:
        return (now_ns - self._begin_ns) / 1e9

    def _capture_stepped(self, timeout_s: float) -> Frame | None:
        assert self._stepped is not None  # noqa: S101 - only called with one
        with self._lock:
            frame = self._take(self._stepped.monotonic_ns())
            # Time goes on without frames too, or a session would wait for ever at the end of a clip.
            self._stepped.advance(round(1e9 / self._actor.rate) if frame is not None else round(timeout_s * 1e9))
        return frame

    def _capture_live(self, timeout_s: float) -> Frame | None:
        deadline = self._clock.monotonic_ns() + round(timeout_s * 1e9)
        while True:
            now = self._clock.monotonic_ns()
            with self._lock:
                slot = int(self._since_s(now) * self._actor.rate)
                if slot > self._last_slot:
                    self._last_slot = slot
                    return self._take(now)
            if now >= deadline:
                return None
            self._waiting.wait(_POLL_S)

    def _take(self, now_ns: int) -> Frame | None:
        seen = self._actor.picture(self._since_s(now_ns))
        if seen is None:
            return None
        ring, self._ring = self._ring, self._ring_next
        pixels, says = self._pixels(seen, ring)
        if self._is_covered:
            pixels = (pixels // 64).astype(np.uint8)
        self._sequence += 1
        metadata = None
        if says is Says.OBEYS:
            metadata = CaptureMetadata(SENSOR_ID, now_ns, self._exposure.time_us, self._exposure.gain)
        elif says is Says.STUCK and self._last is not None:
            metadata = self._last.metadata
        self._last = Frame(pixels=pixels, sequence=self._sequence, monotonic_ns=now_ns, metadata=metadata)
        return self._last

    def _pixels(self, seen: Seen, ring: RingState) -> tuple[Pixels, Says]:
        """Return the picture and what is said about it; the sensor goes on unseen where its frames are not the ones that are given."""
        if isinstance(seen, View):
            exposed = self._sensor.expose(seen, ring)
            self._exposure = exposed.exposure
            return exposed.pixels, Says.OBEYS
        if not isinstance(seen, Injected | Stuck):
            return seen, Says.NOTHING
        before, self._exposure = self._exposure, self._sensor.idle()
        if isinstance(seen, Injected):
            return self._brightened(seen), seen.says
        if self._last is None:
            raise CameraUnavailable("simulated camera: stuck before its first frame")
        self._exposure = self._exposure if seen.says is Says.OBEYS else before
        return self._last.pixels, seen.says

    def _brightened(self, seen: Injected) -> Pixels:
        factor = self._sensor.factor_of(self._exposure)
        if not seen.follows_exposure or factor == 1.0:
            return seen.pixels
        return np.asarray(cv2.LUT(seen.pixels, _brighter(factor)), np.uint8)


def _brighter(factor: float) -> Pixels:
    """Return the table that makes a picture so much brighter in linear light."""
    return np.asarray(
        np.round(255 * np.minimum((np.arange(256) / 255) ** LAYER_GAMMA * factor, 1) ** (1 / LAYER_GAMMA)), np.uint8
    )


class SimulatedRingLight:
    """The ring around the simulated camera's lens; it lights what the camera sees."""

    def __init__(self, camera: SimulatedCamera) -> None:
        self._camera = camera
        self._is_open = False

    def start(self) -> None:
        """Open it, dark."""
        self._is_open = True
        self._camera.shine(DARK)

    def set(self, left: float, right: float) -> None:
        """Set the brightness of both halves.

        Raises:
            RingLightUnavailable: if the ring is not open.
            ValueError: if one is not within 0..1.
        """
        if not self._is_open:
            raise RingLightUnavailable("simulated ring light: not open")
        if not (0 <= left <= 1 and 0 <= right <= 1):
            raise ValueError(f"simulated ring light: {left} and {right} are not within 0..1")
        self._camera.shine(RingState(left, right))

    def stop(self) -> None:
        """Switch it off."""
        self._is_open = False
        self._camera.shine(DARK)


class HeardPrompter:
    """Passes every line to those who listen, whatever its language."""

    def __init__(self, *listeners: Callable[[str], None]) -> None:
        self._listeners = listeners

    def say(self, line: str, *, dates: Sequence[Dated] = ()) -> None:  # noqa: ARG002 - who listens acts on the line
        """Give a line to everybody."""
        for listener in self._listeners:
            listener(line)

    def length_s(self, line: str) -> float:  # noqa: ARG002 - every line is passed on at once
        """Return 0."""
        return 0.0

    def use(self, language: str | None, *, is_slow: bool) -> None:
        """Change nothing: a line is the same in every language."""

    def stop(self) -> None:
        """Change nothing: a line is passed on at once."""
