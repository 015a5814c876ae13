"""Status lamp and buttons on the 40-pin header, through gpiozero.

Wiring (BCM numbers, defaults of `[panel]`): buttons from GPIO 17 (start), 27 (repeat) and 22 (cancel) to ground, held high by the chip's
pull-ups; an RGB lamp with common cathode from GPIO 12 (red), 13 (green) and 19 (blue) through its resistors to ground.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable
from typing import Any

from device.errors import PanelUnavailable
from device.ports import Button
from device.session.commands import Lamp
from device.settings import Panel as PanelSettings

logger = logging.getLogger(__name__)

_COLOURS: dict[Lamp, tuple[float, float, float]] = {
    Lamp.IDLE: (0.1, 0.1, 0.1),
    Lamp.WORKING: (0.0, 0.0, 1.0),
    Lamp.CERTIFIED: (0.0, 1.0, 0.0),
    Lamp.ATTENTION: (1.0, 0.5, 0.0),
    Lamp.FAULT: (1.0, 0.0, 0.0),
}
"""Red, green, blue, 0..1."""


class GpiozeroPanel:
    """See `device.ports.Panel`.

    Args:
        pins: where everything is connected.
        pin_factory: gpiozero's pin factory; None opens the board's own in `start`.
    """

    def __init__(self, pins: PanelSettings, *, pin_factory: Any = None) -> None:
        self._pins = pins
        self._given_factory = pin_factory
        self._factory: Any = None
        self._devices: list[Any] = []
        self._lamp: Any = None
        self._contacts: list[DebouncedContact] = []

    def start(self, on_press: Callable[[Button], None]) -> None:
        """Open the pins.

        Raises:
            PanelUnavailable: if the library is missing, the board cannot be opened or a pin is in use.
        """
        try:
            library = importlib.import_module("gpiozero")
        except ImportError as error:
            raise PanelUnavailable(
                f"gpiozero cannot be imported: {error}; on Raspberry Pi OS it comes with apt"
            ) from error
        try:
            self._factory = self._given_factory or library.Device._default_pin_factory()  # noqa: SLF001 - no public way gives a factory without making it the default
            self._lamp = library.RGBLED(
                self._pins.red_pin, self._pins.green_pin, self._pins.blue_pin, pin_factory=self._factory
            )
            self._devices.append(self._lamp)
            for button, pin in self._buttons().items():
                self._devices.append(self._connect(library, button, pin, on_press))
        except (
            Exception
        ) as error:  # every pin factory has errors of its own; those of lgpio derive from Exception alone
            self.stop()
            raise PanelUnavailable(f"panel: cannot be opened: {error}") from error

    def show(self, lamp: Lamp) -> None:
        """Set the lamp.

        Raises:
            PanelUnavailable: if the board is not open or does not answer.
        """
        if self._lamp is None:
            raise PanelUnavailable("panel: not started")
        try:
            self._lamp.color = _COLOURS[lamp]
        except Exception as error:  # as in `start`
            raise PanelUnavailable(f"panel: lamp cannot be set: {error}") from error

    def stop(self) -> None:
        """Switch everything off and give the pins back."""
        for contact in self._contacts:
            contact.opened()
        open_parts = list(self._devices)
        if self._factory is not None and self._given_factory is None:
            open_parts.append(self._factory)
        self._contacts.clear()
        self._devices.clear()
        self._lamp = self._factory = None
        for part in open_parts:
            try:
                part.close()
            except Exception as error:  # noqa: BLE001 - as in `start`; the other parts must be closed all the same
                logger.warning("panel did not close cleanly why=%s", error)

    def _buttons(self) -> dict[Button, int]:
        return {
            Button.START: self._pins.start_pin,
            Button.REPEAT: self._pins.repeat_pin,
            Button.CANCEL: self._pins.cancel_pin,
        }

    def _connect(self, library: Any, button: Button, pin: int, on_press: Callable[[Button], None]) -> Any:
        contact = DebouncedContact(self._pins.debounce_s, lambda: on_press(button))
        device = library.Button(pin, pull_up=True, bounce_time=None, pin_factory=self._factory)
        device.when_pressed = contact.closed
        device.when_released = contact.opened
        self._contacts.append(contact)
        return device


class DebouncedContact:
    """Counts a press once the contact was closed for `seconds` without a break, and once only until it opens.

    gpiozero's own `bounce_time` is not used: its fake pins ignore it, so it could not be tested.
    """

    def __init__(self, seconds: float, on_press: Callable[[], None]) -> None:
        self._seconds = seconds
        self._on_press = on_press
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def closed(self) -> None:
        """The contact closed."""
        with self._lock:
            if self._timer is None:
                self._timer = threading.Timer(self._seconds, self._on_press)
                self._timer.daemon = True
                self._timer.start()

    def opened(self) -> None:
        """The contact opened; a press that had not counted yet never does."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
