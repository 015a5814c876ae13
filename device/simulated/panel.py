"""A board without pins: it shows a lamp to whoever looks and has buttons that can be pressed."""

from __future__ import annotations

from collections.abc import Callable

from device.errors import PanelUnavailable
from device.ports import Button
from device.session.commands import Lamp


class SimulatedPanel:
    """Lamp and buttons. Like the real board it does nothing before `start` and goes dark at `stop`."""

    def __init__(self) -> None:
        self._on_press: Callable[[Button], None] | None = None
        self.lamp: Lamp | None = None
        """What the lamp shows; None is dark."""
        self.shown: list[Lamp] = []
        """Everything it has shown."""

    def start(self, on_press: Callable[[Button], None]) -> None:
        """Open the board."""
        self._on_press = on_press

    def show(self, lamp: Lamp) -> None:
        """Set the lamp.

        Raises:
            PanelUnavailable: if the board is not open.
        """
        if self._on_press is None:
            raise PanelUnavailable("panel: not started")
        self.lamp = lamp
        self.shown.append(lamp)

    def stop(self) -> None:
        """Go dark."""
        self._on_press = None
        self.lamp = None

    def press(self, button: Button) -> None:
        """Press and release a button.

        Raises:
            PanelUnavailable: if the board is not open: a press would go nowhere.
        """
        if self._on_press is None:
            raise PanelUnavailable(f"panel: not started, nobody would notice the {button} button")
        self._on_press(button)
