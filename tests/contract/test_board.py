"""What every camera, every panel and every ring light must do; the real ones on a stand-in for their library or its own fake pins."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from device.adapters.camera_picamera2 import Picamera2Camera
from device.adapters.panel_gpiozero import GpiozeroPanel
from device.adapters.ring_light_gpiozero import GpiozeroRingLight
from device.errors import CameraUnavailable, PanelUnavailable, RingLightUnavailable
from device.ports import BoardChange, BoardNotice, Button, Camera, Panel, RingLight
from device.session.commands import Lamp
from device.settings import Board as Wiring
from device.settings import Panel as PanelSettings
from device.settings import RingLight as RingSettings
from device.simulated.actor import EmptyRoom
from device.simulated.camera import SimulatedCamera, SimulatedRingLight
from device.simulated.clock import SteppedClock
from device.simulated.panel import SimulatedPanel
from device.simulated.scene import RingState

FRAME_NS = 50_000_000
SIZES = {"lores": (64, 48), "main": (128, 96)}


class StandInRequest:
    """A completed request of picamera2."""

    def __init__(self, number: int) -> None:
        self._number = number

    def make_array(self, name: str) -> Any:
        width, height = SIZES[name]
        return np.full((height * 3 // 2, width), self._number, np.uint8)

    def get_metadata(self) -> dict[str, Any]:
        return {"SensorTimestamp": self._number * FRAME_NS, "ExposureTime": 20000, "AnalogueGain": 1.0}

    def release(self) -> None:
        """Nothing to give back."""


class StandInJob:
    def __init__(self, request: StandInRequest) -> None:
        self._future: Future[StandInRequest] = Future()
        self._future.set_result(request)

    def get_result(self, timeout: float) -> StandInRequest:
        return self._future.result(timeout)


class StandInSensor:
    """Gives a frame whenever one is asked for."""

    @staticmethod
    def global_camera_info() -> list[object]:
        return [object()]

    def __init__(self, _index: int) -> None:
        self._number = 0
        self.camera_properties = {"Model": "stand-in"}
        self.camera_controls: dict[str, object] = {}

    def create_video_configuration(self, **options: object) -> dict[str, object]:
        return options

    def configure(self, _options: dict[str, object]) -> None:
        """Any size will do."""

    def camera_configuration(self) -> dict[str, object]:
        return {name: {"format": "YUV420", "size": size} for name, size in SIZES.items()}

    def cancel_all_and_flush(self) -> None:
        """Nothing waits."""

    def start(self) -> None:
        """Nothing to open."""

    def set_controls(self, _controls: dict[str, object]) -> None:
        """Nothing to set."""

    def capture_request(self, *, wait: bool) -> StandInJob:
        assert not wait
        self._number += 1
        return StandInJob(StandInRequest(self._number))

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture(params=["picamera2", "simulated"])
def camera(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Camera:
    if request.param == "simulated":
        return SimulatedCamera(EmptyRoom(20.0), SteppedClock(datetime(2026, 3, 1, tzinfo=UTC)))
    colours = SimpleNamespace(Smpte170m=lambda: None)
    monkeypatch.setitem(sys.modules, "picamera2", SimpleNamespace(Picamera2=StandInSensor))
    monkeypatch.setitem(sys.modules, "libcamera", SimpleNamespace(Transform=dict, ColorSpace=colours))
    return Picamera2Camera()


def test_frames_are_numbered_and_timed_in_order(camera: Camera) -> None:
    camera.start()
    frames = [camera.capture(1.0) for _ in range(4)]
    camera.stop()
    taken = [frame for frame in frames if frame is not None]
    assert [frame.sequence for frame in taken] == [1, 2, 3, 4]
    assert {after.monotonic_ns - before.monotonic_ns for before, after in pairwise(taken)} == {FRAME_NS}
    for frame in taken:
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.shape[2] == 3
        assert frame.pixels.flags.c_contiguous


def test_a_still_is_a_new_picture_at_least_as_large_as_a_frame(camera: Camera) -> None:
    with pytest.raises(CameraUnavailable):
        camera.still()
    camera.start()
    before, still, after = camera.capture(1.0), camera.still(), camera.capture(1.0)
    camera.stop()
    assert before is not None
    assert after is not None
    assert [before.sequence, still.sequence, after.sequence] == [1, 2, 3]
    assert before.monotonic_ns < still.monotonic_ns < after.monotonic_ns
    assert all(large >= small for large, small in zip(still.pixels.shape, before.pixels.shape, strict=True))
    assert still.pixels.dtype == np.uint8
    assert still.pixels.flags.c_contiguous
    with pytest.raises(CameraUnavailable):
        camera.still()


def test_a_camera_gives_frames_between_start_and_stop_only(camera: Camera) -> None:
    with pytest.raises(CameraUnavailable):
        camera.capture(0.1)
    camera.stop()
    camera.start()
    with pytest.raises(CameraUnavailable):
        camera.start()
    camera.stop()
    camera.stop()
    with pytest.raises(CameraUnavailable):
        camera.capture(0.1)


def test_a_camera_can_be_opened_again(camera: Camera) -> None:
    for _ in range(2):
        camera.start()
        assert camera.capture(1.0) is not None
        camera.stop()


def test_exposure_is_held_once_frames_say_it_and_given_back(camera: Camera) -> None:
    with pytest.raises(CameraUnavailable):
        camera.lock_exposure(1.0)
    camera.start()
    assert camera.capture(1.0) is not None
    camera.lock_exposure(1.0)
    camera.lock_exposure(0.5)
    camera.release_exposure()
    camera.release_exposure()
    camera.stop()
    with pytest.raises(CameraUnavailable):
        camera.lock_exposure(1.0)
    camera.release_exposure()


@dataclass
class Board:
    """A panel with somebody who lays hands on it."""

    panel: Panel
    press: Callable[[Button], None]
    hold: Callable[[Button], None]
    release: Callable[[Button], None]
    set_somebody: Callable[[bool], None]
    """Step in front or leave."""
    set_power: Callable[[bool], None]
    lamp: Callable[[], object]
    """Anything that is the same for the same light."""


@pytest.fixture(params=["gpiozero", "simulated"])
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    if request.param == "simulated":
        simulated = SimulatedPanel(stuck_s=0.1)
        yield Board(
            simulated,
            simulated.press,
            simulated.hold,
            simulated.release,
            lambda is_there: simulated.step_in_front() if is_there else simulated.leave(),
            lambda is_on: simulated.restore_power() if is_on else simulated.cut_power(),
            lambda: simulated.lamp,
        )
        return
    wiring = Wiring(presence="high", power_fail="low")
    times = PanelSettings(
        debounce_s=0.001,
        stuck_s=0.1,
        present_after_s=0.001,
        absent_after_s=0.001,
        power_failing_after_s=0.001,
        power_back_after_s=0.001,
    )
    factory = MockFactory(pin_class=MockPWMPin)
    numbers = {Button.START: wiring.start_pin, Button.REPEAT: wiring.repeat_pin, Button.CANCEL: wiring.cancel_pin}

    def drive(pin: int, is_high: bool) -> None:
        factory.pin(pin).drive_high() if is_high else factory.pin(pin).drive_low()

    yield Board(
        GpiozeroPanel(wiring, times, pin_factory=factory),
        lambda button: drive(numbers[button], False),
        lambda button: drive(numbers[button], False),
        lambda button: drive(numbers[button], True),
        lambda is_there: drive(wiring.presence_pin, is_there),
        lambda is_on: drive(wiring.power_fail_pin, is_on),
        lambda: tuple(factory.pin(pin).state for pin in (wiring.red_pin, wiring.green_pin, wiring.blue_pin)),
    )
    factory.close()


@pytest.mark.parametrize("button", Button)
def test_a_press_is_heard_once(board: Board, button: Button) -> None:
    heard: list[Button] = []
    arrived = threading.Event()

    def hear(pressed: Button) -> None:
        heard.append(pressed)
        arrived.set()

    board.panel.start(hear)
    board.press(button)
    assert arrived.wait(20)
    board.panel.stop()
    assert heard == [button]


def test_a_button_that_is_held_too_long_is_stuck_until_it_is_let_go(
    board: Board, eventually: Callable[..., None]
) -> None:
    heard: list[Button] = []
    noticed: list[BoardNotice] = []
    board.panel.start(heard.append, noticed.append)
    board.hold(Button.REPEAT)
    eventually(lambda: noticed)
    board.release(Button.REPEAT)
    eventually(lambda: len(noticed) == 2)
    board.panel.stop()
    assert heard == [Button.REPEAT]
    assert noticed == [
        BoardNotice(BoardChange.BUTTON_STUCK, Button.REPEAT),
        BoardNotice(BoardChange.BUTTON_FREE, Button.REPEAT),
    ]


def test_people_and_power_are_noticed_as_they_come_and_go(board: Board, eventually: Callable[..., None]) -> None:
    noticed: list[BoardNotice] = []
    board.panel.start(lambda _: None, noticed.append)
    board.set_power(True)
    for deed, value in (
        (board.set_somebody, True),
        (board.set_power, False),
        (board.set_power, True),
        (board.set_somebody, False),
    ):
        count = len(noticed)
        deed(value)
        eventually(lambda wanted=count + 1: len(noticed) == wanted)
    board.panel.stop()
    board.set_somebody(True)
    assert [notice.change for notice in noticed] == [
        BoardChange.PRESENT,
        BoardChange.POWER_FAILING,
        BoardChange.POWER_BACK,
        BoardChange.ABSENT,
    ]


def test_every_lamp_state_looks_different(board: Board) -> None:
    board.panel.start(lambda _: None)
    seen = set()
    for lamp in Lamp:
        board.panel.show(lamp)
        seen.add(board.lamp())
    board.panel.stop()
    assert len(seen) == len(Lamp)


def test_a_panel_shows_between_start_and_stop_only(board: Board) -> None:
    with pytest.raises(PanelUnavailable):
        board.panel.show(Lamp.IDLE)
    board.panel.stop()
    for _ in range(2):
        board.panel.start(lambda _: None)
        board.panel.show(Lamp.IDLE)
        board.panel.stop()
        board.panel.stop()
    with pytest.raises(PanelUnavailable):
        board.panel.show(Lamp.IDLE)


@dataclass
class Ring:
    """A ring light, and how bright its halves are."""

    light: RingLight
    seen: Callable[[], tuple[float, float]]


@pytest.fixture(params=["gpiozero", "simulated"])
def ring(request: pytest.FixtureRequest) -> Iterator[Ring]:
    if request.param == "simulated":
        shone: list[RingState] = []
        camera = SimulatedCamera(EmptyRoom(20.0), SteppedClock(datetime(2026, 3, 1, tzinfo=UTC)))
        camera.shine = shone.append  # type: ignore[method-assign,assignment]  # looks over the camera's shoulder
        yield Ring(SimulatedRingLight(camera), lambda: (shone[-1].left, shone[-1].right) if shone else (0.0, 0.0))
        return
    pins = Wiring()
    factory = MockFactory(pin_class=MockPWMPin)
    numbers = (pins.ring_left_pin, pins.ring_right_pin)
    yield Ring(
        GpiozeroRingLight(pins, RingSettings(), pin_factory=factory),
        lambda: (factory.pin(numbers[0]).state, factory.pin(numbers[1]).state),
    )
    factory.close()


def test_each_half_shines_as_it_is_told_between_start_and_stop(ring: Ring) -> None:
    with pytest.raises(RingLightUnavailable):
        ring.light.set(1.0, 1.0)
    ring.light.stop()
    for _ in range(2):
        ring.light.start()
        assert ring.seen() == (0.0, 0.0)
        for levels in ((1.0, 0.0), (0.0, 1.0), (0.25, 0.75)):
            ring.light.set(*levels)
            assert ring.seen() == levels
        ring.light.stop()
        assert ring.seen() == (0.0, 0.0)
        ring.light.stop()
    with pytest.raises(RingLightUnavailable):
        ring.light.set(1.0, 1.0)


@pytest.mark.parametrize("levels", [(-0.1, 0.0), (0.0, 1.1), (float("nan"), 0.0)])
def test_no_other_brightness_than_from_dark_to_full_is_set(ring: Ring, levels: tuple[float, float]) -> None:
    ring.light.start()
    with pytest.raises(ValueError, match="within"):
        ring.light.set(*levels)
    assert ring.seen() == (0.0, 0.0)
    ring.light.stop()
