"""The camera adapter against a stand-in for picamera2, which installs on a Raspberry Pi only."""

from __future__ import annotations

import sys
from concurrent.futures import Future
from types import SimpleNamespace

import numpy as np
import pytest

from device.adapters.camera_picamera2 import Picamera2Camera
from device.errors import CameraUnavailable
from device.vision.frame import CaptureMetadata


class Request:
    """A completed request: 2 x 2 pixels, in memory B, G, R."""

    def __init__(self, metadata):
        self.metadata = metadata
        self.is_released = False

    def make_array(self, name):
        assert name == "main"
        return np.tile(np.array([1, 2, 3], np.uint8), (2, 2, 1))

    def get_metadata(self):
        return self.metadata

    def release(self):
        self.is_released = True


class Job:
    """What `capture_request(wait=False)` gives."""

    def __init__(self):
        self.future = Future()

    def get_result(self, timeout=None):
        return self.future.result(timeout=timeout)


class Sensor:
    """The part of `Picamera2` that the adapter calls."""

    def __init__(self, index):
        if index > 0:
            raise IndexError("list index out of range")
        self.jobs, self.calls, self.next_request, self.controls = [], [], None, []
        self.camera_properties = {"Model": "imx708"}

    def create_video_configuration(self, **options):
        assert options["main"]["format"] == "RGB888"
        assert options["queue"] is False
        return options

    def configure(self, options):
        self.calls.append(("configure", options["main"]["size"]))

    def start(self):
        self.calls.append("start")

    def capture_request(self, wait):
        assert wait is False
        self.jobs.append(Job())
        if self.next_request is not None:
            self.jobs[-1].future.set_result(self.next_request)
        return self.jobs[-1]

    def set_controls(self, controls):
        self.controls.append(controls)

    def stop(self):
        self.calls.append("stop")

    def close(self):
        self.calls.append("close")
        raise RuntimeError("closed already")


@pytest.fixture
def sensors(monkeypatch):
    made = []

    def make(index):
        made.append(Sensor(index))
        return made[-1]

    monkeypatch.setitem(sys.modules, "picamera2", SimpleNamespace(Picamera2=make))
    return made


def test_frames_are_rgb_with_the_sensor_s_time_and_every_request_is_given_back(sensors):
    camera = Picamera2Camera()
    camera.start()
    request = sensors[0].next_request = Request({"SensorTimestamp": 123})
    frame = camera.capture(1.0)
    assert frame.pixels[0, 0].tolist() == [3, 2, 1]
    assert (frame.monotonic_ns, frame.sequence) == (123, 1)
    assert request.is_released
    camera.stop()
    camera.stop()
    assert sensors[0].calls[-2:] == ["stop", "close"]


def test_a_frame_without_a_time_is_refused_and_given_back(sensors):
    camera = Picamera2Camera()
    camera.start()
    request = sensors[0].next_request = Request({})
    with pytest.raises(CameraUnavailable, match="SensorTimestamp"):
        camera.capture(1.0)
    assert request.is_released


def test_a_request_that_timed_out_is_waited_for_again(sensors):
    camera = Picamera2Camera()
    camera.start()
    assert camera.capture(0.001) is None
    assert camera.capture(0.001) is None
    assert len(sensors[0].jobs) == 1


def test_a_frame_that_came_after_a_time_out_is_given_back_unseen(sensors):
    camera = Picamera2Camera()
    camera.start()
    assert camera.capture(0.001) is None
    old = Request({"SensorTimestamp": 1})
    sensors[0].jobs[0].future.set_result(old)
    sensors[0].next_request = Request({"SensorTimestamp": 2})
    frame = camera.capture(1.0)
    assert (frame.monotonic_ns, frame.sequence) == (2, 1)
    assert old.is_released


