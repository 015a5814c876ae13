"""Who or what is in front of the simulated camera.

A clip description (TOML) says what a clip is: a `live` one has segments by action and answers prompts by playing the segment that
was asked for, so that the order really is random; a `recording` runs from its start again and again, heedless of prompts, as
a print, a mask or a replay on a screen does; `replay` is a screen that shows a layered person's earlier session; `swap` is one person
who is replaced by another half way; `stand_in` is one person who rests and another who does every action; `empty` is a room with
nobody in it.

The shipped clips were rendered at 10 frames/s. They are shown at 20 frames/s with every picture held for `hold` frames, so
that a movement is slow and deliberate: a blink of six pictures takes 0.9 s instead of 0.6 s, and eye evidence gets
the 15 frames/s that it needs. Left and right are the subject's own; the subject's left is on the right of the picture.

A `layered` clip (`device.simulated.layered`) is a person or a sheet rendered by lamp: it answers prompts, as far as it has the pictures,
and is seen by a sensor under the terminal's own light.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Annotated, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from device.errors import ClipInvalid
from device.simulated.clips import Clip
from device.simulated.layered import LayeredClip, LayeredDescription, describe, open_layered, open_screen, unusable
from device.simulated.performers import REACTION_S, Answering, Heedless, Still
from device.simulated.presenting import Filming, OnScreen, Present, Pulse, Seen, StandIn
from device.simulated.scene import DARK
from device.simulated.sensor import Sensor
from device.vision.frame import Frame, Pixels
from protocol.challenge import Action

_PULSE = Pulse(72.0, 0.008)
"""Of a layered person: an ordinary rate at rest, and the middle of what faces show."""
_EMPTY_SEED = 7
_MOST_SKIPPED = 100
"""Pictures that are decoded only to be passed over; a terminal idle for hours would decode for minutes."""
_EMPTY_PICTURES = 5
_SETTLE_FRAMES = 25
"""Frames that the exposure needs to settle."""
_EMPTY_S = 3.0
"""An empty room has no clip; so long is looked at it."""


class Actor(Protocol):
    """A source of pictures that can hear."""

    @property
    def rate(self) -> float:
        """Pictures per second."""

    def picture(self, at_s: float) -> Seen | None:
        """Return what is seen `at_s` seconds after the actor came; None when a clip has ended.

        Plain pixels are those of a file: no light and no exposure changes them.

        Times do not run backwards. Raises `CameraUnavailable`.
        """

    def hear(self, line: str, at_s: float) -> None:
        """Hear a line of the terminal."""


class _Description(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LiveDescription(_Description):
    """A person who answers prompts."""

    kind: Literal["live"]
    clip: str
    """The clip's file, beside the description."""
    shown_rate: float = Field(gt=0, le=120)
    """Frames per second at which it is shown."""
    hold: int = Field(ge=1, le=30)
    """How many frames each picture is held."""
    idle: tuple[int, ...] = Field(min_length=1)
    """Pictures of the resting face, played back and forth."""
    segments: dict[Action, tuple[int, ...]]
    """Pictures of each action, from rest to rest."""


class RecordingDescription(_Description):
    """Something that plays on, whatever is said."""

    kind: Literal["recording"]
    clip: str
    shown_rate: float = Field(gt=0, le=120)
    hold: int = Field(ge=1, le=30)


class ReplayDescription(_Description):
    """A screen that shows an earlier session of a layered person again and again, heedless of prompts."""

    kind: Literal["replay"]
    of: str
    """Description of the person."""
    screen: str
    """Description of the screen."""
    actions: tuple[Action, ...] = Field(min_length=1)
    """What was done in the recorded session, in its order."""


class SwapDescription(_Description):
    """One actor who is replaced by another."""

    kind: Literal["swap"]
    first: str
    """Description of the one who begins."""
    second: str
    """Description of the one who takes over."""
    after_prompts: int = Field(ge=1, le=10)
    """The exchange happens once so many actions were asked for and done."""


