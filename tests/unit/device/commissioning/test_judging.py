"""What measures mean, at both sides of every limit; and that every reason has its sentence."""

from __future__ import annotations

import ast
import inspect
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from device.app import commissioning as running
from device.app import reaching, seeing
from device.commissioning import check, judging
from device.commissioning.judging import Writes
from device.commissioning.light import HalfLight, RoomLight, half_light, room_light
from device.commissioning.seat import Seat, seat_of
from device.uplink import reaching as uplink_reaching
from protocol.commissioning import LANGUAGES, CommissioningCheck, Part, _texts, sentence
from protocol.evidence import EvidenceKind
from protocol.health import UNDER_VOLTAGE, BoardVitals
from protocol.policy import PathName, Policy, default_policy
from protocol.times import ClockSource, DeviceTime

pytestmark = pytest.mark.provisioning
NOW = datetime(2026, 11, 2, 4, tzinfo=UTC)
GOOD_ROOM = RoomLight(black_share=0.01, white_share=0.0, white_around=0.02, backlight=1.2, lux=300.0)


def unlit_policy() -> Policy:
    """The shipped one, but nobody on the standard path is judged by the light."""
    policy = default_policy()
    standard = policy.paths[PathName.STANDARD]
    required = tuple(kind for kind in standard.required if kind is not EvidenceKind.ILLUMINATION)
    unlit = standard.model_copy(update={"required": required})
    return policy.model_copy(update={"paths": {**policy.paths, PathName.STANDARD: unlit}})


def found(check: CommissioningCheck) -> tuple[str, str]:
    for language in LANGUAGES:
        said = sentence(check, language)
        assert "{" not in said
        assert "?" not in said.replace("? ", ""), said
        assert not said.startswith(check.reason)
    return check.status, check.reason


@pytest.mark.parametrize(
    ("room", "light", "glare"),
    [
        (GOOD_ROOM, ("passed", "good"), ("passed", "good")),
        (RoomLight(0.3, 0.0, 0.0, 1.0, 300.0), ("failed", "dark"), ("passed", "good")),
        (RoomLight(0.0, 0.0, 0.0, 1.0, 12.0), ("failed", "dark"), ("passed", "good")),
        (RoomLight(0.0, 0.4, 0.0, 1.0, 300.0), ("failed", "bright"), ("passed", "good")),
        (RoomLight(0.0, 0.0, 0.0, 1.0, 9000.0), ("failed", "bright"), ("passed", "good")),
        (RoomLight(0.0, 0.0, 0.4, 3.0, 300.0), ("passed", "good"), ("failed", "glare")),
        (RoomLight(0.1, 0.0, 0.2, 12.0, 300.0), ("passed", "good"), ("failed", "backlight")),
        (RoomLight(0.0, 0.0, 0.0, 1.0, None), ("passed", "good_unmeasured"), ("passed", "good")),
    ],
)
def test_light(room: RoomLight, light: tuple[str, str], glare: tuple[str, str]) -> None:
    assert found(judging.judge_light(room)) == light
    assert found(judging.judge_glare(room)) == glare


@pytest.mark.parametrize(
    ("left", "right", "reasons"),
    [
        (HalfLight(0.5, 0.2), HalfLight(0.5, -0.1), ("good", "good")),
        (HalfLight(0.5, -0.1), HalfLight(0.5, 0.2), ("swapped", "swapped")),
        (HalfLight(0.002, 0.9), HalfLight(0.5, -0.1), ("dead", "shines")),
        (HalfLight(0.5, 0.2), HalfLight(-0.001, 0.0), ("shines", "dead")),
        (HalfLight(0.0, 0.0), HalfLight(0.0, 0.0), ("dead", "dead")),
        (HalfLight(0.5, 0.01), HalfLight(0.5, 0.0), ("one_sided", "one_sided")),
    ],
)
def test_ring(left: HalfLight, right: HalfLight, reasons: tuple[str, str]) -> None:
    checks = judging.judge_ring(left, right)
    assert tuple(found(check)[1] for check in checks) == reasons
    assert [check.part for check in checks] == [Part.RING_LEFT, Part.RING_RIGHT]


