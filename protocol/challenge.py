"""What a session demands of the subject and of the light, drawn from a nonce that nobody can steer."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from protocol.policy import ChallengePolicy, LightPolicy

_Value = TypeVar("_Value")

MINIMUM_NONCE_BYTES = 16
"""128 bits: the draw must not be guessable before the nonce is known."""


class Action(StrEnum):
    """What a subject can be asked to do. Left and right are the subject's own."""

    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    LOOK_UP = "look_up"
    OPEN_MOUTH = "open_mouth"
    BLINK = "blink"


TURNS = frozenset({Action.TURN_LEFT, Action.TURN_RIGHT})
"""Actions over which planarity can be judged."""
RIGID = TURNS | {Action.LOOK_UP}
"""Actions that move the head as a whole; the others move the face alone."""
MINIMUM_ACTIONS = 2
"""One of either kind."""


@dataclass(frozen=True, slots=True)
class LightChip:
    """One step of the light code."""

    left: float
    """Brightness of the ring's half on the subject's left, 0..1."""
    right: float
    """Brightness of the half on the subject's right, 0..1."""
    exposure: float
    """Factor on the locked exposure."""


def draw_actions(
    nonce: bytes,
    allowed: Sequence[Action],
    count: int,
    *,
    needs_turn: bool = False,
    after: Action | None = None,
    attempt: int = 0,
) -> tuple[Action, ...]:
    """Draw `count` actions from `allowed`, the same for the same arguments, no two consecutive ones equal.

    At least one moves the whole head (`RIGID`) and at least one the face alone, so that neither a mask that is turned nor a sheet with
    a cut-out mouth is enough. Of all orders that do so each is equally likely: the random numbers are HMAC-SHA256(nonce, counter),
    values that would favour the first actions are thrown away, and so are whole orders that do not do so (rejection sampling).

    Args:
        nonce: at least 16 random bytes.
        allowed: the actions that may be demanded of this subject, without repetition; their order matters to the draw.
        count: how many actions, 2 or more.
        needs_turn: whether one of them must be a turn, because planarity is judged over it.
        after: the action asked last; the first one differs from it.
        attempt: 0 for the first draw of a session, then one more each.

    Raises:
        ValueError: if the nonce is too short, or no order of that length does all this.
    """
    _check_nonce(nonce)
    if not is_drawable(allowed, count, needs_turn=needs_turn):
        raise ValueError(f"count is {count}: no such order of the {len(allowed)} allowed actions")
    numbers = _Numbers(nonce, b"lifecert challenge", attempt)
    while True:
        drawn: list[Action] = []
        for _ in range(count):
            last = drawn[-1] if drawn else after
            choices = [action for action in allowed if action != last]
            drawn.append(choices[numbers.below(len(choices))])
        if _is_mixed(drawn, needs_turn=needs_turn):
            return tuple(drawn)


