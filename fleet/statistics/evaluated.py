"""The networks that terminals are shipped with, and how well they did when they were evaluated: figures that come with this program.

`lifecert-models report --export` writes the file from the evaluation (`docs/evaluation.md`), and a test holds the two together.
"""

from __future__ import annotations

import hashlib
import tomllib
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict

from fleet.tables.words import Words
from protocol.ids import Sha256
from protocol.manifest import Task, Threshold

Range = tuple[float, float]
"""Ends of a 95 % interval."""
ScoreKind = Literal["raw", "normalised"]
EVERYBODY = "all"
"""The curve of all pairs."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShippedNetwork(_Part):
    """One network, as its manifest has it."""

    name: str
    task: Task
    sha256: Sha256
    source: str
    licence: str
    notes: str
    thresholds: dict[str, Threshold]

    @property
    def words(self) -> Words:
        """The notes in both languages; in English alone where the Chinese ones are of an earlier text."""
        found = _chinese_notes().get(self.name)
        is_of_these = found is not None and hashlib.sha256(self.notes.encode()).hexdigest().startswith(found.of)
        return Words(zh=found.zh if found is not None and is_of_these else None, en=self.notes)


class _ChineseNotes(_Part):
    of: str
    """First characters of the SHA-256 of the English text."""
    zh: str


@cache
def _chinese_notes() -> dict[str, _ChineseNotes]:
    found = tomllib.loads(files("fleet.statistics").joinpath("network_notes.toml").read_text(encoding="utf-8"))
    return {name: _ChineseNotes.model_validate(each) for name, each in found.items()}


class _Measured(_Part):
    measured_on: date
    software: str
    """Version of this project."""
    digests: dict[str, Sha256]
    """By name, of the networks that were measured."""


class OperatingPoint(_Part):
    """Where a false match rate is kept."""

    fmr: float
    threshold: float
    false_non_matches: int
    """Pairs of one person that were taken for two."""
    fnmr: float
    fnmr_interval: Range


class Curve(_Part):
    """Error rates against each other, over all thresholds."""

    genuine_pairs: int
    impostor_pairs: int
    det: tuple[Range, ...]
    """(false match rate, false non-match rate), from the smallest that at least ten errors show."""


class GroupSize(_Part):
    """How few a group is."""

    identities: int
    pictures: int


class ComparisonFigures(_Measured):
    """How often two people are taken for one, and one for two."""

    pictures: int
    identities: int
    eer: float
    eer_interval: Range
    points: dict[ScoreKind, tuple[OperatingPoint, ...]]
    groups: dict[str, GroupSize]
    curves: dict[str, dict[ScoreKind, Curve]]
    """Of `EVERYBODY` and of each group."""


class Presentations(_Part):
    """Sessions of one kind that went wrong."""

    name: str
    presentations: int
    errors: int
    interval: Range
    counts_in_total: bool = True

    @property
    def rate(self) -> float:
        """Share that went wrong, 0 to 1."""
        return self.errors / self.presentations


class SessionFigures(_Measured):
    """Whole sessions: attacks that were certified by kind, and living people refused by path."""

    policy: str
    people: int
    species: tuple[Presentations, ...]
    living: tuple[Presentations, ...]


class TextureRate(_Part):
    """Single pictures of one source."""

    source: str
    kind: str
    attacks: int
    apcer: float
    apcer_interval: Range
    bona_fide: int
    bpcer: float
    bpcer_interval: Range


class TextureFigures(_Measured):
    """What the passive network makes of real attack pictures."""

    network: str
    threshold: float
    rates: tuple[TextureRate, ...]


class Evaluated(_Part):
    """All of it; None for what was not measured."""

    networks: tuple[ShippedNetwork, ...]
    comparison: ComparisonFigures | None
    sessions: SessionFigures | None
    texture: TextureFigures | None


@cache
def evaluated() -> Evaluated:
    """Return the figures that this program comes with."""
    return Evaluated.model_validate_json(files("fleet.statistics").joinpath("evaluation.json").read_bytes())
