"""The light around the lens, as two dimmed white halves on the 40-pin header, through gpiozero.

Wiring (BCM numbers, defaults of `[board]`): the half on the subject's left from GPIO 25, the one on the subject's right from GPIO 26,
each through a logic-level transistor to ground; the LEDs' plus to 5 V. Left and right are those of the person in front of the terminal:
seen from the front of the terminal, the subject's left half is the right one.

A half that is fully on or off is not pulsed at all. In between it is dimmed by pulses, at 200 Hz by default: a rolling shutter shows
them as bands where lines are exposed for less than a period, 5 ms. Not verified on a Raspberry Pi; see `docs/verified.md`.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

from device.errors import RingLightUnavailable
from device.settings import Board as BoardSettings
from device.settings import RingLight as RingLightSettings

logger = logging.getLogger(__name__)


class GpiozeroRingLight:
    """See `device.ports.RingLight`.

    Args:
        board: where it is connected.
        light: how it is dimmed.
        pin_factory: gpiozero's pin factory; None opens the board's own in `start`.
    """

    def __init__(self, board: BoardSettings, light: RingLightSettings, *, pin_factory: Any = None) -> None:
        self._board = board
        self._light = light
        self._given_factory = pin_factory
        self._factory: Any = None
        self._halves: list[Any] = []

    def start(self) -> None:
        """Open the pins, dark.

        Raises:
            RingLightUnavailable: if the library is missing, the board cannot be opened, or a pin is in use.
        """
        if self._halves:
            raise RingLightUnavailable("ring light: in use already")
        try:
            library = importlib.import_module("gpiozero")
        except ImportError as error:
            raise RingLightUnavailable(
                f"gpiozero cannot be imported: {error}; on Raspberry Pi OS it comes with apt"
            ) from error
        try:
            self._factory = self._given_factory or library.Device._default_pin_factory()  # noqa: SLF001 - no public way gives a factory without making it the default
            for pin in (self._board.ring_left_pin, self._board.ring_right_pin):
                self._halves.append(
                    library.PWMLED(pin, initial_value=0, frequency=self._light.frequency_hz, pin_factory=self._factory)
                )
        except (
            Exception
        ) as error:  # every pin factory has errors of its own; those of lgpio derive from Exception alone
            self.stop()
            raise RingLightUnavailable(f"ring light: cannot be opened: {error}") from error

    def set(self, left: float, right: float) -> None:
        """Set the brightness of both halves, 0..1.

        Raises:
            RingLightUnavailable: if the board is not open or does not answer.
            ValueError: if a brightness is not within 0..1.
        """
        if not (0 <= left <= 1 and 0 <= right <= 1):
            raise ValueError(f"ring light: {left} and {right} are not within 0..1")
        if not self._halves:
            raise RingLightUnavailable("ring light: not started")
        try:
            for half, level in zip(self._halves, (left, right), strict=True):
                half.value = level
        except Exception as error:  # as in `start`
            raise RingLightUnavailable(f"ring light: cannot be set: {error}") from error

    def stop(self) -> None:
        """Switch both halves off and give the pins back."""
        open_parts = list(self._halves)
        if self._factory is not None and self._given_factory is None:
            open_parts.append(self._factory)
        self._halves.clear()
        self._factory = None
        for part in open_parts:
            try:
                part.close()
            except Exception as error:  # noqa: BLE001 - as in `start`; the other half must go off all the same
                logger.warning("ring light did not close cleanly why=%s", error)
