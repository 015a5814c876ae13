"""A loan of camera, ring, lamp and buttons: one thing after the other on the worker's thread, and everything as it was at its end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest

from device.errors import CameraUnavailable, RingLightUnavailable
from device.ports import Button
from device.runner.lending import Loan, LoanEnded
from device.runner.orders import Borrowed
from device.session.commands import Lamp
from device.simulated.camera import SimulatedCamera, SimulatedRingLight
from device.simulated.clock import SteppedClock
from device.simulated.panel import SimulatedPanel
from device.simulated.scene import DARK
from device.vision.frame import Pixels


class Wall:
    rate = 20.0

    def picture(self, at_s: float) -> Pixels:
        return np.full((48, 64, 3), 90, np.uint8)

    def hear(self, line: str, at_s: float) -> None:
        pass


class Bench:
    """Parts at work, and a thread that stands for the vision worker's."""

    def __init__(self) -> None:
        self.camera = SimulatedCamera(Wall(), SteppedClock(datetime(2026, 11, 29, tzinfo=UTC)))
        self.camera.start()
        self.ring = SimulatedRingLight(self.camera)
        self.ring.start()
        self.panel = SimulatedPanel()
        self.panel.start(lambda _: None)
        self.threads: set[str] = set()
        self._orders: queue.SimpleQueue[Borrowed | None] = queue.SimpleQueue()
        self._worker = threading.Thread(target=self._work, name="vision")
        self._worker.start()
        self.loan = Loan(self.camera, self.ring, self.panel, order=self._orders.put)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            self.threads.add(threading.current_thread().name)
            order.work()

    def finish(self) -> None:
        """Let the worker do everything it was given."""
        self._orders.put(None)
        self._worker.join()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.finish()


def test_frames_come_by_the_worker_s_thread_and_the_camera_stays_open(bench: Bench) -> None:
    camera = bench.loan.camera
    camera.start()
    first, second = camera.capture(1.0), camera.still()
    camera.stop()
    assert first is not None
    assert second.sequence == first.sequence + 1
    bench.finish()
    assert bench.threads == {"vision"}
    assert bench.camera.capture(1.0) is not None


def test_what_a_part_says_of_itself_is_told_to_whoever_borrowed_it(bench: Bench) -> None:
    bench.camera.unplug()
    with pytest.raises(CameraUnavailable, match="unplugged"):
        bench.loan.camera.start()
    bench.ring.stop()
    assert bench.loan.ring is not None
    with pytest.raises(RingLightUnavailable, match="not open"):
        bench.loan.ring.start()


def test_a_loan_that_is_ended_in_the_middle_leaves_the_light_off_and_the_exposure_free(bench: Bench) -> None:
    ring, camera = bench.loan.ring, bench.loan.camera
    assert ring is not None
    camera.lock_exposure(1.0)
    ring.set(1.0, 0.5)
    assert bench.camera._ring_next != DARK
    bench.loan.end()
    bench.loan.end()
    bench.finish()
    assert bench.camera._ring_next == DARK
    assert bench.camera._sensor._locked is None
    # The terminal uses them on.
    bench.ring.set(0.2, 0.2)


def test_whoever_goes_on_after_the_end_is_stopped_and_changes_nothing(bench: Bench) -> None:
    loan = bench.loan
    loan.panel.start(lambda _: None)
    loan.end()
    assert loan.ring is not None
    for use in (lambda: loan.camera.capture(1.0), lambda: loan.ring.set(1.0, 1.0), lambda: loan.panel.show(Lamp.FAULT)):
        with pytest.raises(LoanEnded):
            use()
    # What tidies up may be called by whoever was stopped.
    loan.camera.release_exposure()
    loan.ring.stop()
    loan.camera.stop()
    loan.panel.stop()
    assert bench.panel.shown == []


def test_presses_belong_to_the_loan_until_it_ends(bench: Bench) -> None:
    felt: list[Button] = []
    assert bench.loan.press(Button.START), "nobody waits for it, and it is still not the terminal's"
    bench.loan.panel.start(felt.append)
    assert bench.loan.press(Button.CANCEL)
    bench.loan.panel.stop()
    assert bench.loan.press(Button.REPEAT)
    bench.loan.end()
    assert not bench.loan.press(Button.START)
    assert felt == [Button.CANCEL]


def test_a_loan_that_ends_while_something_is_waited_for_stops_the_wait() -> None:
    orders: list[Borrowed] = []
    given = threading.Event()

    def take(order: Borrowed) -> None:
        orders.append(order)
        given.set()

    camera = SimulatedCamera(Wall(), SteppedClock(datetime(2026, 11, 29, tzinfo=UTC)))
    loan = Loan(camera, None, SimulatedPanel(), order=take)
    ended: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def borrow() -> None:
        try:
            loan.camera.capture(1.0)
        except LoanEnded:
            ended.put(item=True)

    thread = threading.Thread(target=borrow)
    thread.start()
    assert given.wait(10)
    loan.end()
    for order in orders:
        order.work()
    assert ended.get(timeout=10)
    thread.join(10)
