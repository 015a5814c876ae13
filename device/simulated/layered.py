"""Clips of people and sheets by lamp, screens, and how their descriptions (TOML) read."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from device.errors import ClipInvalid
from device.simulated.clips import Clip, read_image
from device.simulated.scene import Layers
from device.vision.frame import Pixels
from protocol.challenge import Action

LAYERS = ("ambient", "left", "right")
"""From top to bottom of a stacked picture; left and right are the lamp's halves on the subject's own side."""
_OPEN_CLIPS = 3
"""Decoded clips kept; one is some 150 MB."""

Indices = tuple[Annotated[int, Field(ge=0)], ...]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Segments(_Part):
    """Picture numbers; each action goes from rest to rest."""

    idle: Annotated[Indices, Field(min_length=1)]
    """The resting face, played back and forth."""
    blink: Indices = ()
    open_mouth: Indices = ()
    turn_left: Indices = ()
    turn_right: Indices = ()
    look_up: Indices = ()

    def of(self, action: Action) -> Indices:
        """Return the pictures of an action; empty where the clip has none."""
        found: Indices = getattr(self, action.value)
        return found


class Attack(_Part):
    """What kind of sheet a clip shows."""

    species: Literal["print_flat", "print_bent", "cut_out"]
    of: str
    """Name of the person on it."""
    behind: str | None = None
    """Name of the person who looks through its holes."""


class LayeredDescription(_Part):
    """A person, or a sheet with one on it, rendered under each lamp."""

    kind: Literal["layered"]
    clip: str
    """The clip's file, beside the description."""
    layers: tuple[str, ...] = LAYERS
    scale: tuple[float, float, float]
    """Linear light of code 255, by layer."""
    shown_rate: float = Field(gt=0, le=120)
    """Pictures per second at the pace of the person."""
    group: Literal["development", "held_out"]
    """Thresholds may be chosen on development people only; reported is what held-out people give."""
    segments: Segments
    truth: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """By picture: yaw_deg, pitch_deg, lids, jaw."""
    person: dict[str, Any] = Field(default_factory=dict)
    attack: Attack | None = None

    @model_validator(mode="after")
    def _known_layers(self) -> Self:
        if self.layers != LAYERS:
            raise ValueError(f"layers are {', '.join(self.layers)}, expected {', '.join(LAYERS)}")
        return self


class ScreenDescription(_Part):
    """A switched-off display in front of the camera, to show something on."""

    kind: Literal["screen"]
    picture: str
    """One stacked picture, beside the description."""
    layers: tuple[str, ...] = LAYERS
    scale: tuple[float, float, float]
    quad: tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
    """Corners of the display in the picture: top left, top right, bottom right, bottom left."""
    emission: float = Field(gt=0)
    """Linear light of full white."""
    pixel_grid: float = Field(gt=0)
    """Pixels of the display across."""
    group: Literal["development", "held_out"] | None = None
    screen: dict[str, Any] = Field(default_factory=dict)


_ANY: TypeAdapter[LayeredDescription | ScreenDescription] = TypeAdapter(
    Annotated[LayeredDescription | ScreenDescription, Field(discriminator="kind")]
)


@dataclass(frozen=True, slots=True, eq=False)
class LayeredClip:
    """A clip by lamp, decoded."""

    name: str
    description: LayeredDescription
    moments: tuple[Layers, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """A display, decoded."""

    name: str
    description: ScreenDescription
    layers: Layers


@lru_cache(maxsize=_OPEN_CLIPS)
def open_layered(path: Path) -> LayeredClip:
    """Read a layered clip by its description.

    Raises:
        ClipInvalid: if the description cannot be used or does not fit the clip.
        CameraUnavailable: if the clip cannot be read.
    """
    description = _read(path)
    if not isinstance(description, LayeredDescription):
        raise ClipInvalid(f"clip description {path}: kind: layered expected")
    moments = tuple(
        split(picture, description.scale, name=path.name) for picture in Clip(path.parent / description.clip).pictures()
    )
    segments = description.segments
    used = {*segments.idle, *(index for action in Action for index in segments.of(action))}
    if max(used) >= len(moments):
        raise ClipInvalid(f"clip description {path}: picture {max(used)} named, the clip has {len(moments)}")
    return LayeredClip(path.stem, description, moments)


@lru_cache(maxsize=_OPEN_CLIPS)
def open_screen(path: Path) -> Screen:
    """Read a screen by its description.

    Raises:
        ClipInvalid: if the description cannot be used.
        CameraUnavailable: if its picture cannot be read.
    """
    description = _read(path)
    if not isinstance(description, ScreenDescription):
        raise ClipInvalid(f"clip description {path}: kind: screen expected")
    picture = read_image(path.parent / description.picture)
    return Screen(path.stem, description, split(picture, description.scale, name=path.name))


def describe(path: Path) -> LayeredDescription | ScreenDescription | None:
    """Return what a description says; None where it is of another kind.

    Raises:
        ClipInvalid: if it cannot be used.
    """
    content = _content(path)
    return _checked(content, path) if content.get("kind") in {"layered", "screen"} else None


def split(picture: Pixels, scale: tuple[float, float, float], *, name: str) -> Layers:
    """Take a stacked picture apart.

    Raises:
        ClipInvalid: if its height is not that of three layers.
    """
    height, rest = divmod(picture.shape[0], len(LAYERS))
    if rest:
        raise ClipInvalid(f"clip description {name}: a picture of {picture.shape[0]} lines is no stack of three")
    ambient, left, right = (
        np.ascontiguousarray(picture[number * height : (number + 1) * height]) for number in range(len(LAYERS))
    )
    return Layers(ambient, left, right, scale)


def _read(path: Path) -> LayeredDescription | ScreenDescription:
    return _checked(_content(path), path)


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ClipInvalid(f"clip description {path}: cannot be read: {error}") from error


def _checked(content: dict[str, Any], path: Path) -> LayeredDescription | ScreenDescription:
    try:
        return _ANY.validate_python(content)
    except ValidationError as error:
        raise unusable(path, error) from error


def unusable(path: Path, error: ValidationError) -> ClipInvalid:
    """Return what is wrong with a description: file, key, and what is expected of it."""
    first = error.errors()[0]
    # A description of an unknown kind is wrong as a whole; what is wrong in it is its kind.
    where = ".".join(str(part) for part in first["loc"]) or "kind"
    return ClipInvalid(f"clip description {path}: {where}: {first['msg']}")
