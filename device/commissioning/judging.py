"""What a measure means for a terminal: one function for each part, the limits with where they come from, and the reason to say.

The sentence to each reason is in `protocol/commissioning.toml`, with what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from device.commissioning.check import Facts, check
from device.commissioning.focus import Sharpness
from device.commissioning.light import HalfLight, RoomLight
from device.commissioning.seat import Seat
from protocol.commissioning import Answer, CommissioningCheck, Part
from protocol.evidence import EvidenceKind
from protocol.health import BoardVitals
from protocol.policy import PathName, Policy
from protocol.times import ClockSource, DeviceTime

LEAST_FRAME_RATE: Final = 15.0
"""Frames in a second. Source: docs/decisions and `protocol/default_policy.toml`: below it what eyes and head do cannot be judged."""
LEAST_MTF50: Final = 0.12
"""Cycles per pixel of a frame of 640: a Gaussian blur of 1.56 pixels. At 1.5 the cosine of the features to the same face without it was
.964 to .985 on eight rendered people (apricot, bamboo, birch, cypress, lotus, orchid, pine, willow; eyes 45 to 67 pixels apart), at 2.5
.86 to .96; the policy's own limit, 3.5 pixels, leaves .85 and no room for a hand that moves."""
MOST_BLACK, MOST_WHITE = 0.2, 0.25
"""Shares of a face. Half of what the shipped policy lets pass (.42 and .5): a day that is darker must still do."""
MOST_WHITE_AROUND: Final = 0.25
"""Of what is not the face: a window or a lamp in the picture. Chosen."""
MOST_BACKLIGHT: Final = 8.0
"""Three stops. A face that reflects .2 before a wall that reflects .8 is at four in even light; of the rendered people the most was 4.6."""
LEAST_LUX, MOST_LUX = 30.0, 5000.0
"""A fifth of an evening hall, and the shade at noon, where half a ring adds .03 to a face and the policy asks for .02 (docs/hardware.md).
The measure is a stop wrong either way."""
LEAST_RING_GAIN: Final = 0.04
"""Light that half a ring must add to that of the room: twice `min_gain` of the shipped policy. Dead halves read noise, below .01."""
LEAST_SIDE: Final = 0.05
"""By which a half must light its own side more than the other half does. Rendered people: .17 to .26."""
NEAREST_CM, FURTHEST_CM = 45.0, 90.0
"""50 to 80 cm (docs/hardware.md), widened by the tenth that people's eyes differ by."""
MOST_HEIGHT_CM: Final = 6.0
"""Of the eyes above or below the lens: at 50 cm the picture is 37 cm high, half of it less half a head (12 cm) is 6.7 cm."""
MOST_ASIDE_CM: Final = 10.0
"""At 50 cm the picture is 47 cm wide, half of it less half a head (9 cm) leaves 14; what is left is for whoever does not sit still."""
LEAST_SWEEP: Final = 8.0
"""Of the sweep over the rest of a recording (`sound.found_in`): 60 recordings of noise gave 5.0 at most."""
LEAST_RATE_MIB_S, MOST_SLOW_MS = 4.0, 500.0
"""Of writes that are on the disk: a card of the lowest speed class that is still sold writes 4 MB/s; a person waits for two such writes
after a session, and a second of waiting is noticed. Chosen; no card was measured."""
LEAST_FREE_BYTES: Final = 256 * 1024 * 1024
"""Some 40,000 records of 6 kB: months of a busy terminal without a network. As the self test."""
MOST_WORN_PERCENT: Final = 70
"""Of its life that the storage's maker says is used, in tens. Source of the scale: JEDEC eMMC 5.0, DEVICE_LIFE_TIME_EST, as the kernel's
`life_time` shows it (Linux Documentation/mmc/mmc-dev-attrs); the limit is chosen for years of service to be left."""
MOST_DRIFT_S: Final = 5.0
"""Of the battery-backed clock against the time of the network: such clocks lose seconds in a day, one that lost its battery, years."""
MOST_NETWORK_MS: Final = 1500.0
"""Median of one inference; four run for a frame, so that more means seconds a frame. Chosen; no Raspberry Pi was measured."""


def judge_camera(frames: int, seconds: float, size: tuple[int, int], wanted: tuple[int, int]) -> CommissioningCheck:
    """Judge the frames that came.

    Args:
        frames: how many.
        seconds: in which time.
        size: width and height of them.
        wanted: what the settings say.
    """
    rate = frames / seconds if seconds > 0 else 0.0
    facts: Facts = {"rate": rate, "width": size[0], "height": size[1]}
    if frames == 0:
        return check(Part.CAMERA, "failed", "no_frames")
    if size != wanted:
        return check(Part.CAMERA, "failed", "other_size", {**facts, "wanted": f"{wanted[0]}x{wanted[1]}"})
    if rate < LEAST_FRAME_RATE:
        return check(Part.CAMERA, "failed", "slow", {**facts, "least": LEAST_FRAME_RATE})
    return check(Part.CAMERA, "passed", "good", facts)


