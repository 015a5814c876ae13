"""The simulated camera: every frame in stepped time, the newest in real time, and it refuses what hardware refuses."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from device.errors import CameraUnavailable
from device.simulated.camera import SimulatedCamera
from device.simulated.clock import FastClock, SteppedClock


class Counting:
    """An actor whose picture shows the time in frames."""

    rate = 20.0

    def __init__(self, frames: int = 1000) -> None:
        self.frames = frames
        self.heard = []

    def picture(self, at_s):
        index = int(at_s * self.rate + 1e-6)
        return np.full((4, 4, 3), index % 256, np.uint8) if index < self.frames else None

    def hear(self, line, at_s):
        self.heard.append((line, round(at_s, 3)))


class WallClock:
    """A clock that runs by itself as far as the camera can tell."""

    def __init__(self) -> None:
        self.ns = 0

    def monotonic_ns(self):
        self.ns += 1_000_000
        return self.ns


def stepped() -> SteppedClock:
    return SteppedClock(datetime(2026, 1, 1, tzinfo=UTC))


def test_in_stepped_time_every_frame_is_given_once_and_the_end_lets_time_pass():
    clock = stepped()
    camera = SimulatedCamera(Counting(frames=3), clock)
    camera.start()
    frames = [camera.capture(0.5) for _ in range(4)]
    assert [frame and (frame.sequence, int(frame.pixels[0, 0, 0])) for frame in frames] == [
        (1, 0),
        (2, 1),
        (3, 2),
        None,
    ]
    assert [frame.monotonic_ns for frame in frames[:3]] == [0, 50_000_000, 100_000_000]
    assert clock.monotonic_ns() == 650_000_000


def test_in_real_time_a_slow_caller_misses_frames_and_never_gets_an_old_one():
    clock = WallClock()
    camera = SimulatedCamera(Counting(), clock)
    camera.start()
    first = camera.capture(1.0)
    clock.ns += 300_000_000
    second = camera.capture(1.0)
    assert int(second.pixels[0, 0, 0]) - int(first.pixels[0, 0, 0]) == 6
    assert second.sequence == first.sequence + 1
    assert camera.capture(0.0) is None
    third = camera.capture(1.0)
    assert int(third.pixels[0, 0, 0]) - int(second.pixels[0, 0, 0]) == 1


def test_a_line_reaches_the_actor_with_the_moment_it_was_said():
    clock = stepped()
    actor = Counting()
    camera = SimulatedCamera(actor, clock)
    camera.start()
    clock.advance(10**9)
    camera.hear("blink")
    other = Counting()
    camera.change_actor(other)
    clock.advance(10**9)
    camera.hear("blink")
    assert (actor.heard, other.heard) == ([("blink", 1.0)], [("blink", 1.0)])


def test_it_refuses_what_hardware_refuses():
    camera = SimulatedCamera(Counting(), stepped())
    with pytest.raises(CameraUnavailable, match="not open"):
        camera.capture(0.1)
    camera.start()
    with pytest.raises(CameraUnavailable, match="in use"):
        camera.start()
    camera.unplug()
    with pytest.raises(CameraUnavailable, match="unplugged"):
        camera.capture(0.1)
    camera.stop()
    camera.stop()
    with pytest.raises(CameraUnavailable, match="unplugged"):
        camera.start()
    camera.plug_in()
    camera.start()
    assert camera.capture(0.1) is not None


def test_a_covered_lens_is_dark():
    class White(Counting):
        def picture(self, at_s):
            return np.full((4, 4, 3), 255, np.uint8)

    camera = SimulatedCamera(White(), stepped())
    camera.start()
    camera.cover_lens()
    assert camera.capture(0.1).pixels.max() < 10
    camera.uncover_lens()
    assert camera.capture(0.1).pixels.max() == 255


def test_the_stepped_clock_does_not_run_backwards_and_can_lose_the_time():
    clock = stepped()
    clock.advance_to(5)
    clock.advance_to(3)
    assert clock.monotonic_ns() == 5
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
    later, earlier = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    clock.note_fleet_time(later)
    clock.note_fleet_time(earlier)
    clock.lose_time()
    now = clock.now()
    assert (now.source, now.uncertainty_s, now.last_fleet_time) == ("none", None, later)


def test_the_fast_clock_carries_the_true_moment():
    real = SteppedClock(datetime(2026, 5, 1, tzinfo=UTC), boot_id="1" * 32)
    fast = FastClock(real)
    fast.advance(3600 * 10**9)
    fast.note_fleet_time(datetime(2026, 4, 30, tzinfo=UTC))
    assert fast.now() == real.now()
    assert real.now().last_fleet_time is not None
