"""Plays a light code between the frames: ring and exposure, and what was set when."""

from __future__ import annotations

import logging

from device.errors import CameraUnavailable, RingLightUnavailable
from device.ports import Camera, RingLight
from device.session.commands import PlayLight
from device.vision.evidence.stimulus import StimulusLog

logger = logging.getLogger(__name__)


class LightPlayer:
    """Belongs to the thread of the camera. Without a ring it plays the exposures alone, which the capture path is judged by.

    Once a code has ended, or was ended, the ring is dark and the exposure free, whatever happened; where one of them did not answer, the
    ring was switched off for good and whoever ended the code is told.
    """

    def __init__(self, camera: Camera, ring: RingLight | None) -> None:
        self._camera = camera
        self._ring = ring
        self._order: PlayLight | None = None
        self._begin_ns = 0
        self._step: int | None = None
        self._levels: tuple[float, float] | None = (0.0, 0.0)
        self._is_locked = False
        self.stimulus = StimulusLog()
        """What was set since `begin`."""

    def open(self) -> None:
        """Open the ring, dark, closing it before if it is open. Raises `RingLightUnavailable`."""
        self.close()
        if self._ring is not None:
            self._ring.start()
        self._levels = (0.0, 0.0)

    def close(self) -> None:
        """Switch the ring off for good; may be called twice, and from another thread once the camera's has ended."""
        if self._ring is not None:
            self._ring.stop()

    def begin(self, order: PlayLight, now_ns: int) -> None:
        """Begin a code. Raises `RingLightUnavailable` and `CameraUnavailable`."""
        self._end_well(now_ns)
        self.stimulus.forget()
        self._order, self._begin_ns, self._step, self._levels = order, now_ns, None, None
        self.play(now_ns)

    def hold(self) -> None:
        """Hold the exposure as it is, without a code. Raises `CameraUnavailable`."""
        self._is_locked = True
        self._camera.lock_exposure(1.0)

    def play(self, now_ns: int) -> bool:
        """Set what the code asks for now; return whether it is over. Raises `RingLightUnavailable` and `CameraUnavailable`.

        A code with ramps fades out, too.
        """
        order = self._order
        if order is None:
            return False
        # A nanosecond early, so that no rounding error leaves a step out on one machine and not on another.
        since_s = (now_ns - self._begin_ns + 1) / 1e9
        step = int(since_s / order.step_s)
        if step >= len(order.code) and since_s >= order.seconds:
            self._end_well(now_ns)
            return True
        if step < len(order.code) and step != self._step:
            self._step = step
            self._expose(order.code[step].exposure, now_ns)
        self._shine(_levels(order, step, since_s - step * order.step_s), now_ns)
        return False

    def end(self, now_ns: int) -> CameraUnavailable | RingLightUnavailable | None:
        """Be dark and let the exposure be automatic, at once; without a code nothing happens.

        Returns:
            What did not answer; None if all is as it should be. Nothing is raised, because this comes at the end of everything.
        """
        self._order = None
        failure: CameraUnavailable | RingLightUnavailable | None = None
        try:
            self._shine((0.0, 0.0), now_ns)
        except RingLightUnavailable as error:
            logger.warning("ring light not set, switched off why=%s", error)
            self.close()
            self._levels = (0.0, 0.0)
            failure = error
        if self._is_locked:
            self.stimulus.exposure_released(monotonic_ns=now_ns)
            try:
                self._camera.release_exposure()
                self._is_locked = False
            except CameraUnavailable as error:
                logger.warning("exposure not released why=%s", error)
                failure = failure or error
        return failure

    def _end_well(self, now_ns: int) -> None:
        if (failure := self.end(now_ns)) is not None:
            raise failure

    def _shine(self, levels: tuple[float, float], now_ns: int) -> None:
        if self._ring is None or levels == self._levels:
            return
        # Should it fail, nobody knows how bright it is.
        self._levels = None
        self._ring.set(*levels)
        self._levels = levels
        self.stimulus.light_set(*levels, monotonic_ns=now_ns)

    def _expose(self, factor: float, now_ns: int) -> None:
        self._is_locked = True
        self._camera.lock_exposure(factor)
        self.stimulus.exposure_set(factor, monotonic_ns=now_ns)


def _levels(order: PlayLight, step: int, within_s: float) -> tuple[float, float]:
    """Return left and right so long after the beginning of a step; before the first and after the last it is dark."""
    before = _lamp(order, step - 1)
    after = _lamp(order, step)
    if order.ramp_s <= 0 or within_s >= order.ramp_s:
        return after
    part = max(0.0, within_s / order.ramp_s)
    # Weighted like this no rounding leads beyond either end.
    left, right = ((1 - part) * before[side] + part * after[side] for side in (0, 1))
    return left, right


def _lamp(order: PlayLight, step: int) -> tuple[float, float]:
    return (order.code[step].left, order.code[step].right) if 0 <= step < len(order.code) else (0.0, 0.0)
