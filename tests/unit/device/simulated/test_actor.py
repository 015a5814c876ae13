"""Who is in front of the simulated camera: live ones answer, recordings do not."""

from __future__ import annotations

import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.errors import CameraUnavailable, ClipInvalid
from device.simulated.actor import REACTION_S, EmptyRoom, LiveActor, LiveDescription, SwapActor, open_actor, open_script
from device.simulated.clips import FOLDER_RATE
from device.simulated.scene import View
from protocol.challenge import Action

PEOPLE = Path(__file__).resolve().parents[4] / "demo" / "people"
PICTURES = [np.full((2, 2, 3), value, np.uint8) for value in range(20)]
DESCRIPTION = LiveDescription(
    kind="live",
    clip="none.mp4",
    shown_rate=20.0,
    hold=2,
    idle=(0, 1, 2),
    segments={Action.BLINK: (10, 11, 12), Action.TURN_LEFT: (15, 16)},
)


def live(**changes) -> LiveActor:
    return LiveActor(PICTURES, DESCRIPTION.model_copy(update=changes), name="test.toml")


def shown(actor, times) -> list[int]:
    return [int(actor.picture(time)[0, 0, 0]) for time in times]


def test_a_resting_person_goes_back_and_forth_through_the_resting_pictures():
    assert shown(live(), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]) == [0, 1, 2, 1, 0, 1]


def test_an_action_asked_for_is_played_after_a_moment_and_the_next_one_after_it():
    actor = live()
    actor.hear("blink", 1.0)
    actor.hear("turn_left", 1.0)
    begin = 1.0 + REACTION_S
    assert shown(actor, [begin + step * 0.1 for step in range(5)]) == [10, 11, 12, 15, 16]
    assert shown(actor, [begin + 0.55])[0] < 10


def test_advice_and_unknown_actions_are_not_played():
    actor = live()
    actor.hear("look_here", 0.0)
    actor.hear("look_up", 0.0)
    assert max(shown(actor, [step * 0.05 for step in range(60)])) < 10


def test_another_person_takes_over_after_the_first_actions():
    first, second = live(idle=(0,)), live(idle=(5,))
    actor = SwapActor(first, second, after_prompts=1)
    assert shown(actor, [0.0]) == [0]
    actor.hear("blink", 0.0)
    assert shown(actor, [0.1]) == [0]
    actor.hear("turn_left", 3.0)
    assert shown(actor, [3.1, 3.0 + REACTION_S]) == [5, 15]


def test_an_empty_room_is_the_same_every_time():
    one, other = EmptyRoom(20.0), EmptyRoom(20.0)
    assert np.array_equal(one.picture(0.3), other.picture(0.3))
    assert not np.array_equal(one.picture(0.3), one.picture(0.35))


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "pictures"
    place.mkdir()
    for index in range(3):
        cv2.imwrite(str(place / f"{index}.png"), np.full((8, 8, 3), index * 40, np.uint8))
    (place / "notes.txt").write_text("no picture")
    return place


def test_an_image_folder_plays_once_or_again_and_again(folder):
    times = [index / FOLDER_RATE for index in range(5)]
    once = open_actor(folder, is_looped=False)
    once.hear("blink", 0.0)
    assert [None if (seen := once.picture(time)) is None else int(seen[0, 0, 0]) for time in times] == [
        0,
        40,
        80,
        None,
        None,
    ]
    assert shown(open_actor(folder), times) == [0, 40, 80, 0, 40]


def test_a_recording_nobody_looked_at_for_hours_goes_on_where_it_was(folder):
    actor = open_actor(folder)
    assert shown(actor, [0.0, 3600.0, 3600.0 + 1 / FOLDER_RATE]) == [0, 40, 80]


def test_the_script_of_a_clip_counts_held_pictures_as_one():
    script = open_script(PEOPLE / "print_om.mp4")
    frames = list(script.frames())
    assert (len(frames), script.rate) == (40, 20.0)
    assert [script.original(frame.sequence) for frame in frames[:4]] == [0, 0, 1, 1]
    assert frames[2].monotonic_ns == 100_000_000


def kind_of(path):
    return tomllib.loads(path.read_text(encoding="utf-8"))["kind"]


def is_by_lamp(path):
    """Say whether a description is of a layered clip, or of a scene made of such."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    made_of = next((content[key] for key in ("of", "first", "rests") if key in content), None)
    return content["kind"] == "layered" or (made_of is not None and is_by_lamp(PEOPLE / made_of))


SCENES = [path for path in sorted(PEOPLE.glob("*.toml")) if kind_of(path) != "screen"]
FILMED = [path for path in SCENES if not is_by_lamp(path)]
LAYERED = [path for path in SCENES if is_by_lamp(path)]


@pytest.mark.parametrize("path", FILMED, ids=lambda path: path.stem)
def test_every_shipped_description_opens_and_shows_a_picture(path):
    picture = open_actor(path).picture(0.0)
    assert picture.shape == (480, 640, 3)
    assert picture.dtype == np.uint8
    # Two seconds and more: enough to learn how a face looks at rest.
    assert sum(1 for _ in open_script(path).frames()) >= 2 * open_actor(path).rate


@pytest.mark.parametrize("path", LAYERED, ids=lambda path: path.stem)
def test_every_shipped_layered_description_opens_and_shows_a_scene_by_lamp(path):
    assert isinstance(open_actor(path).picture(0.0), View)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind = ", "cannot be read"),
        ('kind = "ghost"', "ghost"),
        ('kind = "recording"\nclip = "x.mp4"\nshown_rate = 20.0\nhold = 0', "hold"),
        ('kind = "empty"\nshown_rate = 20.0\nextra = 1', "extra"),
    ],
)
def test_a_bad_description_names_file_and_key(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ClipInvalid, match=message) as raised:
        open_actor(path)
    assert "bad.toml" in str(raised.value)


def test_a_description_that_names_a_picture_the_clip_lacks_is_refused():
    with pytest.raises(ClipInvalid, match="picture 25 named, the clip has 20"):
        live(idle=(0, 25))


def test_a_missing_clip_is_refused(tmp_path):
    with pytest.raises(CameraUnavailable, match=r"gone\.mp4"):
        open_actor(tmp_path / "gone.mp4")
    with pytest.raises(ClipInvalid, match="no such file"):
        open_actor(tmp_path / "gone.toml")
