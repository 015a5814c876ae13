"""People, sheets, screens and files by lamp: what each shows to the simulated camera."""

from __future__ import annotations

from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from device.errors import CameraUnavailable, ClipInvalid, RingLightUnavailable
from device.simulated.actor import open_actor, open_script
from device.simulated.camera import SimulatedCamera, SimulatedRingLight
from device.simulated.clock import SteppedClock
from device.simulated.layered import LAYERS, open_layered, open_screen, split
from device.simulated.performers import Answering, Heedless, Pausing, Still
from device.simulated.presenting import Filming, Frozen, Injection, OnScreen, Present, Pulse, Says, StandIn, Tremor
from device.simulated.scene import DARK, Place, RingState
from device.simulated.sensor import SENSOR_ID
from protocol.challenge import Action

PERSON = """
kind = "layered"
clip = "person"
scale = [1.0, 0.5, 0.5]
shown_rate = 20.0
group = "development"
[segments]
idle = [0, 1, 2]
blink = [3, 4]
turn_left = [5, 6, 7]
[truth]
yaw_deg = [0.0, 0.0, 0.0, 0.0, 0.0, 10.0, 20.0, 10.0]
[person]
age = 80
"""
SCREEN = """
kind = "screen"
picture = "screen.png"
scale = [1.0, 1.0, 1.0]
quad = [[16, 8], [48, 8], [48, 40], [16, 40]]
emission = 0.6
pixel_grid = 1000
"""


@pytest.fixture
def folder(tmp_path):
    """Eight pictures, each brighter than the one before; the lamp's left half gives half as much as the right one."""
    (tmp_path / "person").mkdir()
    for index in range(8):
        room = np.full((48, 64, 3), 90 + 10 * index, np.uint8)
        stack = np.vstack([room, np.full_like(room, 60), np.full_like(room, 120)])
        cv2.imwrite(str(tmp_path / "person" / f"{index}.png"), stack)
    (tmp_path / "person.toml").write_text(PERSON)
    cv2.imwrite(str(tmp_path / "screen.png"), np.full((144, 64, 3), 40, np.uint8))
    (tmp_path / "screen.toml").write_text(SCREEN)
    return tmp_path


@pytest.fixture
def person(folder):
    return open_layered(folder / "person.toml")


def open_camera(actor):
    clock = SteppedClock(datetime(2026, 1, 1, tzinfo=UTC))
    camera = SimulatedCamera(actor, clock)
    camera.start()
    ring = SimulatedRingLight(camera)
    ring.start()
    return camera, ring, clock


def shown(performer, times):
    return [performer.index(time) for time in times]


def test_a_person_rests_back_and_forth_and_does_what_is_asked(person):
    performer = Answering(person.description, reaction_s=0.5)
    assert shown(performer, [0.0, 0.05, 0.10, 0.15, 0.20]) == [0, 1, 2, 1, 0]
    performer.hear("look_here", 1.0)
    performer.hear("turn_left", 1.0)
    performer.hear("blink", 1.1)
    assert shown(performer, [1.5, 1.55, 1.6, 1.65, 1.7]) == [5, 6, 7, 3, 4]
    assert [performer.is_acting(time) for time in (1.45, 1.5, 1.75)] == [False, True, False]


def test_nobody_does_what_the_clip_does_not_have(person):
    performer = Answering(person.description)
    performer.hear("look_up", 0.0)
    assert not any(performer.is_acting(step / 10) for step in range(40))


def test_a_recording_does_its_own_actions_paused_or_not(person):
    pausing = Pausing(person.description, [Action.BLINK, Action.TURN_LEFT], reaction_s=0.5)
    pausing.hear("turn_left", 1.0)
    pausing.hear("turn_left", 3.0)
    assert shown(pausing, [1.5, 3.5]) == [3, 5]
    heedless = Heedless(person.description, [Action.TURN_LEFT], rest_s=0.2)
    heedless.hear("blink", 0.0)
    assert shown(heedless, [0.0, 0.2, 0.25, 0.3, 0.35]) == [0, 5, 6, 7, 0]
    assert heedless.is_acting(0.2)
    still = Still(4)
    still.hear("blink", 0.0)
    assert (still.index(9.0), still.is_acting(9.0)) == (4, False)


