"""The light code between the frames: what is set, when, and that it is dark afterwards, whatever happened."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import CameraUnavailable, RingLightUnavailable
from device.runner.light import LightPlayer
from device.session.commands import PlayLight
from protocol.challenge import LightChip, draw_light_code
from protocol.policy import LightPolicy, PathName, default_policy

MS = 1_000_000
CODE = (LightChip(1.0, 0.0, 1.0), LightChip(0.0, 1.0, 0.6), LightChip(1.0, 1.0, 0.6))


class Camera:
    """Notes what is asked of its exposure."""

    def __init__(self):
        self.exposures = []
        self.is_broken = False

    def lock_exposure(self, factor):
        if self.is_broken:
            raise CameraUnavailable("camera: unplugged")
        self.exposures.append(factor)

    def release_exposure(self):
        if self.is_broken:
            raise CameraUnavailable("camera: unplugged")
        self.exposures.append("free")


class Ring:
    """Notes how bright it was set."""

    def __init__(self):
        self.levels = []
        self.is_broken = False

    def start(self):
        self.levels.append((0.0, 0.0))

    def set(self, left, right):
        if self.is_broken:
            raise RingLightUnavailable("ring: broken")
        self.levels.append((left, right))

    def stop(self):
        self.levels.append("off")


def order(code=CODE, chip_s=0.4, ramp_s=0.0):
    return PlayLight(0, code, chip_s=chip_s, ramp_s=ramp_s, rules=None)


@pytest.fixture
def camera():
    return Camera()


@pytest.fixture
def ring():
    return Ring()


def test_each_step_sets_ring_and_exposure_once_and_the_end_is_dark_and_free(camera, ring):
    player = LightPlayer(camera, ring)
    player.begin(order(), 0)
    overs = [player.play(at * 100 * MS) for at in range(1, 13)]
    assert overs == [False] * 11 + [True]
    assert ring.levels == [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)]
    assert camera.exposures == [1.0, 0.6, 0.6, "free"]
    assert player.play(5000 * MS) is False


def test_what_was_set_when_is_written_down(camera, ring):
    player = LightPlayer(camera, ring)
    player.begin(order(), 1000 * MS)
    for at in range(1000, 2300, 50):
        player.play(at * MS)
    times = np.array([999, 1000, 1399, 1400, 1800, 2200], np.int64) * MS
    light = player.stimulus.light_at(times)
    assert np.isnan(light[0]).all()
    assert light[1:].tolist() == [[1, 0], [1, 0], [0, 1], [1, 1], [0, 0]]
    factors = player.stimulus.exposure_at(times)
    assert np.isnan(factors[[0, -1]]).all()
    assert factors[1:-1].tolist() == [1.0, 1.0, 0.6, 0.6]


def test_slow_frames_leave_steps_out_rather_than_make_the_code_longer(camera, ring):
    player = LightPlayer(camera, ring)
    player.begin(order(), 0)
    assert player.play(900 * MS) is False
    assert player.play(1900 * MS) is True
    assert ring.levels == [(1.0, 0.0), (1.0, 1.0), (0.0, 0.0)]


def test_a_code_with_ramps_never_steps_and_fades_out(camera, ring):
    rules = default_policy().light[PathName.NO_FLASH]
    code = draw_light_code(bytes(16), rules)
    player = LightPlayer(camera, ring)
    slow = order(code, rules.chip_s, rules.ramp_s)
    player.begin(slow, 0)
    step_ms, now = 50, 0
    while not player.play(now * MS):
        now += step_ms
    assert now / 1000 == pytest.approx(slow.seconds, abs=0.06)
    levels = np.array([(0.0, 0.0), *ring.levels])
    assert np.abs(np.diff(levels, axis=0)).max() <= step_ms / 1000 / rules.ramp_s + 1e-6
    assert set(map(tuple, levels.tolist())) >= {(chip.left, chip.right) for chip in code}
    assert ring.levels[-1] == (0.0, 0.0)


@given(
    st.integers(0, 2**32),
    st.floats(0, 1.0),
    st.floats(0.35, 1.0),
    st.lists(st.floats(0.001, 0.7), min_size=1, max_size=60),
    st.sampled_from([None, "end", "ring", "camera", "begin"]),
)
def test_the_end_is_dark_and_free_whatever_comes_between(seed, ramp_s, chip_s, gaps, what):
    camera, ring = Camera(), Ring()
    player = LightPlayer(camera, ring)
    code = draw_light_code(seed.to_bytes(16, "big"), LightPolicy(chips=6, chip_s=chip_s, exposures=(1.0, 0.5)))
    player.begin(order(code, chip_s, ramp_s), 0)
    now = 0
    for gap in gaps:
        now += round(gap * 1e9)
        player.play(now)
    if what == "begin":
        player.begin(order(code, chip_s, ramp_s), now)
    ring.is_broken, camera.is_broken = what == "ring", what == "camera"
    with contextlib.suppress(CameraUnavailable, RingLightUnavailable):
        player.play(now + 1)
    player.end(now + 2)
    assert ring.levels[-1] in ((0.0, 0.0), "off")
    assert camera.exposures[-1] == "free" or camera.is_broken
    sets = [level for level in ring.levels if level != "off"]
    assert all(0 <= half <= 1 for level in sets for half in level)


def test_without_a_ring_the_exposures_are_played_all_the_same(camera):
    player = LightPlayer(camera, None)
    player.open()
    player.begin(order(), 0)
    for at in range(1, 13):
        player.play(at * 100 * MS)
    assert camera.exposures == [1.0, 0.6, 0.6, "free"]
    assert np.isnan(player.stimulus.light_at(np.array([500 * MS], np.int64))).all()
    player.close()


def test_holding_the_exposure_is_ended_by_the_end_and_is_no_command_to_obey(camera, ring):
    player = LightPlayer(camera, ring)
    player.hold()
    player.end(5 * MS)
    player.end(6 * MS)
    assert camera.exposures == [1.0, "free"]
    assert ring.levels == []
    assert np.isnan(player.stimulus.exposure_at(np.array([1 * MS, 6 * MS], np.int64))).all()


def test_opening_closes_what_was_open(ring, camera):
    player = LightPlayer(camera, ring)
    player.open()
    player.close()
    assert ring.levels == ["off", (0.0, 0.0), "off"]
