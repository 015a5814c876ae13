"""Which picture of a clip is shown when: people who answer, recordings that do not, and recordings that pause for the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Protocol

from device.simulated.layered import LayeredDescription
from protocol.challenge import Action

REACTION_S = 0.8
"""From prompt to the beginning of the movement; a person hears the line first."""


class Performer(Protocol):
    """Chooses pictures by number."""

    def index(self, at_s: float) -> int:
        """Return the picture of this moment."""

    def is_acting(self, at_s: float) -> bool:
        """Return whether a movement is under way."""

    def hear(self, line: str, at_s: float) -> None:
        """Hear a line of the terminal."""


class Answering:
    """Rests until asked, then does what was asked, as far as the clip has it."""

    def __init__(self, description: LayeredDescription, *, reaction_s: float = REACTION_S, pace: float = 1.0) -> None:
        """Prepare.

        Args:
            description: the clip's.
            reaction_s: from the prompt to the beginning of the movement.
            pace: 1 is as rendered, 0.5 half as fast.
        """
        self._segments = description.segments
        self._rate = description.shown_rate * pace
        self._reaction_s = reaction_s
        idle = self._segments.idle
        self._back_and_forth = (*idle, *idle[-2:0:-1])
        self._lock = Lock()
        self._following: list[tuple[float, tuple[int, ...]]] = []

    def index(self, at_s: float) -> int:
        """Return the picture of the running movement, or of the rest."""
        running = self._running(at_s)
        return running if running is not None else self._resting(at_s)

    def is_acting(self, at_s: float) -> bool:
        """Return whether a movement is under way."""
        return self._running(at_s) is not None

    def hear(self, line: str, at_s: float) -> None:
        """Begin the action that was asked for, after those under way."""
        if line in set(Action):
            self.perform(Action(line), at_s)

    def perform(self, action: Action, at_s: float) -> None:
        """Begin an action as if it had been asked for now."""
        segment = self._segments.of(action)
        if not segment:
            return
        with self._lock:
            begin_s = at_s + self._reaction_s
            if self._following:
                last_s, last = self._following[-1]
                begin_s = max(begin_s, last_s + len(last) / self._rate)
            self._following = [*self._following[-3:], (begin_s, segment)]

    def _running(self, at_s: float) -> int | None:
        with self._lock:
            for begin_s, segment in reversed(self._following):
                step = self._step(at_s - begin_s)
                if 0 <= step < len(segment):
                    return segment[step]
        return None

    def _resting(self, at_s: float) -> int:
        return self._back_and_forth[self._step(at_s) % len(self._back_and_forth)]

    def _step(self, since_s: float) -> int:
        # A rounding error must not show a picture one frame early or late on one machine and not on another.
        return int((since_s * self._rate + 1e-4) // 1)


class Pausing(Answering):
    """A recording with a hand on the pause key: at each prompt it goes on with its own next action, whatever was asked."""

    def __init__(
        self,
        description: LayeredDescription,
        actions: Sequence[Action],
        *,
        reaction_s: float = REACTION_S,
        pace: float = 1.0,
    ) -> None:
        super().__init__(description, reaction_s=reaction_s, pace=pace)
        self._actions = tuple(actions)
        self._next = 0

    def hear(self, line: str, at_s: float) -> None:
        """Play the next action of the recording."""
        if line in set(Action):
            self.perform(self._actions[self._next % len(self._actions)], at_s)
            self._next += 1


class Heedless:
    """A recording that plays on in a loop."""

    def __init__(
        self, description: LayeredDescription, actions: Sequence[Action], *, rest_s: float = 2.0, pace: float = 1.0
    ) -> None:
        """Prepare.

        Args:
            description: the clip's.
            actions: what was done in the recorded session, in its order.
            rest_s: how long each rest was.
            pace: 1 is as rendered.
        """
        segments, rate = description.segments, description.shown_rate * pace
        back_and_forth = (*segments.idle, *segments.idle[-2:0:-1])
        rest = tuple(back_and_forth[step % len(back_and_forth)] for step in range(max(1, round(rest_s * rate))))
        self._rate = rate
        self._loop = tuple(index for action in actions for index in (*rest, *segments.of(action))) or rest
        self._resting = frozenset(rest)

    def index(self, at_s: float) -> int:
        """Return the picture of this moment of the loop."""
        return self._loop[int((at_s * self._rate + 1e-4) // 1) % len(self._loop)]

    def is_acting(self, at_s: float) -> bool:
        """Return whether the recording shows a movement."""
        return self.index(at_s) not in self._resting

    def hear(self, line: str, at_s: float) -> None:
        """Recordings do not listen."""


class Still:
    """One picture."""

    def __init__(self, index: int) -> None:
        self._index = index

    def index(self, at_s: float) -> int:  # noqa: ARG002 - the performer's signature
        """Return it."""
        return self._index

    def is_acting(self, at_s: float) -> bool:  # noqa: ARG002 - likewise
        """Return that nothing moves."""
        return False

    def hear(self, line: str, at_s: float) -> None:
        """Pictures do not listen."""
