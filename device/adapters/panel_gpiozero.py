"""Status lamp, buttons, presence sensor and power-fail input on the 40-pin header, through gpiozero.

Wiring (BCM numbers, defaults of `[board]`): buttons from GPIO 17 (start), 27 (repeat) and 22 (cancel) to ground, held high by the chip's
pull-ups; the transistors of an RGB lamp at GPIO 12 (red), 13 (green) and 16 (blue); where they are fitted, a presence sensor on GPIO 23
and the supply's power-fail output on GPIO 24. Both inputs are pulled towards the level that means nothing is the matter, so that a wire
that came off does not stop the terminal. Circuits: `docs/hardware.md`.

gpiozero's own `bounce_time` is not used: its fake pins ignore it, so it could not be tested. `device.contacts` does it.
"""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from device.contacts import ButtonContact, ContactWatch, HeldInput, WatchedInput, WatchedPin
from device.errors import PanelUnavailable
from device.ports import BoardChange, BoardNotice, Button, nobody_listens
from device.session.commands import Lamp
from device.settings import Board as BoardSettings
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


_RESTLESS_POWER_S = 5.0
"""Mains power that comes and goes for so long without a rest is no power to rely on."""


class GpiozeroPanel:
    """See `device.ports.Panel`.

    Args:
        board: where everything is connected.
        panel: how long a level must last to count.
        pin_factory: gpiozero's pin factory; None opens the board's own in `start`.
        now_ns: monotonic time.
    """

    def __init__(
        self,
        board: BoardSettings,
        panel: PanelSettings,
        *,
        pin_factory: Any = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._board = board
        self._panel = panel
        self._given_factory = pin_factory
        self._now_ns = now_ns
        self._factory: Any = None
        self._devices: list[Any] = []
        self._lamp: Any = None
        self._watch: ContactWatch | None = None

    def start(
        self, on_press: Callable[[Button], None], on_notice: Callable[[BoardNotice], None] = nobody_listens
    ) -> None:
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
                self._board.red_pin, self._board.green_pin, self._board.blue_pin, pin_factory=self._factory
            )
            self._devices.append(self._lamp)
            self._listen(library, on_press, on_notice)
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
        """Hear nothing more, switch everything off and give the pins back."""
        if self._watch is not None:
            self._watch.stop()
        open_parts = list(self._devices)
        if self._factory is not None and self._given_factory is None:
            open_parts.append(self._factory)
        self._devices.clear()
        self._lamp = self._factory = self._watch = None
        for part in open_parts:
            try:
                part.close()
            except Exception as error:  # noqa: BLE001 - as in `start`; the other parts must be closed all the same
                logger.warning("panel did not close cleanly why=%s", error)

    def _listen(
        self, library: Any, on_press: Callable[[Button], None], on_notice: Callable[[BoardNotice], None]
    ) -> None:
        watched: dict[str, tuple[WatchedPin, Any]] = {}
        for name, (number, is_low_on, meaning) in self._inputs().items():
            # The pull is always towards off.
            device = library.DigitalInputDevice(number, pull_up=is_low_on, bounce_time=None, pin_factory=self._factory)
            self._devices.append(device)
            watched[name] = (WatchedPin(name, meaning, partial(_is_active, device)), device)
        watch = ContactWatch(
            [pin for pin, _ in watched.values()], on_press=on_press, on_notice=on_notice, now_ns=self._now_ns
        )
        for pin, device in watched.values():
            device.when_activated = device.when_deactivated = partial(watch.edge, pin)
        watch.start()
        self._watch = watch

    def _inputs(self) -> dict[str, tuple[int, bool, WatchedInput]]:
        """Return by name the pin of each input, whether it is on when it is low, and what its level means."""
        board, panel = self._board, self._panel
        buttons = {
            Button.START: board.start_pin,
            Button.REPEAT: board.repeat_pin,
            Button.CANCEL: board.cancel_pin,
        }
        found: dict[str, tuple[int, bool, WatchedInput]] = {
            str(button): (
                pin,
                True,
                ButtonContact(button, debounce_ns=_ns(panel.debounce_s), stuck_ns=_ns(panel.stuck_s)),
            )
            for button, pin in buttons.items()
        }
        if board.presence != "none":
            presence = HeldInput(
                BoardChange.PRESENT,
                BoardChange.ABSENT,
                on_after_ns=_ns(panel.present_after_s),
                off_after_ns=_ns(panel.absent_after_s),
                may_flap=True,
            )
            found["presence"] = (board.presence_pin, board.presence == "low", presence)
        if board.power_fail != "none":
            power = HeldInput(
                BoardChange.POWER_FAILING,
                BoardChange.POWER_BACK,
                on_after_ns=_ns(panel.power_failing_after_s),
                off_after_ns=_ns(panel.power_back_after_s),
                restless_ns=_ns(_RESTLESS_POWER_S),
            )
            found["power_fail"] = (board.power_fail_pin, board.power_fail == "low", power)
        return found


def _is_active(device: Any) -> bool:
    return bool(device.is_active)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
