"""The palette: which colour, symbol and hatching stands for what, in lists and in charts; all of it is data, `palette.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files


class Hatch(StrEnum):
    """White lines or dots on the fill of a part of a bar, by which it is known without its colour."""

    NONE = "none"
    RISING = "rising"
    FALLING = "falling"
    LEVEL = "level"
    UPRIGHT = "upright"
    GRID = "grid"
    DOTS = "dots"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of badge or notice."""

    symbol: str
    """Stands in every badge beside colour and text."""
    ink: str
    ground: str


@dataclass(frozen=True, slots=True)
class Tone:
    """How something is drawn in a chart."""

    fill: str
    hatch: Hatch


@cache
def kinds() -> Mapping[str, Kind]:
    """Return the kinds of badges by name: good, bad, warn, plain."""
    return {name: Kind(**found) for name, found in _table("kinds").items()}


def kind_of(table: str, code: str) -> str:
    """Return of which kind the badge of a code is; `table` is one of the palette, such as `states`."""
    return _table(table)[code]["kind"]


@cache
def tone_of(table: str, code: str) -> Tone:
    """Return how a code is drawn in every chart; `table` as of `kind_of`."""
    found = _table(table)[code]
    return Tone(found["fill"], Hatch(found["hatch"]))


@cache
def series() -> tuple[Tone, ...]:
    """Return how series that have no colour of their own are drawn, in order."""
    return tuple(tone_of("series", name) for name in _table("series"))


def _table(name: str) -> Mapping[str, Mapping[str, str]]:
    return _tables()[name]


@cache
def _tables() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    return tomllib.loads(files("fleet.web").joinpath("palette.toml").read_text(encoding="utf-8"))
