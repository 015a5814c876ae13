"""The actions a challenge can demand, and their draw from a nonce that nobody can steer."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MINIMUM_NONCE_BYTES = 16
"""128 bits: the draw must not be guessable before the nonce is known."""


class Action(StrEnum):
    """What a subject can be asked to do. Left and right are the subject's own."""

    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    LOOK_UP = "look_up"
    OPEN_MOUTH = "open_mouth"
    BLINK = "blink"


@dataclass(frozen=True, slots=True)
class LightChip:
    """One step of the light code."""

    left: float
    """Brightness of the ring's half on the subject's left, 0..1."""
    right: float
    """Brightness of the half on the subject's right, 0..1."""
    exposure: float
    """Factor on the locked exposure."""


def draw_actions(nonce: bytes, allowed: Sequence[Action], count: int) -> tuple[Action, ...]:
    """Draw `count` actions from `allowed`, the same for the same nonce, no two consecutive ones equal.

    Each action is uniform over the ones that may stand at its place: the random numbers are HMAC-SHA256(nonce, counter)
    and values that would favour the first actions are thrown away (rejection sampling).

    Args:
        nonce: at least 16 random bytes.
        allowed: the actions that may be demanded of this subject, without repetition; their order matters to the draw.
        count: how many actions, 1 or more.

    Raises:
        ValueError: if the nonce is too short, `count` is below 1, or `allowed` repeats an action or is too small.
    """
    if len(nonce) < MINIMUM_NONCE_BYTES:
        raise ValueError(f"nonce has {len(nonce)} bytes, at least {MINIMUM_NONCE_BYTES} are needed")
    if count < 1:
        raise ValueError(f"count is {count}, at least 1 is needed")
    if len(set(allowed)) != len(allowed):
        raise ValueError("allowed actions are repeated")
    if len(allowed) < min(count, 2):
        raise ValueError(f"{len(allowed)} allowed actions cannot give {count} without consecutive equal ones")
    numbers = _Numbers(nonce)
    drawn: list[Action] = []
    for _ in range(count):
        choices = [action for action in allowed if not drawn or action != drawn[-1]]
        drawn.append(choices[numbers.below(len(choices))])
    return tuple(drawn)


def draw_pauses(nonce: bytes, count: int, *, shortest_s: float, longest_s: float) -> tuple[float, ...]:
    """Draw how long the subject must be at rest before each prompt, in seconds, the same for the same nonce.

    Each pause is uniform over whole milliseconds from `shortest_s` to `longest_s`, both included. A recording cannot know when it
    is asked; the numbers are independent of the actions' ones.

    Raises:
        ValueError: if the nonce is too short, `count` is below 1, or the limits are negative or in the wrong order.
    """
    if len(nonce) < MINIMUM_NONCE_BYTES:
        raise ValueError(f"nonce has {len(nonce)} bytes, at least {MINIMUM_NONCE_BYTES} are needed")
    if count < 1:
        raise ValueError(f"count is {count}, at least 1 is needed")
    if not 0 <= shortest_s <= longest_s:
        raise ValueError(f"pauses from {shortest_s} to {longest_s} s are impossible")
    shortest, longest = round(shortest_s * 1000), round(longest_s * 1000)
    numbers = _Numbers(nonce, b"lifecert pause")
    return tuple((shortest + numbers.below(longest - shortest + 1)) / 1000 for _ in range(count))


class _Numbers:
    """Uniform integers from a keyed counter; a label keeps one use apart from another."""

    def __init__(self, nonce: bytes, label: bytes = b"lifecert challenge") -> None:
        self._nonce = nonce
        self._label = label
        self._counter = 0

    def below(self, limit: int) -> int:
        """Return the next integer in [0, limit)."""
        span = 1 << 64
        unbiased = span - span % limit
        while True:
            block = hmac.digest(self._nonce, self._label + self._counter.to_bytes(8, "big"), hashlib.sha256)
            self._counter += 1
            value = int.from_bytes(block[:8], "big")
            if value < unbiased:
                return value % limit