def test_a_ring_light_may_be_missing_only_where_the_policy_asks_for_none() -> None:
    checks = judging.judge_no_ring(default_policy())
    assert [(check.part, *found(check)) for check in checks] == [
        (Part.RING_LEFT, "failed", "wanted"),
        (Part.RING_RIGHT, "failed", "wanted"),
    ]
    checks = judging.judge_no_ring(unlit_policy())
    assert [(*found(check), check.is_required) for check in checks] == [("skipped", "none", False)] * 2


@pytest.mark.parametrize(
    ("seat", "reason", "says"),
    [
        (Seat(65, 0, 0), "good", "65 cm"),
        (Seat(30, 0, 0), "too_near", "about 37.5 cm away"),
        (Seat(120, 0, 0), "too_far", "about 52.5 cm nearer"),
        (Seat(65, 9, 0), "raise_terminal", "by about 9 cm"),
        (Seat(65, -9, 0), "lower_terminal", "by about 9 cm"),
        (Seat(65, 0, 14), "move_right", "14 cm to the right of who sits"),
        (Seat(65, 0, -14), "move_left", "14 cm to the left of who sits"),
        (None, "no_face", "No face"),
    ],
)
def test_seat(seat: Seat | None, reason: str, says: str) -> None:
    check = judging.judge_seat(seat)
    assert found(check)[1] == reason
    assert says in sentence(check, "en")


def test_the_eyes_tell_where_somebody_sits() -> None:
    # docs/hardware.md: at 60 cm the eyes of an adult are 71 pixels apart.
    seat = seat_of((320 - 35.5, 200), (320 + 35.5, 200), width=640, height=480)
    assert seat is not None
    assert seat.distance_cm == pytest.approx(60, abs=0.5)
    # 40 pixels above the middle, at 6.2 cm for 71 of them.
    assert seat.above_cm == pytest.approx(40 * 6.2 / 71)
    assert seat.aside_cm == pytest.approx(0)
    assert seat_of((10, 10), (10, 10), width=640, height=480) is None


def test_light_is_measured_inside_and_around_the_face() -> None:
    picture = np.full((480, 640, 3), 255, np.uint8)
    picture[150:330, 250:390] = 40
    found = room_light(picture, (250, 150, 390, 330), exposure_us=10_000, analogue_gain=1.0)
    assert found.white_around > 0.95
    assert found.white_share == found.black_share == 0
    assert found.backlight == pytest.approx((255 / 40) ** 2.2, rel=0.1)
    brighter = room_light(picture, (250, 150, 390, 330), exposure_us=5_000, analogue_gain=1.0)
    assert found.lux is not None
    assert brighter.lux == pytest.approx(2 * found.lux)
    assert room_light(picture, (250, 150, 390, 330)).lux is None


def test_a_half_is_measured_against_the_dark() -> None:
    dark = np.full((100, 100, 3), 80, np.uint8)
    lit = dark.copy()
    lit[:, 50:] = 110
    half = half_light([dark, dark], [lit, lit], (10, 10, 90, 90))
    assert half.gain == pytest.approx(((110 / 80) ** 2.2 - 1) / 2, rel=0.02)
    assert half.side == pytest.approx(1.0)
    assert half_light([dark], [dark], (10, 10, 90, 90)) == HalfLight(0.0, 0.0)


def test_camera() -> None:
    size = (640, 480)
    assert found(judging.judge_camera(30, 1.5, size, size)) == ("passed", "good")
    assert found(judging.judge_camera(10, 1.5, size, size)) == ("failed", "slow")
    assert found(judging.judge_camera(30, 1.5, (1280, 960), size)) == ("failed", "other_size")
    assert found(judging.judge_camera(0, 0, size, size)) == ("failed", "no_frames")


def moment(source: ClockSource, uncertainty_s: float | None = 1.0) -> DeviceTime:
    return DeviceTime(
        boot_id="0" * 32,
        monotonic_ns=1,
        wall_clock=NOW,
        source=source,
        uncertainty_s=uncertainty_s,
    )