def judge_focus(found: Sharpness | None, *, scale: float) -> CommissioningCheck:
    """Judge the target's sharpness.

    Args:
        found: as measured; None where no target was seen.
        scale: width of the picture that was measured over that of the frames.
    """
    if found is None:
        return check(Part.FOCUS, "failed", "no_target")
    mtf50 = found.mtf50 * scale
    facts: Facts = {"sharpness": mtf50, "least": LEAST_MTF50}
    return check(Part.FOCUS, *(("passed", "sharp") if mtf50 >= LEAST_MTF50 else ("failed", "blurred")), facts)


def judge_light(found: RoomLight) -> CommissioningCheck:
    """Judge the light on a face."""
    facts: Facts = {"black": 100 * found.black_share, "white": 100 * found.white_share}
    if found.lux is not None:
        facts = {**facts, "lux": found.lux}
    if found.white_share > MOST_WHITE or (found.lux is not None and found.lux > MOST_LUX):
        return check(Part.LIGHT, "failed", "bright", facts)
    if found.black_share > MOST_BLACK or (found.lux is not None and found.lux < LEAST_LUX):
        return check(Part.LIGHT, "failed", "dark", facts)
    return check(Part.LIGHT, "passed", "good" if found.lux is not None else "good_unmeasured", facts)


def judge_glare(found: RoomLight) -> CommissioningCheck:
    """Judge the light around a face."""
    facts: Facts = {"around": 100 * found.white_around, "backlight": found.backlight}
    if found.white_around > MOST_WHITE_AROUND:
        return check(Part.GLARE, "failed", "glare", facts)
    if found.backlight > MOST_BACKLIGHT:
        return check(Part.GLARE, "failed", "backlight", facts)
    return check(Part.GLARE, "passed", "good", facts)


def judge_ring(left: HalfLight, right: HalfLight) -> tuple[CommissioningCheck, CommissioningCheck]:
    """Judge both halves of the ring, the subject's left first."""
    halves = ((Part.RING_LEFT, left), (Part.RING_RIGHT, right))
    is_weak = {part: half.gain < LEAST_RING_GAIN for part, half in halves}
    apart = left.side - right.side

    def one(part: Part, half: HalfLight) -> CommissioningCheck:
        facts: Facts = {"gain": half.gain, "least": LEAST_RING_GAIN, "apart": apart}
        if is_weak[part]:
            return check(part, "failed", "dead", facts)
        if any(is_weak.values()):
            return check(part, "passed", "shines", facts)
        if apart <= -LEAST_SIDE:
            return check(part, "failed", "swapped", facts)
        return check(part, *(("passed", "good") if apart >= LEAST_SIDE else ("failed", "one_sided")), facts)

    return one(*halves[0]), one(*halves[1])


def judge_no_ring(policy: Policy) -> tuple[CommissioningCheck, CommissioningCheck]:
    """Judge a terminal that is not fitted with a ring light, by what the policy asks on the standard path."""
    standard = policy.paths.get(PathName.STANDARD)
    if standard is not None and EvidenceKind.ILLUMINATION in standard.required:
        return check(Part.RING_LEFT, "failed", "wanted"), check(Part.RING_RIGHT, "failed", "wanted")
    return (
        check(Part.RING_LEFT, "skipped", "none", is_required=False),
        check(Part.RING_RIGHT, "skipped", "none", is_required=False),
    )


def judge_seat(found: Seat | None) -> CommissioningCheck:
    """Judge where somebody sits."""
    if found is None:
        return check(Part.SEAT, "failed", "no_face")
    middle_cm = (NEAREST_CM + FURTHEST_CM) / 2
    facts: Facts = {
        "distance": found.distance_cm,
        "height": abs(found.above_cm),
        "aside": abs(found.aside_cm),
        "move": abs(found.distance_cm - middle_cm),
    }
    if found.distance_cm < NEAREST_CM:
        return check(Part.SEAT, "failed", "too_near", facts)
    if found.distance_cm > FURTHEST_CM:
        return check(Part.SEAT, "failed", "too_far", facts)
    if found.above_cm > MOST_HEIGHT_CM:
        return check(Part.SEAT, "failed", "raise_terminal", facts)
    if found.above_cm < -MOST_HEIGHT_CM:
        return check(Part.SEAT, "failed", "lower_terminal", facts)
    if abs(found.aside_cm) > MOST_ASIDE_CM:
        return check(Part.SEAT, "failed", "move_right" if found.aside_cm > 0 else "move_left", facts)
    return check(Part.SEAT, "passed", "good", facts)