def test_frames_say_how_they_were_taken_and_show_the_ring_one_frame_late(person):
    camera, ring, _ = open_camera(Present(person, Still(0)))
    for _ in range(30):
        camera.capture(0.1)
    camera.lock_exposure(1.0)
    before = camera.capture(0.1)
    ring.set(0.0, 1.0)
    means = [float(camera.capture(0.1).pixels.mean()) for _ in range(3)]
    assert means[0] == pytest.approx(before.pixels.mean(), abs=1)
    assert means[1] == pytest.approx(means[2], abs=1)
    assert means[1] > means[0] + 5
    assert before.metadata.sensor_id == SENSOR_ID
    assert before.metadata.sensor_ns == before.monotonic_ns
    camera.lock_exposure(1.5)
    times = [camera.capture(0.1).metadata.exposure_us / before.metadata.exposure_us for _ in range(4)]
    assert times == pytest.approx([1.0, 1.0, 1.5, 1.5], abs=0.01)
    camera.release_exposure()
    ring.stop()
    ring.stop()


def test_a_lock_soon_after_a_release_holds_what_was_held_and_not_the_last_step_of_a_code(person):
    camera, ring, _ = open_camera(Present(person, Still(0)))
    for _ in range(30):
        camera.capture(0.1)

    def exposures(frames):
        return [camera.capture(0.1).metadata.exposure_us for _ in range(frames)]

    (held,) = exposures(1)
    camera.lock_exposure(0.6)
    assert exposures(5)[-1] == pytest.approx(0.6 * held, rel=0.01)
    camera.release_exposure()
    exposures(1)
    camera.lock_exposure(1.0)
    assert exposures(4)[-1] == pytest.approx(held, rel=0.01)
    ring.stop()


def test_the_ring_refuses_what_a_ring_cannot_do(person):
    camera, ring, _ = open_camera(Present(person, Still(0)))
    with pytest.raises(ValueError, match=r"not within 0\.\.1"):
        ring.set(0.0, 1.1)
    ring.stop()
    with pytest.raises(RingLightUnavailable, match="not open"):
        ring.set(0.0, 0.0)
    camera.stop()
    with pytest.raises(CameraUnavailable, match="not open"):
        camera.lock_exposure(1.0)


def test_a_pulse_and_a_hand_change_from_moment_to_moment_and_are_the_same_again(person):
    scene = Present(person, Still(0), pulse=Pulse(60.0, 0.01), tremor=Tremor(3.0))
    views = [scene.picture(step / 20) for step in range(40)]
    assert max(abs(view.blood) for view in views) == pytest.approx(0.01, rel=0.25)
    assert len({view.tremor for view in views}) > 3
    assert scene.picture(0.7).blood == views[14].blood
    assert Present(person, Still(0)).picture(3.0).tremor == Place()


def test_another_stands_in_for_every_action(person):
    rests, acts = Present(person, Still(1)), Present(person, Answering(person.description, reaction_s=0.5))
    scene = StandIn(rests, acts)
    scene.hear("turn_left", 0.0)
    assert [scene.picture(time).key[1] for time in (0.4, 0.5, 0.55, 0.9)] == [1, 5, 6, 1]


def test_a_film_keeps_the_light_it_was_made_under(person):
    film = Filming(
        Present(person, Still(0)), ring=lambda at_s: RingState(0.0, 1.0) if at_s >= 1 else DARK, is_clean=True
    )
    dark, lit = film.frame(0.5), film.frame(1.5)
    assert lit[1].mean() > dark[1].mean() + 5
    assert film.frame(0.7)[1] is dark[1]


def test_a_screen_shows_a_film_and_reflects_the_ring_like_glass(folder, person):
    film = Filming(Present(person, Answering(person.description, reaction_s=0.5)), is_clean=True)
    scene = OnScreen(open_screen(folder / "screen.toml"), film)
    camera, ring, _ = open_camera(scene)
    camera.hear("turn_left")
    for _ in range(20):
        rest = camera.capture(0.1)
    view = scene.picture(0.0)
    assert (view.glow.top, view.glow.left) == (8, 16)
    assert rest.pixels[20, 32].mean() > rest.pixels[2, 2].mean() + 20
    assert scene.picture(0.55).key != view.key
    ring.set(1.0, 1.0)


