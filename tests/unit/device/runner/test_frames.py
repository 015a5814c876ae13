"""Where the worker gets its frames: what a paced camera may do, and what a broken one is called."""

from __future__ import annotations

import numpy as np
import pytest

from device.errors import CameraUnavailable
from device.runner.frames import SILENCE_S, FrameSource
from device.vision.frame import Frame


class Camera:
    """Frames, silence or an error, as the test says; each call takes a tenth of a second."""

    def __init__(self):
        self.now = 0
        self.gives = Frame(np.zeros((4, 4, 3), np.uint8), 1, 0)
        self.calls = []

    def start(self):
        self.calls.append("start")
        if isinstance(self.gives, CameraUnavailable):
            raise self.gives

    def stop(self):
        self.calls.append("stop")

    def capture(self, timeout_s):
        self.now += 100_000_000
        if isinstance(self.gives, CameraUnavailable):
            raise self.gives
        return self.gives


def source_of(camera, **options):
    stalls = []
    source = FrameSource(camera, now_ns=lambda: camera.now, on_stall=stalls.append, **options)
    source.begin()
    return source, stalls


def test_the_end_of_a_clip_is_no_stall_and_its_error_is_raised_at_once():
    camera = Camera()
    source, stalls = source_of(camera, is_paced=True)
    camera.gives = None
    assert [source.next() for _ in range(99)] == [None] * 99
    camera.gives = CameraUnavailable("clip: cut short")
    with pytest.raises(CameraUnavailable, match="cut short"):
        source.next()
    assert (stalls, camera.calls) == ([], [])


def test_a_camera_that_is_opened_again_in_vain_is_given_up_after_five_seconds():
    camera = Camera()
    source, stalls = source_of(camera)
    camera.gives = CameraUnavailable("camera: unplugged")
    assert source.next() is None
    camera.now = round(SILENCE_S * 1e9)
    assert source.next() is None
    assert camera.calls == ["stop", "start"] * 2
    camera.now += 1
    with pytest.raises(CameraUnavailable, match=r"no frame for 5\.0 s"):
        source.next()
    assert len(stalls) == 1


@pytest.mark.parametrize("gives", [None, CameraUnavailable("camera: unplugged")])
def test_opening_again_for_repair_takes_a_frame_to_believe_it(gives):
    camera = Camera()
    source, _ = source_of(camera)
    source.open_again()
    camera.gives = gives
    with pytest.raises(CameraUnavailable):
        source.open_again()
