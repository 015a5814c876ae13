"""Light adds up, and the sensor shows it as a camera does."""

from __future__ import annotations

import numpy as np
import pytest

from device.simulated.scene import DARK, Glow, Layers, Place, RingState, Room, View, beside, mix, moved, nearness, skin
from device.simulated.sensor import DELAY, Sensor

SIZE = (96, 128)
FACE = np.s_[24:72, 40:88]


def layers(ambient: int = 130, lamp: int = 130) -> Layers:
    """A skin-coloured square near the lamp before a grey wall that the lamp hardly reaches."""
    room = np.full((*SIZE, 3), ambient, np.uint8)
    room[FACE] = (180, 130, 110)
    left, right = np.zeros_like(room), np.zeros_like(room)
    left[FACE] = lamp
    right[FACE] = lamp // 2
    return Layers(room, left, right, (1.0, 0.5, 0.5))


def linear(code: float, scale: float) -> float:
    return scale * (code / 255) ** 2.2


def settled(view: View, ring: RingState = DARK) -> Sensor:
    sensor = Sensor(1)
    for _ in range(40):
        sensor.expose(view, ring)
    return sensor


def test_the_light_of_room_and_ring_adds_up():
    seen = mix(View("a", layers(), room=Room(light=2.0)), RingState(0.5, 1.0))
    wanted = linear(110, 2.0) + linear(130, 0.25) + linear(65, 0.5)
    assert seen[48, 64, 2] == pytest.approx(wanted, rel=1e-4)
    assert seen[4, 4, 1] == pytest.approx(linear(130, 2.0), rel=1e-4)


def test_a_display_adds_its_own_glow_whatever_the_ring_does():
    glow = Glow(np.full((10, 10, 3), 0.3, np.float32), 30, 50)
    dark, lit = (mix(View("a", layers(), glow=glow), ring) for ring in (DARK, RingState(1.0, 1.0)))
    plain = mix(View("a", layers()), DARK)
    assert dark[35, 55] - plain[35, 55] == pytest.approx(0.3, abs=1e-5)
    assert lit[35, 55, 0] - dark[35, 55, 0] == pytest.approx(linear(130, 0.5) + linear(65, 0.5), abs=1e-5)


def test_back_light_falls_on_the_background_alone():
    plain, backlit = (mix(View("a", layers(), room=Room(back_light=amount)), DARK) for amount in (0.0, 4.0))
    assert backlit[48, 64] == pytest.approx(plain[48, 64], rel=0.02)
    assert backlit[4, 4] == pytest.approx(5 * plain[4, 4], rel=0.02)


def test_a_helper_stands_at_the_right_side_in_the_same_light():
    both = beside(layers(), Layers(*[np.full((*SIZE, 3), 100, np.uint8)] * 3, (2.0, 1.0, 1.0)))
    alone, seen = (mix(View("a", scene), RingState(1.0, 0.0)) for scene in (layers(), both))
    assert np.array_equal(seen[:, :90], alone[:, :90])
    assert seen[90, 120, 0] == pytest.approx(linear(100, 3.0), rel=0.05)
    assert np.array_equal(seen[:10], alone[:10])


def test_near_skin_is_found_and_the_wall_is_none():
    near, found = nearness(layers()), skin(layers())
    assert near[48, 64] == pytest.approx(1.0)
    assert near[4, 4] == pytest.approx(0.0, abs=0.01)
    assert found[48, 64] > 0.9
    assert found[4, 4] == 0


def test_a_scene_that_moves_continues_at_its_border():
    picture = np.arange(128, dtype=np.uint8)[None, :, None].repeat(96, 0).repeat(3, 2)
    assert moved(picture, Place()) is picture
    right = moved(picture, Place(right_px=3, down_px=-2))
    assert right.shape == picture.shape
    assert list(right[0, :6, 0]) == [0, 0, 0, 0, 1, 2]
    assert moved(picture, Place(zoom=0.5))[48, 64, 0] == pytest.approx(64, abs=1)


def test_exposure_settles_on_a_dark_and_on_a_bright_room():
    means = []
    for light in (0.1, 1.0, 8.0):
        view = View(light, layers(), room=Room(light=light))
        means.append(settled(view).expose(view, DARK).pixels.mean())
    assert max(means) - min(means) < 12


def test_a_locked_exposure_is_obeyed_two_frames_later_and_ignores_the_light():
    view = View("a", layers())
    sensor = settled(view)
    before = sensor.expose(view, DARK)
    sensor.lock(1.0)
    for _ in range(5):
        lit = sensor.expose(view, RingState(1.0, 1.0))
    assert lit.exposure == before.exposure
    assert lit.pixels[48, 64].mean() > before.pixels[48, 64].mean() + 20
    sensor.lock(0.5)
    times = [sensor.expose(view, DARK).exposure.time_us / before.exposure.time_us for _ in range(DELAY + 2)]
    assert times[:DELAY] == [1.0] * DELAY
    assert times[DELAY:] == pytest.approx([0.5, 0.5], abs=0.01)
    sensor.lock(2.0)
    for _ in range(DELAY + 1):
        twice = sensor.expose(view, DARK)
    assert twice.exposure.time_us == pytest.approx(2 * before.exposure.time_us, rel=0.01)
    sensor.release()
    for _ in range(20):
        released = sensor.expose(view, DARK)
    assert released.exposure.time_us == pytest.approx(before.exposure.time_us, rel=0.05)


def test_light_and_exposure_show_linearly_in_the_picture():
    view = View("a", layers())
    sensor = settled(view)
    sensor.lock(1.0)

    def light(factor: float) -> float:
        sensor.lock(factor)
        frames = [sensor.expose(view, DARK).pixels[30:60, 50:80] for _ in range(DELAY + 6)][DELAY:]
        return float(((np.mean(frames, (0, 1, 2)) / 255) ** 2.2)[1])

    assert light(0.5) / light(1.0) == pytest.approx(0.5, rel=0.06)


def test_noise_never_repeats_and_grows_with_the_gain():
    deviations = []
    for light in (1.0, 0.02):
        view = View(light, layers(), room=Room(light=light))
        sensor = settled(view)
        frames = np.array([sensor.expose(view, DARK).pixels for _ in range(12)], np.float64)
        assert not np.array_equal(frames[0], frames[1])
        deviations.append(frames[:, 4:20, 4:30].std(0).mean())
    assert 0.5 < deviations[0] < 3
    assert deviations[1] > 1.5 * deviations[0]


def test_the_pulse_shows_in_skin_alone_and_in_green_most():
    view, pale = View("a", layers(), blood=0.05), View("a", layers())
    sensor = settled(pale)
    sensor.lock(1.0)
    red = np.mean([sensor.expose(view, DARK).pixels for _ in range(30)], 0, dtype=np.float64)
    rest = np.mean([sensor.expose(pale, DARK).pixels for _ in range(30)], 0, dtype=np.float64)
    change = (red - rest)[40:56, 56:72].mean((0, 1)) / rest[40:56, 56:72].mean((0, 1)) * 2.2
    assert change[1] == pytest.approx(0.05, rel=0.35)
    assert change[0] < change[1]
    assert abs((red - rest)[:12, :20].mean()) < 0.3


def test_the_same_seed_gives_the_same_frames():
    view = View("a", layers())
    first, second, other = (
        [sensor.expose(view, RingState(0.3, 0.0)).pixels for _ in range(3)]
        for sensor in (Sensor(4), Sensor(4), Sensor(5))
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])
