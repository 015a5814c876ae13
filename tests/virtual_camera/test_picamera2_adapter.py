"""Our camera adapter on the real picamera2, over libcamera's virtual pipeline, which plays a rendered person."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from device.adapters.camera_picamera2 import Picamera2Camera
from device.adapters.inference_tflite import open_networks
from device.errors import CameraUnavailable
from device.runner.frames import FrameSource
from device.vision.pipeline import VisionPipeline

ROOT = Path(__file__).resolve().parents[2]
SECOND_NS = 1_000_000_000

pytestmark = pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning")


@pytest.fixture
def camera(library) -> Iterator[Picamera2Camera]:
    library.is_blocked = False
    made = Picamera2Camera()
    yield made
    library.is_blocked = False
    made.stop()


def wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline


def test_both_streams_give_pictures_of_the_same_scene_with_the_sensor_s_name_and_time(camera):
    camera.start()
    frame, still = camera.capture(5.0), camera.still()
    assert frame is not None
    assert (frame.pixels.shape, still.pixels.shape) == ((480, 640, 3), (1232, 1640, 3))
    assert (frame.sequence, still.sequence) == (1, 2)
    assert frame.metadata is not None
    assert frame.metadata.sensor_id == "virtual"
    assert abs(time.monotonic_ns() - still.monotonic_ns) < SECOND_NS
    small, large = (
        picture.pixels[:: picture.pixels.shape[0] // 48, :: picture.pixels.shape[1] // 64][:48, :64]
        for picture in (frame, still)
    )
    assert np.abs(small.astype(int) - large).mean() < 12
    assert small.std() > 20


def test_frames_come_in_order_at_the_sensor_s_pace_and_only_the_newest_is_given(camera):
    camera.start()
    frames = [camera.capture(5.0) for _ in range(10)]
    times = [frame.monotonic_ns for frame in frames if frame is not None]
    assert len(times) == 10
    steps = np.diff(times) / 1e9
    assert (steps > 0).all()
    assert 0.02 < np.median(steps) < 0.1
    # Half a second in which nobody asks: what was exposed then is not given.
    asked_ns = time.monotonic_ns() + SECOND_NS // 2
    wait_for(lambda: time.monotonic_ns() >= asked_ns)
    newest = camera.capture(5.0)
    assert newest is not None
    assert newest.monotonic_ns >= asked_ns - SECOND_NS // 10
    assert all(after > before for before, after in pairwise([*times, newest.monotonic_ns]))


def test_vision_finds_the_person_that_the_virtual_camera_plays(camera):
    camera.start()
    pipeline = VisionPipeline(open_networks(ROOT / "models"))
    frame = camera.capture(5.0)
    assert frame is not None
    subject = pipeline.process(frame, want_features=True).subject
    assert subject is not None
    assert subject.presence > 0.9
    assert subject.features is not None
    still = VisionPipeline(open_networks(ROOT / "models")).process(camera.still(), want_features=True).subject
    assert still is not None
    assert still.interocular_px == pytest.approx(subject.interocular_px * 1640 / 640, rel=0.05)
    assert float(subject.features.values @ still.features.values) > 0.9


def test_a_camera_can_be_stopped_and_started_again_and_again(camera):
    for _ in range(3):
        camera.start()
        assert camera.capture(5.0) is not None
        camera.stop()
        camera.stop()
    with pytest.raises(CameraUnavailable, match="not open"):
        camera.capture(0.1)


def test_the_exposure_is_held_and_given_back_in_controls_that_libcamera_takes(camera, library):
    camera.start()
    assert camera.capture(5.0) is not None
    for control in (lambda: camera.lock_exposure(0.5), camera.release_exposure):
        library.controls.clear()
        control()
        wait_for(lambda: camera.capture(5.0) is not None and bool(library.controls))
        held = dict(library.controls)
        if held["AeEnable"]:
            assert held == {"AeEnable": True, "AwbEnable": True}
        else:
            assert held["ExposureTime"] == 10_000
            assert held["AnalogueGain"] == 2.0
            assert tuple(held["ColourGains"]) == (1.5, 1.75)
            assert held["AwbEnable"] is False


def test_a_silent_camera_is_noticed_can_be_closed_and_gives_frames_when_opened_again(camera, library):
    camera.start()
    assert camera.capture(5.0) is not None
    library.is_blocked = True
    # What was under way when it fell silent may still come.
    wait_for(lambda: camera.capture(0.2) is None)
    assert camera.capture(0.2) is None
    begin = time.monotonic()
    camera.stop()
    assert time.monotonic() - begin < 3, "the library must not wait for a capture that never ends"
    library.is_blocked = False
    camera.start()
    assert camera.capture(5.0) is not None


def test_the_frame_source_opens_a_silent_camera_again_and_goes_on(camera, library):
    stalls: list[int] = []

    def on_stall(now_ns: int) -> None:
        stalls.append(now_ns)
        library.is_blocked = False

    camera.start()
    source = FrameSource(camera, now_ns=time.monotonic_ns, on_stall=on_stall)
    source.begin()
    wait_for(lambda: source.next() is not None)
    library.is_blocked = True
    silent_ns = time.monotonic_ns()
    wait_for(lambda: source.next() is None)
    wait_for(lambda: source.next() is not None)
    assert len(stalls) == 1
    assert SECOND_NS * 0.9 < stalls[0] - silent_ns < SECOND_NS * 2.5


# A Picamera2 that cannot be opened leaves its pipe open.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_second_owner_is_refused_and_a_camera_that_is_not_there_is_ours(camera):
    camera.start()
    with pytest.raises(CameraUnavailable, match="in use"):
        camera.start()
    with pytest.raises(CameraUnavailable, match="camera 0: cannot be opened"):
        Picamera2Camera().start()
    with pytest.raises(CameraUnavailable, match="camera 7: cannot be opened: 1 cameras found"):
        Picamera2Camera(index=7).start()
    assert camera.capture(5.0) is not None
    gc.collect()