def is_drawable(allowed: Sequence[Action], count: int, *, needs_turn: bool = False) -> bool:
    """Say whether `draw_actions` can draw with these arguments, whatever was asked last."""
    is_repeated = len(set(allowed)) != len(allowed)
    return not is_repeated and count >= MINIMUM_ACTIONS and _is_mixed(allowed, needs_turn=needs_turn)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a challenge has drawn and not yet seen performed."""

    left: tuple[Action, ...]
    """To be asked for, in this order."""
    attempt: int = 0
    """How often was drawn before."""

    def after_performed(self) -> Drawn:
        """Return what is left once the first one was performed."""
        return Drawn(self.left[1:], self.attempt)


@dataclass(frozen=True, slots=True)
class ChallengeDraws:
    """Every draw of one session; the terminal asks by it and the fleet repeats it from the record."""

    nonce: bytes
    rules: ChallengePolicy
    needs_turn: bool = False
    """Whether planarity is judged over the challenge."""

    def first(self) -> Drawn:
        """Return what a session begins with."""
        return self._draw(self.rules.count, None, 0)

    def after_wrong(self, drawn: Drawn) -> Drawn:
        """Return what follows a wrong action: a fresh draw of what is left and one more, so that being wrong gains nothing."""
        return self._draw(len(drawn.left) + 1, drawn.left[0], drawn.attempt + 1)

    def anew(self, drawn: Drawn, last: Action | None) -> Drawn:
        """Return what follows once the face was away: a whole fresh draw, `last` being the action asked last."""
        return self._draw(self.rules.count, last, drawn.attempt + 1)

    def _draw(self, count: int, after: Action | None, attempt: int) -> Drawn:
        drawn = draw_actions(
            self.nonce, self.rules.actions, count, needs_turn=self.needs_turn, after=after, attempt=attempt
        )
        return Drawn(drawn, attempt)

    def are_met(self, asked: Sequence[tuple[Action, str]]) -> bool:
        """Say whether prompts and what came of each (`performed`, `wrong`, `no_answer`) are a passed challenge.

        A prompt that is given again is one prompt. One that stays without an answer ends the challenge, unless the face was away: then
        everything begins anew, once.
        """
        wrong = sum(result == "wrong" for _, result in asked)
        return wrong <= self.rules.wrong_actions_allowed and any(
            self._is_followed(asked[begin:], drawn) for begin, drawn in self._beginnings(asked)
        )

    def _beginnings(self, asked: Sequence[tuple[Action, str]]) -> Iterator[tuple[int, Drawn]]:
        """Give the start, and every place at which the session may have begun anew, with what it then draws."""
        drawn = self.first()
        yield 0, drawn
        yield 0, self.anew(drawn, None)
        for place, (action, result) in enumerate(asked):
            if not drawn.left or action is not drawn.left[0]:
                return
            if result == "no_answer":
                yield place + 1, self.anew(drawn, action)
                return
            drawn = self._follow(drawn, result)
            yield place + 1, self.anew(drawn, action)

    def _is_followed(self, asked: Sequence[tuple[Action, str]], drawn: Drawn) -> bool:
        for action, result in asked:
            if result == "no_answer" or not drawn.left or action is not drawn.left[0]:
                return False
            drawn = self._follow(drawn, result)
        return not drawn.left

    def _follow(self, drawn: Drawn, result: str) -> Drawn:
        return drawn.after_performed() if result == "performed" else self.after_wrong(drawn)


def _is_mixed(actions: Iterable[Action], *, needs_turn: bool) -> bool:
    found = set(actions)
    return bool(found & RIGID) and bool(found - RIGID) and (not needs_turn or bool(found & TURNS))


def draw_light_code(nonce: bytes, rules: LightPolicy, *, attempt: int = 0) -> tuple[LightChip, ...]:
    """Draw the light code of a session, the same for the same arguments: `rules.chips` steps.

    Each step lights the ring dark, left, right or both. No two consecutive steps light it alike, each way comes at least twice (once
    below eight steps), and each exposure factor comes at least once. Both halves together never light it as a shift in time of the same
    code would: a face is judged by following the code better than its shifts. Of all codes that do so each is equally likely: lamp and
    exposure are drawn independently, by rejection sampling as in `draw_actions`.

    Args:
        nonce: at least 16 random bytes.
        rules: of the path.
        attempt: 0 for the first code of a session; a code that was shown once is known, so a repeated stage plays the next.

    Raises:
        ValueError: if the nonce is too short.
    """
    _check_nonce(nonce)
    numbers = _Numbers(nonce, b"lifecert light", attempt)
    lamps = _draw_covering(numbers, _LAMPS, rules.chips, is_alternating=True)
    while _is_periodic([left + right for left, right in lamps]):
        lamps = _draw_covering(numbers, _LAMPS, rules.chips, is_alternating=True)
    exposures = _draw_covering(
        _Numbers(nonce, b"lifecert exposure", attempt), range(len(rules.exposures)), rules.chips, is_alternating=False
    )
    return tuple(
        LightChip(
            left=1.0 if is_left else rules.lowest,
            right=1.0 if is_right else rules.lowest,
            exposure=rules.exposures[exposure],
        )
        for (is_left, is_right), exposure in zip(lamps, exposures, strict=True)
    )


_LAMPS = ((False, False), (True, False), (False, True), (True, True))
"""Left, right: dark, left, right, both."""


def _is_periodic(values: Sequence[int]) -> bool:
    return any(values == [*values[shift:], *values[:shift]] for shift in range(1, len(values)))


def _draw_covering(numbers: _Numbers, values: Sequence[_Value], count: int, *, is_alternating: bool) -> list[_Value]:
    """Draw sequences until every value comes in one: twice where neighbours differ and there is room for it, else once."""
    least = min(2, count // len(values)) if is_alternating else 1
    while True:
        drawn: list[_Value] = []
        for _ in range(count):
            choices = [value for value in values if not (is_alternating and drawn and value == drawn[-1])]
            drawn.append(choices[numbers.below(len(choices))])
        if all(drawn.count(value) >= least for value in values):
            return drawn


def draw_pauses(nonce: bytes, count: int, *, shortest_s: float, longest_s: float) -> tuple[float, ...]:
    """Draw how long the subject must be at rest before each prompt, in seconds, the same for the same nonce.

    Each pause is uniform over whole milliseconds from `shortest_s` to `longest_s`, both included. A recording cannot know when it
    is asked; the numbers are independent of the actions' ones.

    Raises:
        ValueError: if the nonce is too short, `count` is below 1, or the limits are negative or in the wrong order.
    """
    _check_nonce(nonce)
    if count < 1:
        raise ValueError(f"count is {count}, at least 1 is needed")
    if not 0 <= shortest_s <= longest_s:
        raise ValueError(f"pauses from {shortest_s} to {longest_s} s are impossible")
    shortest, longest = round(shortest_s * 1000), round(longest_s * 1000)
    numbers = _Numbers(nonce, b"lifecert pause")
    return tuple((shortest + numbers.below(longest - shortest + 1)) / 1000 for _ in range(count))


def draw_moment(nonce: bytes, *, attempt: int = 0) -> float:
    """Draw at which part of a stage, 0..1, the face is sampled, so that nobody knows when.

    0.05 to 0.9 in thousandths: the rest is for the face to come to rest, and for a frame good enough to come.

    Raises:
        ValueError: if the nonce is too short.
    """
    _check_nonce(nonce)
    return (50 + _Numbers(nonce, b"lifecert moment", attempt).below(851)) / 1000


def _check_nonce(nonce: bytes) -> None:
    if len(nonce) < MINIMUM_NONCE_BYTES:
        raise ValueError(f"nonce has {len(nonce)} bytes, at least {MINIMUM_NONCE_BYTES} are needed")


class _Numbers:
    """Uniform integers from a keyed counter; a label keeps one use apart from another."""

    def __init__(self, nonce: bytes, label: bytes, attempt: int = 0) -> None:
        self._nonce = nonce
        self._label = label + b" %d " % attempt if attempt else label
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
