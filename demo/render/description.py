"""What is rendered: the descriptions of people, attacks and screens, parsed from the TOML files beside this module."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Colour = tuple[float, float, float]
"""Linear reflectance, red, green, blue, 0..1."""
Share = Annotated[float, Field(ge=0, le=1)]


class _Description(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shape(_Description):
    """The shape of a head."""

    seed: int
    """Draws the details; the skin and the hair are drawn from it, too."""
    ancestry: dict[Literal["asian", "african", "caucasian"], Share] = {"asian": 1.0}
    """Shares that add up to 1."""
    masculinity: Share
    age: Share
    """0 is young (25), 1 is old (90)."""
    weight: Share = 0.5
    muscle: Share = 0.4
    distinctness: float = 1.0
    """Factor on the drawn details."""
    details: dict[str, float] = {}
    """Targets set by hand."""


class Skin(_Description):
    """Colour and surface of the skin."""

    tone: Colour
    """sRGB 0..1 of the cheek."""
    brow: float = 1.0
    """Density of the eyebrows."""
    grey: Share = 0.5
    """Share of grey hair in the brows."""
    stubble: Share = 0.0
    shine: Share = 0.5
    """How oily the skin is."""
    iris: Colour = (0.045, 0.022, 0.011)


class Hair(_Description):
    """Strands on the scalp."""

    style: Literal["short", "side", "back", "bob", "curls", "bald"]
    colour: Colour
    recede: float = 0.0
    """How far the hairline stands back, mesh units (decimetres); negative comes forward."""
    volume: float = 0.12
    """Height over the scalp, mesh units."""
    length: float = 0.5
    """Length of a strand, mesh units."""
    strands: int = 3800


class Wear(_Description):
    """What the person wears."""

    shirt: Colour = (0.12, 0.16, 0.25)
    collar: Literal["round", "v", "high"] = "round"
    glasses: Literal["none", "thin", "thick"] = "none"
    hat: Colour | None = None
    """The colour of a knitted hat."""
    beard: Share = 0.0
    """Length of a beard, 0 for none."""


class Place(_Description):
    """Where the person is and how it is lit."""

    distance: Annotated[float, Field(ge=0.15, le=1.2)] = 0.55
    """From the lens to the face, metres."""
    right: float = 0.0
    """Of the face from the middle of the picture, metres; positive to the right of the picture."""
    up: float = -0.01
    """Of the eyes from the middle of the picture, metres."""
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    """How the head is held at rest."""
    room: int = 0
    """Draws the room."""
    brightness: float = 1.0
    """Of everything but the ring; 1 is a lit room."""
    light: Literal["window_left", "window_right", "ceiling", "window_behind", "dim"] = "ceiling"
    bed: bool = False
    """Whether the person leans on a pillow."""


class Person(_Description):
    """A synthetic person."""

    group: Literal["development", "held_out"]
    description: str
    age_band: str
    sex: Literal["female", "male"]
    skin_tone: str
    shape: Shape
    skin: Skin
    hair: Hair
    wear: Wear = Wear()
    place: Place = Place()


class Attack(_Description):
    """A sheet that shows a person."""

    species: Literal["print_flat", "print_bent", "cut_out"]
    of: str
    """The person shown."""
    behind: str | None = None
    """The person who holds it before the own face; a flat or bent print is held into an empty chair's place."""
    seed: int = 1


class Screen(_Description):
    """A display held into the picture."""

    surface: Literal["glossy", "matte"]
    device: Literal["phone", "tablet"]
    place: Place = Place()
    emission: float = 0.8
    """Linear radiance of full white."""
    pixel_grid: int
    """Display pixels across."""
    seed: int = 1


class Cast(_Description):
    """Everything there is to render."""

    people: dict[str, Person]
    attacks: dict[str, Attack] = {}
    screens: dict[str, Screen] = {}


def read_cast() -> Cast:
    """Return the committed descriptions."""
    folder = Path(__file__).parent
    content: dict[str, object] = {}
    for name in ("people", "attacks", "screens"):
        content[name] = tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))
    return Cast.model_validate(content)
