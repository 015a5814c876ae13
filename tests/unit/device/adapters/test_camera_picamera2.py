"""The camera adapter against a stand-in for picamera2, which installs on a Raspberry Pi only."""

from __future__ import annotations

import sys
from concurrent.futures import CancelledError, Future
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from device.adapters.camera_picamera2 import Picamera2Camera
from device.errors import CameraUnavailable
from device.settings import Camera
from device.vision.frame import CaptureMetadata

SETTLED = {"SensorTimestamp": 7, "ExposureTime": 20000, "AnalogueGain": 2.0, "ColourGains": (1.5, 1.75)}


class Request:
    """A completed request: planes of 4 x 2 pixels of one colour, in rows of 8; the large stream is twice as large and dark."""

    def __init__(self, metadata, red=200, form="YUV420"):
        self.metadata = metadata
        self.red = red
        self.form = form
        self.is_released = False

    def make_array(self, name):
        wide, high = {"lores": (8, 2), "main": (8, 4)}[name]
        picture = np.zeros((high, wide, 3), np.uint8)
        picture[..., 0] = self.red if name == "lores" else 20
        planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
        if self.form == "NV12":
            u, v = planes[high:].reshape(2, -1)
            planes[high:] = np.stack([u, v], axis=1).reshape(planes[high:].shape)
        return planes

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
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.jobs, self.calls, self.next_request, self.controls = [], [], None, []
        self.form, self.camera_controls = "YUV420", {}
        self.camera_properties = {"Model": "imx708"}

    def create_video_configuration(self, **options):
        assert options["main"]["format"] == options["lores"]["format"] == "YUV420"
        assert options["colour_space"] == "smpte170m"
        assert options["queue"] is False
        return options

    def configure(self, options):
        self.options = options

    def camera_configuration(self):
        """What libcamera made of it."""
        return {"lores": {"format": self.form, "size": (4, 2)}, "main": {"format": self.form, "size": (8, 4)}}

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

    def cancel_all_and_flush(self):
        self.calls.append("cancel")
        for job in self.jobs:
            if not job.future.done():
                job.future.set_exception(CancelledError())

    def close(self):
        assert all(job.future.done() for job in self.jobs), "the real one waits for a capture for ever"
        self.calls.append("close")
        raise RuntimeError("closed already")


class Sensors(list):
    """Those that were opened, and what the next ones are like."""

    def __init__(self):
        self.changes = {}
        self.present = 2

    def __call__(self, index):
        self.append(Sensor(index))
        vars(self[-1]).update(self.changes)
        return self[-1]

    def global_camera_info(self):
        return [{}] * self.present


@pytest.fixture
def sensors(monkeypatch):
    made = Sensors()
    libcamera = SimpleNamespace(
        Transform=lambda **flips: flips, ColorSpace=SimpleNamespace(Smpte170m=lambda: "smpte170m")
    )
    monkeypatch.setitem(sys.modules, "picamera2", SimpleNamespace(Picamera2=made))
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
    return made


def test_frames_are_rgb_with_the_sensor_s_time_and_every_request_is_given_back(sensors):
    camera = Picamera2Camera()
    camera.start()
    request = sensors[0].next_request = Request({"SensorTimestamp": 123})
    frame = camera.capture(1.0)
    assert frame.pixels.shape == (2, 4, 3)
    assert frame.pixels.flags.c_contiguous
    assert np.abs(frame.pixels.astype(int) - [200, 0, 0]).max() <= 3
    assert (frame.monotonic_ns, frame.sequence) == (123, 1)
    assert request.is_released
    camera.stop()
    camera.stop()
    assert sensors[0].calls[-2:] == ["cancel", "close"]


def test_a_still_is_the_next_picture_of_the_large_stream(sensors):
    camera = Picamera2Camera()
    camera.start()
    request = sensors[0].next_request = Request(SETTLED)
    assert camera.capture(1.0).sequence == 1
    still = camera.still()
    assert (still.pixels.shape, still.sequence, still.metadata.sensor_id) == ((4, 8, 3), 2, "imx708")
    assert np.abs(still.pixels.astype(int) - [20, 0, 0]).max() <= 3
    assert request.is_released
    sensors[0].next_request = None
    with pytest.raises(CameraUnavailable, match=r"no picture within 0\.001 s"):
        camera.still(0.001)