def judge_loop(stands_out: float) -> CommissioningCheck | None:
    """Judge a recording of the sweep; None where the microphone heard nothing, which a person must then say."""
    if stands_out < LEAST_SWEEP:
        return None
    return check(Part.LOUDSPEAKER, "passed", "recorded", {"stands_out": stands_out})


def judge_answer(part: Part, answer: Answer | None, *, is_required: bool = True) -> CommissioningCheck:
    """Judge what a person said; None where nobody answered."""
    if answer == "yes":
        return check(part, "passed", "confirmed", is_required=is_required)
    if answer == "no":
        return check(part, "failed", "denied", is_required=is_required)
    return check(part, "skipped", "nobody_answered" if answer is None else "left_out", is_required=is_required)


def judge_buttons(missing: tuple[str, ...], wrong: tuple[str, ...]) -> CommissioningCheck:
    """Judge the buttons.

    Args:
        missing: those that were asked for and not felt.
        wrong: those that were felt in another's place.
    """
    if wrong:
        return check(Part.BUTTONS, "failed", "mixed_up", {"buttons": ", ".join(wrong)})
    if missing:
        return check(Part.BUTTONS, "failed", "not_felt", {"buttons": ", ".join(missing)})
    return check(Part.BUTTONS, "passed", "good")


def judge_clock(now: DeviceTime, *, battery: datetime | None, has_battery: bool) -> CommissioningCheck:
    """Judge the clock.

    Args:
        now: as the terminal has it.
        battery: what the battery-backed clock says; None where it cannot be read.
        has_battery: whether there is such a clock.
    """
    if now.source is ClockSource.NONE:
        return check(Part.CLOCK, "failed", "unsure")
    facts: Facts = {"source": str(now.source), "bound": now.uncertainty_s if now.uncertainty_s is not None else "?"}
    if not has_battery:
        return check(Part.CLOCK, "passed", "no_battery", facts)
    if battery is None:
        return check(Part.CLOCK, "failed", "battery_unread", facts)
    drift_s = abs((battery - now.wall_clock).total_seconds())
    if drift_s > MOST_DRIFT_S + (now.uncertainty_s or 0.0):
        return check(Part.CLOCK, "failed", "battery_wrong", {**facts, "drift": drift_s})
    return check(Part.CLOCK, "passed", "good", facts)


def judge_power(vitals: BoardVitals) -> CommissioningCheck:
    """Judge the supply by what the board says of it."""
    if vitals.throttled is None:
        return check(Part.POWER, "skipped", "not_told", is_required=False)
    if vitals.is_under_voltage:
        return check(Part.POWER, "failed", "weak_now")
    if vitals.was_under_voltage:
        return check(Part.POWER, "failed", "weak_before")
    return check(Part.POWER, "passed", "good")


@dataclass(frozen=True, slots=True)
class Writes:
    """What writing to the data folder took."""

    rate_mib_s: float
    median_ms: float
    slow_ms: float
    """The slowest of a hundred: 99th percentile."""
    free_bytes: int


def judge_storage(found: Writes) -> CommissioningCheck:
    """Judge the data folder's disk."""
    facts: Facts = {
        "rate": found.rate_mib_s,
        "median": found.median_ms,
        "slow": found.slow_ms,
        "free": found.free_bytes / 2**20,
        "least": LEAST_FREE_BYTES / 2**20,
    }
    if found.free_bytes < LEAST_FREE_BYTES:
        return check(Part.STORAGE, "failed", "full", facts)
    if found.rate_mib_s < LEAST_RATE_MIB_S or found.slow_ms > MOST_SLOW_MS:
        return check(Part.STORAGE, "failed", "slow", facts)
    return check(Part.STORAGE, "passed", "good", facts)


def judge_storage_life(*, worn_percent: int | None, is_ending: bool | None) -> CommissioningCheck:
    """Judge what the storage says of its own life; both None where it says nothing, as cards do."""
    if worn_percent is None and is_ending is None:
        return check(Part.STORAGE_LIFE, "skipped", "not_told", is_required=False)
    facts: Facts = {} if worn_percent is None else {"worn": worn_percent}
    if is_ending or (worn_percent is not None and worn_percent > MOST_WORN_PERCENT):
        return check(Part.STORAGE_LIFE, "failed", "worn", facts, is_required=False)
    return check(Part.STORAGE_LIFE, "passed", "good", facts, is_required=False)


def judge_networks(count: int, slowest: str, median_ms: float) -> CommissioningCheck:
    """Judge networks that give what they gave, by the slowest of them."""
    facts: Facts = {"count": count, "name": slowest, "median": median_ms}
    return check(Part.NETWORKS, *(("failed", "slow") if median_ms > MOST_NETWORK_MS else ("passed", "good")), facts)