@pytest.mark.parametrize(
    ("says", "wanted"), [(Says.NOTHING, None), (Says.OBEYS, SENSOR_ID)], ids=["silent", "claims_obedience"]
)
def test_an_injected_file_follows_neither_light_nor_exposure(person, says, wanted):
    camera, ring, _ = open_camera(Injection(Filming(Present(person, Still(0))), says=says))
    camera.lock_exposure(1.0)
    before = [camera.capture(0.1) for _ in range(4)][-1]
    camera.lock_exposure(0.5)
    ring.set(1.0, 1.0)
    after = [camera.capture(0.1) for _ in range(6)][-1]
    assert after.pixels.mean() == pytest.approx(before.pixels.mean(), abs=1)
    assert (after.metadata and after.metadata.sensor_id) == wanted
    if wanted:
        assert after.metadata.exposure_us == pytest.approx(before.metadata.exposure_us / 2, rel=0.01)


def test_a_clever_injection_is_made_darker_with_the_commanded_exposure(person):
    camera, _, _ = open_camera(Injection(Filming(Present(person, Still(0))), says=Says.OBEYS, follows_exposure=True))
    camera.lock_exposure(1.0)
    before = [camera.capture(0.1) for _ in range(4)][-1]
    camera.lock_exposure(0.5)
    after = [camera.capture(0.1) for _ in range(6)][-1]
    assert ((after.pixels / 255.0) ** 2.2).mean() == pytest.approx(
        ((before.pixels / 255.0) ** 2.2).mean() / 2, rel=0.03
    )


@pytest.mark.parametrize("says", [Says.STUCK, Says.OBEYS])
def test_a_frozen_sensor_repeats_its_last_frame_bit_by_bit(person, says):
    camera, _, clock = open_camera(Frozen(Present(person, Still(0)), after_s=0.2, says=says))
    frames = [camera.capture(0.1) for _ in range(8)]
    assert not np.array_equal(frames[2].pixels, frames[3].pixels)
    assert all(np.array_equal(frame.pixels, frames[3].pixels) for frame in frames[4:])
    stamps = [frame.metadata.sensor_ns for frame in frames[3:]]
    assert (len(set(stamps)) == 1) is (says is Says.STUCK)
    assert [frame.sequence for frame in frames] == list(range(1, 9))
    assert clock.monotonic_ns() == 8 * 50_000_000


def test_a_sensor_cannot_be_stuck_before_its_first_frame(person):
    camera, _, _ = open_camera(Frozen(Present(person, Still(0)), after_s=0.0, says=Says.STUCK))
    with pytest.raises(CameraUnavailable, match="stuck"):
        camera.capture(0.1)


def test_a_layered_clip_is_opened_by_its_description_and_watched_in_the_rooms_light(folder):
    actor = open_actor(folder / "person.toml")
    assert isinstance(actor, Present)
    assert actor.picture(0.0).layers.ambient.shape == (48, 64, 3)
    frames = list(open_script(folder / "person.toml").frames())
    means = [frame.pixels.mean() for frame in frames]
    assert len(frames) == 8
    assert means[0] < means[-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[3, 4]", "[3, 40]"), "picture 40 named, the clip has 8"),
        (('"development"', '"everybody"'), "group"),
        (("idle = [0, 1, 2]", "idle = []"), "segments.idle"),
        (("shown_rate", "rate"), "rate"),
        (("scale =", 'layers = ["ambient"]\nscale ='), "layers are ambient"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused_with_file_and_key(folder, change, message):
    path = folder / "broken.toml"
    path.write_text(PERSON.replace(*change))
    with pytest.raises(ClipInvalid, match=message) as refused:
        open_layered(path)
    assert "broken.toml" in str(refused.value)


def test_a_picture_that_is_no_stack_and_a_screen_taken_for_a_person_are_refused(folder):
    with pytest.raises(ClipInvalid, match="no stack of three"):
        split(np.zeros((100, 64, 3), np.uint8), (1.0, 1.0, 1.0), name="x")
    with pytest.raises(ClipInvalid, match="layered expected"):
        open_layered(folder / "screen.toml")
    with pytest.raises(ClipInvalid, match="screen expected"):
        open_screen(folder / "person.toml")
    assert LAYERS == ("ambient", "left", "right")