def test_a_failing_capture_and_a_missing_camera_are_ours(sensors):
    camera = Picamera2Camera()
    with pytest.raises(CameraUnavailable, match="not open"):
        camera.capture(0.1)
    camera.start()
    with pytest.raises(CameraUnavailable, match="in use"):
        camera.start()
    assert camera.capture(0.001) is None
    sensors[0].jobs[0].future.set_exception(RuntimeError("camera frontend has timed out"))
    with pytest.raises(CameraUnavailable, match="timed out"):
        camera.capture(0.1)
    assert camera.capture(0.001) is None, "a capture that failed is not what the next one gets"
    with pytest.raises(CameraUnavailable, match="camera 1: cannot be opened"):
        Picamera2Camera(1).start()


def test_without_the_library_the_message_says_where_it_comes_from(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraUnavailable, match="apt"):
        Picamera2Camera().start()


SETTLED = {"SensorTimestamp": 7, "ExposureTime": 20000, "AnalogueGain": 2.0, "ColourGains": (1.5, 1.75)}


def test_a_frame_says_which_sensor_took_it_when_and_how(sensors):
    camera = Picamera2Camera()
    camera.start()
    sensors[0].next_request = Request(SETTLED)
    assert camera.capture(1.0).metadata == CaptureMetadata("imx708", 7, 20000.0, 2.0)
    sensors[0].next_request = Request({"SensorTimestamp": 8})
    assert camera.capture(1.0).metadata is None


def test_exposure_gain_and_white_balance_are_held_as_they_were_when_first_locked(sensors):
    camera = Picamera2Camera()
    camera.start()
    camera.release_exposure()
    with pytest.raises(CameraUnavailable, match="exposure"):
        camera.lock_exposure(1.0)
    sensors[0].next_request = Request(SETTLED)
    camera.capture(1.0)
    camera.lock_exposure(1.0)
    sensors[0].next_request = Request(SETTLED | {"ExposureTime": 19990, "ColourGains": (1.0, 1.0)})
    camera.capture(1.0)
    camera.lock_exposure(0.5)
    camera.release_exposure()
    camera.release_exposure()
    held = {"AeEnable": False, "AwbEnable": False, "AnalogueGain": 2.0, "ColourGains": (1.5, 1.75)}
    assert sensors[0].controls == [
        held | {"ExposureTime": 20000},
        held | {"ExposureTime": 10000},
        {"AeEnable": True, "AwbEnable": True},
    ]


def test_a_release_that_failed_is_made_up_for_by_the_next_one(sensors, monkeypatch):
    camera = Picamera2Camera()
    camera.start()
    sensors[0].next_request = Request(SETTLED)
    camera.capture(1.0)
    camera.lock_exposure(1.0)

    def fail(controls):
        raise RuntimeError("busy")

    with monkeypatch.context() as patch:
        patch.setattr(sensors[0], "set_controls", fail)
        with pytest.raises(CameraUnavailable, match="busy"):
            camera.release_exposure()
    camera.release_exposure()
    camera.release_exposure()
    assert sensors[0].controls[1:] == [{"AeEnable": True, "AwbEnable": True}]


def test_a_sensor_without_colours_has_no_white_balance_to_hold(sensors):
    camera = Picamera2Camera()
    camera.start()
    sensors[0].next_request = Request({key: SETTLED[key] for key in SETTLED if key != "ColourGains"})
    camera.capture(1.0)
    camera.lock_exposure(1.0)
    camera.release_exposure()
    assert sensors[0].controls == [
        {"AeEnable": False, "ExposureTime": 20000, "AnalogueGain": 2.0},
        {"AeEnable": True},
    ]


def test_a_lock_does_not_outlive_the_device(sensors):
    camera = Picamera2Camera()
    camera.start()
    sensors[0].next_request = Request(SETTLED)
    camera.capture(1.0)
    camera.lock_exposure(1.0)
    camera.stop()
    camera.start()
    camera.release_exposure()
    assert sensors[1].controls == []
    with pytest.raises(CameraUnavailable, match="exposure"):
        camera.lock_exposure(1.0)