class StandInDescription(_Description):
    """One person at rest, in whose place another does every action; both layered, or both live."""

    kind: Literal["stand_in"]
    rests: str
    """Description of the one who rests."""
    acts: str
    """Description of the one who acts."""


class EmptyDescription(_Description):
    """Nobody."""

    kind: Literal["empty"]
    shown_rate: float = Field(gt=0, le=120)


AnyDescription = (
    LiveDescription | RecordingDescription | ReplayDescription | SwapDescription | StandInDescription | EmptyDescription
)
_DESCRIPTION: TypeAdapter[AnyDescription] = TypeAdapter(Annotated[AnyDescription, Field(discriminator="kind")])


def open_actor(path: Path, *, is_looped: bool = True) -> Actor:
    """Return the actor of a clip description, or of a bare clip or image folder.

    Args:
        path: the description; for a clip or folder, the description of the same name beside it is taken if there is one.
        is_looped: whether a bare clip begins again at its end.

    Raises:
        ClipInvalid: if a description cannot be used; the message names file and key.
        CameraUnavailable: if the clip cannot be read.
    """
    beside = path if path.suffix == ".toml" else path.with_suffix(".toml")
    if not beside.is_file() or path.is_dir():
        if path.suffix == ".toml":
            raise ClipInvalid(f"clip description {path}: no such file")
        clip = Clip(path)
        return Recording(clip, rate=clip.rate, hold=1, is_looped=is_looped)
    if isinstance(describe(beside), LayeredDescription):
        return _layered(beside)
    description = _read(beside)
    match description:
        case LiveDescription():
            return _live(beside, description)
        case RecordingDescription():
            clip = Clip(beside.parent / description.clip)
            return Recording(clip, rate=description.shown_rate, hold=description.hold, is_looped=True)
        case ReplayDescription():
            person = open_layered(beside.parent / description.of)
            session = Filming(Present(person, Heedless(person.description, description.actions)), is_clean=True)
            return OnScreen(open_screen(beside.parent / description.screen), session)
        case SwapDescription():
            return SwapActor(
                open_actor(beside.parent / description.first),
                open_actor(beside.parent / description.second),
                after_prompts=description.after_prompts,
            )
        case StandInDescription():
            rests, acts = beside.parent / description.rests, beside.parent / description.acts
            if isinstance(describe(rests), LayeredDescription):
                return StandIn(_layered(rests), _layered(acts))
            return StandInActor(_live(rests, _read(rests)), _live(acts, _read(acts)))
        case EmptyDescription():
            return EmptyRoom(description.shown_rate)


def _layered(path: Path) -> Present:
    clip = open_layered(path)
    return Present(clip, Answering(clip.description), pulse=_PULSE if clip.description.attack is None else None)


def portrait(path: Path) -> Pixels:
    """Return a layered person at rest in the room's own light, uint8 (H, W, 3) RGB, as an enrolment desk takes them.

    Raises:
        ClipInvalid: if the description cannot be used.
        CameraUnavailable: if the clip cannot be read.
    """
    clip = open_layered(path)
    return Filming(Present(clip, Still(clip.description.segments.idle[0]))).frame(0.0)[1]


def _live(path: Path, description: AnyDescription) -> LiveActor:
    if not isinstance(description, LiveDescription):
        raise ClipInvalid(f"clip description {path}: kind: live expected")
    return LiveActor(list(Clip(path.parent / description.clip).pictures()), description, name=path.name)


def _read(path: Path) -> AnyDescription:
    try:
        return _DESCRIPTION.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ClipInvalid(f"clip description {path}: cannot be read: {error}") from error
    except ValidationError as error:
        raise unusable(path, error) from error