def test_clock() -> None:
    good = moment(ClockSource.NETWORK)
    right, wrong = NOW + timedelta(seconds=2), datetime(2000, 1, 1, tzinfo=UTC)
    assert found(judging.judge_clock(good, battery=right, has_battery=True)) == ("passed", "good")
    assert found(judging.judge_clock(good, battery=None, has_battery=False)) == ("passed", "no_battery")
    assert found(judging.judge_clock(good, battery=wrong, has_battery=True)) == ("failed", "battery_wrong")
    assert found(judging.judge_clock(good, battery=None, has_battery=True)) == ("failed", "battery_unread")
    nothing = moment(ClockSource.NONE, None)
    assert found(judging.judge_clock(nothing, battery=right, has_battery=True)) == ("failed", "unsure")


def test_power() -> None:
    assert found(judging.judge_power(BoardVitals(throttled=0))) == ("passed", "good")
    assert found(judging.judge_power(BoardVitals(throttled=UNDER_VOLTAGE))) == ("failed", "weak_now")
    assert found(judging.judge_power(BoardVitals(throttled=UNDER_VOLTAGE << 16))) == ("failed", "weak_before")
    untold = judging.judge_power(BoardVitals())
    assert found(untold) == ("skipped", "not_told")
    assert not untold.is_required


def test_storage() -> None:
    room = 10 * judging.LEAST_FREE_BYTES
    assert found(judging.judge_storage(Writes(20.0, 3.0, 30.0, room))) == ("passed", "good")
    assert found(judging.judge_storage(Writes(1.0, 60.0, 90.0, room))) == ("failed", "slow")
    assert found(judging.judge_storage(Writes(20.0, 3.0, 900.0, room))) == ("failed", "slow")
    assert found(judging.judge_storage(Writes(20.0, 3.0, 30.0, 1000))) == ("failed", "full")
    assert found(judging.judge_storage_life(worn_percent=10, is_ending=False)) == ("passed", "good")
    assert found(judging.judge_storage_life(worn_percent=90, is_ending=False)) == ("failed", "worn")
    assert found(judging.judge_storage_life(worn_percent=None, is_ending=True)) == ("failed", "worn")
    assert found(judging.judge_storage_life(worn_percent=None, is_ending=None)) == ("skipped", "not_told")


def test_answers_buttons_and_networks() -> None:
    assert found(judging.judge_answer(Part.LOUDSPEAKER, "yes")) == ("passed", "confirmed")
    assert found(judging.judge_answer(Part.LOUDSPEAKER, "no")) == ("failed", "denied")
    assert found(judging.judge_answer(Part.STATUS_LAMP, "no")) == ("failed", "denied")
    assert found(judging.judge_answer(Part.STATUS_LAMP, "skip")) == ("skipped", "left_out")
    assert found(judging.judge_answer(Part.STATUS_LAMP, None)) == ("skipped", "nobody_answered")
    assert found(judging.judge_buttons((), ())) == ("passed", "good")
    assert found(judging.judge_buttons(("repeat",), ())) == ("failed", "not_felt")
    assert found(judging.judge_buttons((), ("start = cancel",))) == ("failed", "mixed_up")
    assert found(judging.judge_networks(5, "eyelids", 20.0)) == ("passed", "good")
    assert found(judging.judge_networks(5, "eyelids", 2000.0)) == ("failed", "slow")


def test_every_reason_in_the_code_has_its_sentence_and_every_sentence_its_reason() -> None:
    said = {
        name
        for module in (check, judging, running, reaching, seeing, uplink_reaching)
        for name in _words_of(inspect.getsource(module))
    }
    groups = {name: set(entries) for name, entries in _texts().items() if name in {*Part, "any"}}
    written = {reason for reasons in groups.values() for reason in reasons}
    assert written - said == {"not_tried"}  # said by the report itself
    for part in Part:
        # What fails has an own sentence, or the one for any part.
        assert groups.get(part, set()) | groups["any"]


def _words_of(source: str) -> set[str]:
    return {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