def test_the_format_that_libcamera_put_in_place_of_the_wanted_one_is_read_as_what_it_is(sensors):
    sensors.changes = {"form": "NV12"}
    camera = Picamera2Camera()
    camera.start()
    sensors[0].next_request = Request({"SensorTimestamp": 123}, form="NV12")
    assert np.abs(camera.capture(1.0).pixels.astype(int) - [200, 0, 0]).max() <= 3
    sensors.changes = {"form": "MJPEG"}
    with pytest.raises(CameraUnavailable, match="lores stream comes as MJPEG, expected one of YUV420, NV12"):
        Picamera2Camera().start()
    assert sensors[1].calls[-1] == "close"


@pytest.mark.parametrize(("rotation", "flips"), [(0, False), (180, True)])
def test_size_and_rotation_are_those_of_the_settings(sensors, rotation, flips):
    settings = Camera(rotation=rotation, size=(800, 600), still_size=(1296, 972))
    Picamera2Camera(settings).start()
    options = sensors[0].options
    assert options["transform"] == {"hflip": flips, "vflip": flips}
    assert (options["lores"]["size"], options["main"]["size"]) == ((800, 600), (1296, 972))


def test_a_lens_that_moves_focuses_by_itself_or_stays_where_it_was_set(sensors):
    Picamera2Camera().start()
    assert sensors[0].options["controls"] == {"FrameRate": 30.0}
    with pytest.raises(
        CameraUnavailable, match=r"camera\.lens_position is set, but the lens of this camera does not move"
    ):
        Picamera2Camera(Camera(lens_position=2.0)).start()
    sensors.changes = {"camera_controls": {"AfMode": (0, 2, 0)}}
    Picamera2Camera().start()
    assert sensors[2].options["controls"] == {"FrameRate": 30.0, "AfMode": 2}
    Picamera2Camera(Camera(lens_position=2.0)).start()
    assert sensors[3].options["controls"] == {"FrameRate": 30.0, "AfMode": 0, "LensPosition": 2.0}


def test_a_camera_that_went_silent_can_be_closed_and_a_late_frame_is_given_back(sensors):
    camera = Picamera2Camera()
    camera.start()
    assert camera.capture(0.001) is None
    camera.stop()
    assert sensors[0].calls[-2:] == ["cancel", "close"]
    camera.start()
    assert camera.capture(0.001) is None
    late = Request({"SensorTimestamp": 1})
    sensors[1].jobs[0].future.set_result(late)
    camera.stop()
    assert late.is_released


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
        Picamera2Camera(index=1).start()
    sensors.present = 0
    with pytest.raises(
        CameraUnavailable, match="camera 0: cannot be opened: 0 cameras found; see that its ribbon cable"
    ):
        Picamera2Camera().start()
    assert len(sensors) == 1


def test_a_frame_that_cannot_be_given_back_is_ours(sensors):
    camera = Picamera2Camera()
    camera.start()
    request = sensors[0].next_request = Request(SETTLED)

    def fail():
        raise AttributeError("no attribute 'ExposureTimeMode'")

    request.release = fail
    with pytest.raises(CameraUnavailable, match="given back: no attribute 'ExposureTimeMode'"):
        camera.capture(1.0)


def test_without_the_library_the_message_says_where_it_comes_from(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraUnavailable, match="apt"):
        Picamera2Camera().start()


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


@pytest.mark.parametrize(("later_s", "held_us"), [(0.1, 20000), (0.9, 20000), (1.1, 12000)])
def test_a_lock_soon_after_a_release_holds_what_was_held_and_not_the_last_step_of_a_code(sensors, later_s, held_us):
    camera = Picamera2Camera()
    camera.start()
    sensors[0].next_request = Request(SETTLED)
    camera.capture(1.0)
    camera.lock_exposure(0.6)
    sensors[0].next_request = Request(SETTLED | {"ExposureTime": 12000})
    camera.capture(1.0)
    camera.release_exposure()
    stamp = SETTLED["SensorTimestamp"] + round(later_s * 1e9)
    sensors[0].next_request = Request(SETTLED | {"ExposureTime": 12000, "SensorTimestamp": stamp})
    camera.capture(1.0)
    camera.lock_exposure(1.0)
    assert sensors[0].controls[-1]["ExposureTime"] == held_us


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
