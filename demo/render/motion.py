"""What a person does, picture by picture: idle movement and the actions the terminal may ask for, with the truth of each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

ACTIONS = ("blink", "open_mouth", "turn_left", "turn_right", "look_up")
RATE = 20.0
"""Pictures per second."""
_IDLE = 16
_SHOWN = 2
"""Times each picture of a slow movement is shown: ten different ones in a second."""


@dataclass(frozen=True, slots=True)
class Pose:
    """A person in one picture, as deviation from how the head is held at rest."""

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    lids: float = 0.0
    """0 open, 1 closed."""
    jaw: float = 0.0
    """0 closed, 1 open."""
    smile: float = 0.0
    gaze_x_deg: float = 0.0
    """Of the eyes against the head, to the own left."""
    gaze_y_deg: float = 0.0
    right: float = 0.0
    """Metres, to the right of the picture."""
    up: float = 0.0
    near: float = 0.0


@dataclass(frozen=True, slots=True)
class Acts:
    """Pictures and which of them belong to which segment."""

    poses: tuple[Pose, ...]
    segments: dict[str, list[int]]
    """Indices from rest to rest, each shown for 1 / RATE seconds."""


def live_acts(seed: int, *, names: tuple[str, ...] = ACTIONS) -> Acts:
    """Return the acts of a person who follows prompts; what differs between people is drawn.

    Args:
        seed: what is drawn.
        names: which actions.
    """
    random = np.random.default_rng(seed)
    poses = list(_idle(random))
    segments: dict[str, list[int]] = {"idle": _slow(range(_IDLE))}
    rest = poses[0]
    reach, side_pitch = random.uniform(26, 30), random.uniform(-3, 2)
    reach_up = random.uniform(24, 26)
    ways: dict[str, list[Pose]] = {
        "blink": [replace(rest, lids=value) for value in (0.3, 0.75, 1.0)],
        "open_mouth": [_opened(rest, value) for value in _ease(4)],
        "turn_left": [_turned(rest, value * reach, value * side_pitch) for value in _ease(8)],
        "turn_right": [_turned(rest, -value * reach, value * side_pitch) for value in _ease(8)],
        "look_up": [_raised(rest, value * reach_up) for value in _ease(7)],
    }
    holds = {"blink": 4, "open_mouth": 5, "turn_left": 4, "turn_right": 4, "look_up": 5}
    for name in names:
        first = len(poses)
        poses += ways[name]
        out = [0, *range(first, len(poses))]
        whole = out + [out[-1]] * (holds[name] // _SHOWN) + out[::-1]
        segments[name] = whole if name == "blink" else _slow(whole)
    return Acts(tuple(poses), segments)


def held_acts(seed: int, *, turn_deg: float = 27.0) -> Acts:
    """Return what somebody does with a sheet in the hands: it trembles, and is turned and tilted as best it can be."""
    random = np.random.default_rng(seed)
    a, b, c = random.uniform(0, 6, 3)
    poses = [
        Pose(
            yaw_deg=1.6 * math.sin(k * 0.31 + a) + 0.4 * math.sin(k * 1.3 + b),
            pitch_deg=1.3 * math.sin(k * 0.27 + b) + 0.3 * math.sin(k * 1.1 + c),
            roll_deg=0.9 * math.sin(k * 0.23 + c),
            right=0.0035 * math.sin(k * 0.29 + c),
            up=0.0030 * math.sin(k * 0.33 + a),
            near=0.005 * math.sin(k * 0.19 + b),
        )
        for k in range(_IDLE)
    ]
    segments: dict[str, list[int]] = {"idle": _slow(range(_IDLE))}
    rest = poses[0]
    ways = {
        "turn_left": [replace(rest, yaw_deg=rest.yaw_deg + value * turn_deg) for value in _ease(8)],
        "turn_right": [replace(rest, yaw_deg=rest.yaw_deg - value * turn_deg) for value in _ease(8)],
        "look_up": [
            replace(rest, pitch_deg=rest.pitch_deg + value * turn_deg, up=rest.up + value * 0.01) for value in _ease(8)
        ],
    }
    for name, way in ways.items():
        first = len(poses)
        poses += way
        out = [0, *range(first, len(poses))]
        segments[name] = _slow(out + [out[-1]] * 2 + out[::-1])
    return Acts(tuple(poses), segments)


def _idle(random: np.random.Generator) -> list[Pose]:
    """Return small movement: sway, breath, a wandering gaze; it begins near the middle of the sway."""
    a, b, c = random.uniform(0, 2 * math.pi, 3)
    sway = random.uniform(0.6, 1.2)
    gaze = np.repeat(random.normal(0, 1.6, (4, 2)), _IDLE // 4, axis=0)
    return [
        Pose(
            yaw_deg=sway * math.sin(k * 0.36 + a),
            pitch_deg=0.7 * sway * math.sin(k * 0.30 + b),
            roll_deg=0.5 * math.sin(k * 0.11 + c),
            smile=0.06 + 0.03 * math.sin(k * 0.09 + c),
            lids=0.03 + 0.02 * math.sin(k * 0.2 + b),
            gaze_x_deg=float(gaze[k, 0]),
            gaze_y_deg=float(gaze[k, 1]),
            right=0.0015 * math.sin(k * 0.12 + b),
            up=0.0012 * math.sin(k * 0.157),
            near=0.0015 * math.sin(k * 0.157 + 1.0),
        )
        for k in range(_IDLE)
    ]


def _slow(indices: Iterable[int]) -> list[int]:
    return [index for index in indices for _ in range(_SHOWN)]


def _ease(steps: int) -> list[float]:
    return [0.5 - 0.5 * math.cos(math.pi * k / steps) for k in range(1, steps + 1)]


def _opened(rest: Pose, share: float) -> Pose:
    return replace(rest, jaw=share, smile=rest.smile * (1 - share), pitch_deg=rest.pitch_deg + 1.5 * share)


def _turned(rest: Pose, yaw: float, pitch: float) -> Pose:
    return replace(
        rest,
        yaw_deg=rest.yaw_deg + yaw,
        pitch_deg=rest.pitch_deg + pitch,
        roll_deg=rest.roll_deg + 0.06 * yaw,
        gaze_x_deg=-0.45 * yaw,
    )


def _raised(rest: Pose, pitch: float) -> Pose:
    return replace(rest, pitch_deg=rest.pitch_deg + pitch, gaze_y_deg=-0.3 * pitch)