class LiveActor:
    """A person who rests until asked, then does what was asked."""

    def __init__(self, pictures: list[Pixels], description: LiveDescription, *, name: str) -> None:
        used = {*description.idle, *(index for segment in description.segments.values() for index in segment)}
        if max(used) >= len(pictures) or min(used) < 0:
            raise ClipInvalid(f"clip description {name}: picture {max(used)} named, the clip has {len(pictures)}")
        self._pictures = pictures
        self._description = description
        self._lock = Lock()
        self._performances: list[tuple[float, tuple[int, ...]]] = []
        self._back_and_forth = (*description.idle, *description.idle[-2:0:-1])

    @property
    def rate(self) -> float:
        """Pictures per second."""
        return self._description.shown_rate

    def picture(self, at_s: float) -> Pixels:
        """Return the picture of the running movement, or of the resting face."""
        performed = self.performance(at_s)
        return performed if performed is not None else self._resting(at_s)

    def performance(self, at_s: float) -> Pixels | None:
        """Return the picture of the running movement, None at rest."""
        with self._lock:
            for begin, segment in reversed(self._performances):
                step = self._step(at_s - begin)
                if 0 <= step < len(segment):
                    return self._pictures[segment[step]]
        return None

    def _resting(self, at_s: float) -> Pixels:
        return self._pictures[self._back_and_forth[self._step(at_s) % len(self._back_and_forth)]]

    def hear(self, line: str, at_s: float) -> None:
        """Begin the action that was asked for, after the one under way."""
        if line not in set(Action):
            return
        segment = self._description.segments.get(Action(line))
        if segment is None:
            return
        with self._lock:
            begin = at_s + REACTION_S
            if self._performances:
                last, running = self._performances[-1]
                begin = max(begin, last + len(running) * self._picture_s)
            self._performances = [*self._performances[-1:], (begin, segment)]

    @property
    def _picture_s(self) -> float:
        return self._description.hold / self._description.shown_rate

    def _step(self, since_s: float) -> int:
        # A rounding error must not show a picture one frame early or late on one machine and not on another.
        return int((since_s + 1e-6) // self._picture_s)


class Recording:
    """A clip that plays on, heedless of prompts."""

    def __init__(self, clip: Clip, *, rate: float, hold: int, is_looped: bool) -> None:
        self._clip = clip
        self._rate = rate
        self._hold = hold
        self._is_looped = is_looped
        self._pictures: Iterator[Pixels] = clip.pictures()
        self._index = -1
        self._current: Pixels | None = None
        self._has_ended = False

    @property
    def rate(self) -> float:
        """Pictures per second."""
        return self._rate

    def picture(self, at_s: float) -> Pixels | None:
        """Return the picture of this moment; read forward only, and while nobody looks for long the clip stands still."""
        wanted = int((at_s * self._rate + 1e-6) // self._hold)
        if wanted - self._index > _MOST_SKIPPED:
            self._index = wanted - 1
        while self._index < wanted and not self._has_ended:
            self._advance()
        return None if self._has_ended else self._current

    def hear(self, line: str, at_s: float) -> None:
        """Paper and screens do not listen."""

    def _advance(self) -> None:
        following = next(self._pictures, None)
        if following is None and self._is_looped:
            self._pictures = self._clip.pictures()
            following = next(self._pictures, None)
        if following is None:
            self._has_ended = True
            return
        self._current = following
        self._index += 1


class SwapActor:
    """Somebody who is replaced once the first actions are done."""

    def __init__(self, first: Actor, second: Actor, *, after_prompts: int) -> None:
        self._first = first
        self._second = second
        self._after = after_prompts
        self._heard = 0
        self.is_swapped = False
        """Whether the second one is there."""

    @property
    def rate(self) -> float:
        """Pictures per second."""
        return self._first.rate

    def picture(self, at_s: float) -> Seen | None:
        """Return the picture of whoever is there."""
        return (self._second if self.is_swapped else self._first).picture(at_s)

    def hear(self, line: str, at_s: float) -> None:
        """Pass the line on; the exchange takes place as the prompt after the last action of the first one is given."""
        if line in set(Action):
            self._heard += 1
            self.is_swapped = self._heard > self._after
        (self._second if self.is_swapped else self._first).hear(line, at_s)


class StandInActor:
    """One who rests, and another who comes for every action, at the same place."""

    def __init__(self, rests: LiveActor, acts: LiveActor) -> None:
        self._rests = rests
        self._acts = acts

    @property
    def rate(self) -> float:
        """Pictures per second."""
        return self._rests.rate

    def picture(self, at_s: float) -> Pixels:
        """Return the picture of whoever is there."""
        performed = self._acts.performance(at_s)
        return performed if performed is not None else self._rests.picture(at_s)

    def hear(self, line: str, at_s: float) -> None:
        """Only the one who acts listens."""
        self._acts.hear(line, at_s)


class EmptyRoom:
    """A grey wall with sensor noise."""

    def __init__(self, rate: float) -> None:
        noise = np.random.default_rng(_EMPTY_SEED)
        self._rate = rate
        self._pictures = [
            np.clip(noise.normal(120.0, 4.0, (480, 640, 3)), 0, 255).astype(np.uint8) for _ in range(_EMPTY_PICTURES)
        ]

    @property
    def rate(self) -> float:
        """Pictures per second."""
        return self._rate

    def picture(self, at_s: float) -> Pixels:
        """Return a noisy grey picture, 480 x 640, the same for the same moment."""
        return self._pictures[int(at_s * self._rate) % len(self._pictures)]

    def hear(self, line: str, at_s: float) -> None:
        """Nobody is there to hear."""


class ClipScript:
    """A clip's own pictures in their order, timed as the clip is shown; for looking at the whole of it."""

    def __init__(self, pictures: Callable[[], Iterator[Pixels]], *, rate: float, hold: int) -> None:
        self._pictures = pictures
        self._hold = hold
        self.rate = rate
        """Frames per second as shown."""

    def frames(self) -> Iterator[Frame]:
        """Give every frame once, a held picture as many frames as it is held. Raises `CameraUnavailable`."""
        sequence = 0
        for pixels in self._pictures():
            for _ in range(self._hold):
                yield Frame(pixels=pixels, sequence=sequence, monotonic_ns=round(sequence * 1e9 / self.rate))
                sequence += 1

    def original(self, sequence: int) -> int:
        """Return the number of the picture in the clip, from 0, for a frame's sequence number."""
        return sequence // self._hold


def open_script(path: Path) -> ClipScript:
    """Return the pictures of a clip, image folder or clip description in the clip's own order.

    A description gives rate and hold; of a swap the first person's clip is taken.

    Raises:
        ClipInvalid: if a description cannot be used.
        CameraUnavailable: if the clip cannot be read.
    """
    beside = path if path.suffix == ".toml" else path.with_suffix(".toml")
    if not beside.is_file() or path.is_dir():
        clip = Clip(path)
        return ClipScript(clip.pictures, rate=clip.rate, hold=1)
    if isinstance(describe(beside), LayeredDescription):
        layered = open_layered(beside)
        return ClipScript(lambda: _in_room_light(layered), rate=layered.description.shown_rate, hold=1)
    description = _read(beside)
    match description:
        case LiveDescription() | RecordingDescription():
            clip = Clip(beside.parent / description.clip)
            return ClipScript(clip.pictures, rate=description.shown_rate, hold=description.hold)
        case ReplayDescription():
            return open_script(beside.parent / description.of)
        case SwapDescription():
            return open_script(beside.parent / description.first)
        case StandInDescription():
            return open_script(beside.parent / description.rests)
        case EmptyDescription():
            room = EmptyRoom(description.shown_rate)
            times = [step / room.rate for step in range(round(_EMPTY_S * room.rate))]
            return ClipScript(lambda: (room.picture(time) for time in times), rate=room.rate, hold=1)


def _in_room_light(clip: LayeredClip) -> Iterator[Pixels]:
    """Give every picture of a layered clip as the sensor sees it while the ring is dark."""
    sensor = Sensor()
    for _ in range(_SETTLE_FRAMES):
        sensor.expose(Present(clip, Still(0)).picture(0.0), DARK)
    for index in range(len(clip.moments)):
        yield sensor.expose(Present(clip, Still(index)).picture(0.0), DARK).pixels
