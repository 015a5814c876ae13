"""Actors that only the scenes have: somebody beside an attack, somebody in another's place for a while, a screen pushed aside.

Who attacks the light knows when it plays: the terminal announces it, and a `Cue` hears that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from device.session.commands import Line
from device.simulated.actor import Actor
from device.simulated.layered import Screen
from device.simulated.performers import Answering
from device.simulated.presenting import OnScreen, Present, Seen
from device.simulated.scene import Layers, Place, View, beside

_TILTED_PART = 0.82
"""Height of the far edge of a display turned about its other one, against the near edge: some 35 degrees at arm's length."""


_OTHER_SIDE: Mapping[str, Line] = MappingProxyType({Line.TURN_LEFT: Line.TURN_RIGHT, Line.TURN_RIGHT: Line.TURN_LEFT})
_STAGES = frozenset({Line.LIGHT, Line.WATCH, Line.AGAIN})
"""Lines with which the terminal begins to play a code or to watch."""


class Cue:
    """When the terminal's light plays, for whoever stands before it and listens."""

    def __init__(self) -> None:
        self.attempt = -1
        """The number with which the code that plays is drawn: codes and times of watching are counted together from 0."""
        self._is_light = False
        self._began_s = 0.0

    def hear(self, line: str, at_s: float) -> None:
        """Hear a line of the terminal."""
        if line not in _STAGES:
            return
        self.attempt += 1
        # What is gone through again is what was gone through last.
        self._is_light = line == Line.LIGHT or (line == Line.AGAIN and self._is_light)
        self._began_s = at_s

    def since_s(self, at_s: float) -> float | None:
        """Return the time since the last light began, None before the first and once the face is watched."""
        return at_s - self._began_s if self._is_light and at_s >= self._began_s else None


class Cued:
    """An actor in whose ear somebody has a cue."""

    def __init__(self, actor: Actor, cue: Cue) -> None:
        self._actor = actor
        self._cue = cue

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self._actor.rate

    def picture(self, at_s: float) -> Seen | None:
        """Return what the actor shows."""
        return self._actor.picture(at_s)

    def hear(self, line: str, at_s: float) -> None:
        """Let both hear."""
        self._cue.hear(line, at_s)
        self._actor.hear(line, at_s)


class WithinLight:
    """A film that acts, somebody living in its place while the light plays, and before them a sheet for a part of that time."""

    def __init__(
        self, film: OnScreen, living: Present, held: Present, cue: Cue, *, light_s: float, from_s: float, until_s: float
    ) -> None:
        """Prepare.

        Args:
            film: shows the person claimed and answers the prompts.
            living: somebody else.
            held: a sheet with the person claimed.
            cue: tells when the light plays.
            light_s: how long a code takes.
            from_s: when the sheet is held up, from the beginning of the code.
            until_s: when it is taken away.
        """
        self._film, self._living, self._held = film, living, held
        self._cue = cue
        self._light_s, self._from_s, self._until_s = light_s, from_s, until_s

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self._film.rate

    def picture(self, at_s: float) -> View:
        """Return whatever is there."""
        since_s = self._cue.since_s(at_s)
        if since_s is None or since_s >= self._light_s:
            return self._film.picture(at_s)
        return (self._held if self._from_s <= since_s < self._until_s else self._living).picture(at_s)

    def hear(self, line: str, at_s: float) -> None:
        """Let the film hear: it answers."""
        self._film.hear(line, at_s)


class Mistaken(Answering):
    """Somebody who takes left for right the first time that a turn is asked for."""

    _is_mistaken = True

    def hear(self, line: str, at_s: float) -> None:
        """Turn to the wrong side once, else do what is asked."""
        if self._is_mistaken and line in _OTHER_SIDE:
            self._is_mistaken = False
            line = _OTHER_SIDE[line]
        super().hear(line, at_s)


class Beside:
    """A sheet or a screen with somebody living beside it, who stands still."""

    def __init__(self, shown: Present | OnScreen, helper: Layers) -> None:
        self._shown = shown
        self._helper = helper
        self._joined: tuple[Layers, Layers] | None = None

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self._shown.rate

    def picture(self, at_s: float) -> View:
        """Return both."""
        view = self._shown.picture(at_s)
        if self._joined is None or self._joined[0] is not view.layers:
            self._joined = view.layers, beside(view.layers, self._helper)
        return replace(view, key=(view.key, "beside"), layers=self._joined[1])

    def hear(self, line: str, at_s: float) -> None:
        """Let the attack hear; the one beside it does nothing."""
        self._shown.hear(line, at_s)


class InPlaceOf:
    """Somebody in whose place somebody else is from some moment on."""

    def __init__(self, usual: Present, other: Present, *, from_s: float) -> None:
        self._usual = usual
        self._other = other
        self._from_s = from_s

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self._usual.rate

    def picture(self, at_s: float) -> View:
        """Return whoever is there."""
        return self._who(at_s).picture(at_s)

    def hear(self, line: str, at_s: float) -> None:
        """Let whoever is there hear."""
        self._who(at_s).hear(line, at_s)

    def _who(self, at_s: float) -> Present:
        return self._other if at_s >= self._from_s else self._usual


class PushedAside:
    """A screen that is pushed aside, or turned away, at some moments; everything in the picture moves with it."""

    def __init__(self, rests: OnScreen, aside: OnScreen, *, right_px: int, is_aside: Callable[[float], bool]) -> None:
        """Prepare.

        Args:
            rests: the screen as it is held.
            aside: the same screen, the same or turned.
            right_px: how far it is pushed.
            is_aside: at which times.
        """
        self._rests = rests
        self._aside = aside
        self._right_px = right_px
        self._is_aside = is_aside

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self._rests.rate

    def picture(self, at_s: float) -> View:
        """Return the screen where it is now."""
        if not self._is_aside(at_s):
            return self._rests.picture(at_s)
        view = self._aside.picture(at_s)
        return replace(view, tremor=Place(1.0, view.tremor.right_px + self._right_px, view.tremor.down_px))

    def hear(self, line: str, at_s: float) -> None:
        """Let whoever is filmed hear; both show the same film."""
        self._rests.hear(line, at_s)


def tilted(screen: Screen) -> Screen:
    """Return a display whose right edge is turned away from the camera, so that it looks shorter and nearer to the left one."""
    top_left, top_right, bottom_right, bottom_left = screen.description.quad
    lost = (1 - _TILTED_PART) / 2 * (bottom_right[1] - top_right[1])
    across = (1 - _TILTED_PART) * (top_right[0] - top_left[0])
    quad = (
        top_left,
        (top_right[0] - across, top_right[1] + lost),
        (bottom_right[0] - across, bottom_right[1] - lost),
        bottom_left,
    )
    return replace(
        screen, name=f"{screen.name}, tilted", description=screen.description.model_copy(update={"quad": quad})
    )
