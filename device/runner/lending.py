"""Parts of the terminal at work, lent to a commissioning that runs beside the loop: camera, ring light, lamp and buttons.

The camera and the ring stay with the vision worker's thread: whoever borrows them has it do one thing after the other. A loan can be ended
at any time, from either side; then the ring is dark, the exposure free, and whoever goes on using a part is stopped by `LoanEnded`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from device.errors import CameraUnavailable, DeviceError
from device.ports import BoardNotice, Button, Camera, Panel, RingLight, nobody_listens
from device.runner.orders import Borrowed
from device.session.commands import Lamp
from device.vision.frame import Frame

logger = logging.getLogger(__name__)
_T = TypeVar("_T")

_PATIENCE_S: Final = 12.0
"""For one thing that the worker's thread does; a frame is waited for 3 s, opening a camera takes 5."""
_FIRST_S: Final = 3.0


class LoanEnded(Exception):
    """The parts are the terminal's again; whoever borrowed them stops."""


class Loan:
    """What is lent, from its making until `end`.

    Args:
        camera: of the terminal, open as far as it can be.
        ring: likewise; None where there is none.
        panel: of the terminal, started.
        order: hands an order to the vision worker; may be called from any thread.
    """

    def __init__(
        self, camera: Camera, ring: RingLight | None, panel: Panel, *, order: Callable[[Borrowed], None]
    ) -> None:
        self._camera = camera
        self._ring = ring
        self._order = order
        self._lock = threading.Lock()
        self._is_over = False
        self._is_touched = False
        self._on_press: Callable[[Button], None] | None = None
        self._lamp = panel.show
        self.camera: Camera = _LentCamera(self, camera)
        self.ring: RingLight | None = None if ring is None else _LentRing(self, ring)
        self.panel: Panel = _LentPanel(self)

    def press(self, button: Button) -> bool:
        """Take a press of the box's button; return False for one that is the terminal's. May be called from any thread."""
        with self._lock:
            if self._is_over:
                return False
            if self._on_press is not None:
                self._on_press(button)
            return True

    def end(self) -> None:
        """Give everything back as it was; may be called twice, and from any thread. Waits for nothing."""
        with self._lock:
            if self._is_over:
                return
            self._is_over, self._on_press = True, None
        self._order(Borrowed(self._tidy))

    def check(self) -> None:
        """Raise `LoanEnded` once it has."""
        if self._is_over:
            raise LoanEnded

    # For the parts

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._is_over

    def ask(self, work: Callable[[], _T]) -> _T:
        """Have the worker's thread do something, and wait for it.

        Raises:
            LoanEnded: if the loan ends before.
            CameraUnavailable: if the worker does not come to it.
            DeviceError: as the work.
        """
        self.check()
        done: Future[_T] = Future()

        def do() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                self.check()
                self._is_touched = True
                done.set_result(work())
            except Exception as error:  # noqa: BLE001 - whoever borrowed the part is told, and the worker goes on
                done.set_exception(error)

        self._order(Borrowed(do))
        try:
            return done.result(_PATIENCE_S)
        except TimeoutError:
            done.cancel()
            self.check()
            raise CameraUnavailable(f"camera: the vision worker did nothing for {_PATIENCE_S:.0f} s") from None

    def listen(self, on_press: Callable[[Button], None] | None) -> None:
        """Say who gets the presses."""
        with self._lock:
            if not self._is_over:
                self._on_press = on_press

    def show(self, lamp: Lamp) -> None:
        """Set the lamp. Raises `LoanEnded`."""
        with self._lock:
            # Within the lock: what the terminal shows after the end must not be painted over.
            self.check()
            self._lamp(lamp)

    def _tidy(self) -> None:
        if not self._is_touched:
            return
        _darken(self._ring)
        try:
            self._camera.release_exposure()
        except DeviceError as error:
            logger.warning("exposure not released why=%s", error)


class _LentCamera:
    """See `device.ports.Camera`: it is open already and stays so."""

    def __init__(self, loan: Loan, camera: Camera) -> None:
        self._loan = loan
        self._camera = camera

    def start(self) -> None:
        """Let go of what was seen before the loan. Raises `CameraUnavailable`, also of one that the terminal could not open."""
        self._loan.ask(lambda: self._camera.capture(_FIRST_S))

    def capture(self, timeout_s: float) -> Frame | None:
        """Return the newest frame."""
        return self._loan.ask(lambda: self._camera.capture(timeout_s))

    def still(self, timeout_s: float = 2.0) -> Frame:
        """Return a large picture."""
        return self._loan.ask(lambda: self._camera.still(timeout_s))

    def lock_exposure(self, factor: float) -> None:
        """Hold the exposure."""
        self._loan.ask(lambda: self._camera.lock_exposure(factor))

    def release_exposure(self) -> None:
        """Let it be automatic; nothing is left to do once the loan has ended."""
        if not self._loan.is_over:
            self._loan.ask(self._camera.release_exposure)

    def stop(self) -> None:
        """Leave it open: it is the terminal's."""


class _LentRing:
    """See `device.ports.RingLight`: it is open already, and dark."""

    def __init__(self, loan: Loan, ring: RingLight) -> None:
        self._loan = loan
        self._ring = ring

    def start(self) -> None:
        """Be dark. Raises `RingLightUnavailable`."""
        self.set(0.0, 0.0)

    def set(self, left: float, right: float) -> None:
        """Set the brightness of both halves."""
        self._loan.ask(lambda: self._ring.set(left, right))

    def stop(self) -> None:
        """Be dark, and stay open for the terminal; nothing is left to do once the loan has ended."""
        if not self._loan.is_over:
            self._loan.ask(lambda: _darken(self._ring))


class _LentPanel:
    """See `device.ports.Panel`: it is started already, and what else the board notices stays the terminal's."""

    def __init__(self, loan: Loan) -> None:
        self._loan = loan

    def start(
        self,
        on_press: Callable[[Button], None],
        on_notice: Callable[[BoardNotice], None] = nobody_listens,  # noqa: ARG002 - the terminal goes on listening
    ) -> None:
        """Have the presses."""
        self._loan.listen(on_press)

    def show(self, lamp: Lamp) -> None:
        """Set the lamp."""
        self._loan.show(lamp)

    def stop(self) -> None:
        """Have no more presses."""
        self._loan.listen(None)


def _darken(ring: RingLight | None) -> None:
    if ring is None:
        return
    try:
        ring.set(0.0, 0.0)
    except DeviceError as error:
        logger.warning("ring light not set, switched off why=%s", error)
        ring.stop()
