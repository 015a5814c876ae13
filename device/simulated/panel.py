"""A board without pins: it shows a lamp to whoever looks, and has buttons, a presence sensor and a supply that hands can be laid on.

Its contacts do not bounce and its sensor is right at once; what bounces and flaps is tried on the real adapter.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from device.errors import PanelUnavailable
from device.ports import BoardChange, BoardNotice, Button, nobody_listens
from device.session.commands import Lamp


class SimulatedPanel:
    """See `device.ports.Panel`. Like the real board it does nothing before `start` and goes dark at `stop`.

    Args:
        stuck_s: a button held for longer than this, in real time, is stuck.
    """

    def __init__(self, *, stuck_s: float = 20.0) -> None:
        self._stuck_s = stuck_s
        self._on_press: Callable[[Button], None] | None = None
        self._on_notice: Callable[[BoardNotice], None] = nobody_listens
        self._lock = threading.RLock()
        self._held: dict[Button, threading.Timer] = {}
        """Closed buttons, each with what finds it stuck."""
        self._stuck: set[Button] = set()
        self._is_somebody_there = False
        self._is_power_cut = False
        self.lamp: Lamp | None = None
        """What the lamp shows; None is dark."""
        self.shown: list[Lamp] = []
        """Everything it has shown."""

    def start(
        self, on_press: Callable[[Button], None], on_notice: Callable[[BoardNotice], None] = nobody_listens
    ) -> None:
        """Open the board."""
        with self._lock:
            self._on_press, self._on_notice = on_press, on_notice
            if self._is_somebody_there:
                on_notice(BoardNotice(BoardChange.PRESENT))
            if self._is_power_cut:
                on_notice(BoardNotice(BoardChange.POWER_FAILING))

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
        """Go dark; buttons that are held are let go."""
        with self._lock:
            for timer in self._held.values():
                timer.cancel()
            self._held.clear()
            self._stuck.clear()
            self._on_press, self._on_notice = None, nobody_listens
            self.lamp = None

    def press(self, button: Button) -> None:
        """Press and release a button; one that is held already does not move.

        Raises:
            PanelUnavailable: if the board is not open: a press would go nowhere.
        """
        on_press = self._listener(button)
        if button not in self._held:
            on_press(button)

    def hold(self, button: Button) -> None:
        """Press a button and keep it down.

        Raises:
            PanelUnavailable: as for `press`.
        """
        on_press = self._listener(button)
        with self._lock:
            if button in self._held:
                return
            timer = threading.Timer(self._stuck_s, self._stick, (button,))
            timer.daemon = True
            self._held[button] = timer
            timer.start()
        on_press(button)

    def release(self, button: Button) -> None:
        """Let a button go."""
        with self._lock:
            timer = self._held.pop(button, None)
            if timer is not None:
                timer.cancel()
            if button in self._stuck:
                self._stuck.discard(button)
                self._on_notice(BoardNotice(BoardChange.BUTTON_FREE, button))

    def step_in_front(self) -> None:
        """Come near."""
        self._sense(is_there=True)

    def leave(self) -> None:
        """Go away."""
        self._sense(is_there=False)

    def loosen_sensor(self) -> None:
        """Make the presence sensor's plug loose: it flaps, and nobody knows any more who is there."""
        with self._lock:
            self._on_notice(BoardNotice(BoardChange.SENSOR_FLAPPING))

    def cut_power(self) -> None:
        """Cut mains power."""
        self._supply(is_cut=True)

    def restore_power(self) -> None:
        """Give mains power back."""
        self._supply(is_cut=False)

    def _listener(self, button: Button) -> Callable[[Button], None]:
        if self._on_press is None:
            raise PanelUnavailable(f"panel: not started, nobody would notice the {button} button")
        return self._on_press

    def _stick(self, button: Button) -> None:
        with self._lock:
            if button in self._held:
                self._stuck.add(button)
                self._on_notice(BoardNotice(BoardChange.BUTTON_STUCK, button))

    def _sense(self, *, is_there: bool) -> None:
        with self._lock:
            if is_there != self._is_somebody_there:
                self._is_somebody_there = is_there
                self._on_notice(BoardNotice(BoardChange.PRESENT if is_there else BoardChange.ABSENT))

    def _supply(self, *, is_cut: bool) -> None:
        with self._lock:
            if is_cut != self._is_power_cut:
                self._is_power_cut = is_cut
                self._on_notice(BoardNotice(BoardChange.POWER_FAILING if is_cut else BoardChange.POWER_BACK))
