"""The report of a terminal's commissioning: what was tried on the spot before it serves people, signed by the terminal.

It holds numbers and codes; no picture, no face, no name. The sentences, with what to do, are `commissioning.toml` in both languages. A
terminal sends its report until the fleet's receipt names it, as a record is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from protocol.ids import FleetId, Sha256, TerminalId
from protocol.times import ClockSource
from protocol.wire import UtcTime, WireMessage, WirePart

COMMISSIONING_TYP = "lifecert-commissioning"
LANGUAGES = ("zh", "en")
ReportId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
_Code = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,39}$")]
_Fact = float | Annotated[str, Field(max_length=200)]
_PLACE = re.compile(r"\{(\w+)\}")


class Part(StrEnum):
    """What is tried, in this order."""

    KEYS = "keys"
    CLOCK = "clock"
    POWER = "power"
    STORAGE = "storage"
    STORAGE_LIFE = "storage_life"
    NETWORK = "network"
    BROKER = "broker"
    FLEET = "fleet"
    NETWORKS = "networks"
    CAMERA = "camera"
    FOCUS = "focus"
    LIGHT = "light"
    GLARE = "glare"
    SEAT = "seat"
    RING_LEFT = "ring_left"
    RING_RIGHT = "ring_right"
    LOUDSPEAKER = "loudspeaker"
    STATUS_LAMP = "status_lamp"
    BUTTONS = "buttons"


class Question(StrEnum):
    """What a person on the spot is asked."""

    TARGET = "target"
    """To hold the printed target before the lens: yes once it is there."""
    SEAT = "seat"
    """To sit down where people will sit: yes once somebody does."""
    HEARD = "heard"
    """Whether the tone was heard."""
    LAMP = "lamp"
    """Whether the status lamp showed red, green and blue."""
    PRESS_START = "press_start"
    """To press a button; the press is the answer."""
    PRESS_REPEAT = "press_repeat"
    PRESS_CANCEL = "press_cancel"


Answer = Literal["yes", "no", "skip"]


class CommissioningCheck(WirePart):
    """One thing that was tried."""

    part: Part
    status: Literal["passed", "failed", "skipped"]
    is_required: bool
    """Whether a terminal without it serves nobody; what a terminal is not fitted with is not required."""
    reason: _Code
    """What was found; the sentence to it says what to do."""
    facts: dict[_Code, _Fact] = Field(default_factory=dict, max_length=12)
    """What the sentence names."""
    seconds: float = Field(default=0.0, ge=0)


class NetworkTime(WirePart):
    """A network that gave what it gave when it was made, and how fast."""

    name: Annotated[str, Field(max_length=80)]
    sha256: Sha256
    difference: float = Field(ge=0)
    """Relative, see `device.app.golden`."""
    median_ms: float = Field(ge=0)


class CommissioningReport(WireMessage):
    """Everything that was tried, once each."""

    TYPE: ClassVar[str] = "commissioning-report"
    VERSION: ClassVar[int] = 1

    type: Literal["commissioning-report"] = "commissioning-report"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    report_id: ReportId
    begun_at: UtcTime
    finished_at: UtcTime
    clock: ClockSource
    """What vouches for the two moments."""
    software: Annotated[str, Field(max_length=80)]
    machine: Annotated[str, Field(max_length=120)]
    sensor: Annotated[str, Field(max_length=80)] | None = None
    """Of the camera, as its driver names it."""
    is_simulated: bool
    """Whether camera or board are stand-ins: such a report says nothing of a terminal."""
    networks: tuple[NetworkTime, ...] = Field(default=(), max_length=16)
    checks: tuple[CommissioningCheck, ...] = Field(max_length=64)

    @property
    def passed(self) -> bool:
        """Whether everything that is required was tried and is in order, and nothing failed."""
        return not self.open_checks

    @property
    def open_checks(self) -> tuple[CommissioningCheck, ...]:
        """What keeps the terminal from being commissioned: what failed, and what is required and was skipped or never tried."""
        tried = {check.part for check in self.checks}
        missing = tuple(
            CommissioningCheck(part=part, status="skipped", is_required=True, reason="not_tried")
            for part in Part
            if part not in tried
        )
        return (
            *(check for check in self.checks if check.status == "failed"),
            *(check for check in self.checks if check.status == "skipped" and check.is_required),
            *missing,
        )


class CommissioningStep(WireMessage):
    """One line of the terminal program to the technician's tool: a question, a check that is done, or the signed report at the end.

    A question is answered by one line, an `Answer`; to a press nobody answers but the button.
    """

    TYPE: ClassVar[str] = "commissioning-step"
    VERSION: ClassVar[int] = 1

    type: Literal["commissioning-step"] = "commissioning-step"
    version: Literal[1] = 1
    question: Question | None = None
    check: CommissioningCheck | None = None
    report: str | None = None
    """JWS of a commissioning-report."""


def part_name(part: Part, language: str) -> str:
    """Return what a part is called. Raises `ValueError` if there are no texts in that language."""
    return _text("part", part, language)


def status_name(status: str, language: str) -> str:
    """Return what a status is called. Raises `ValueError` as `part_name`."""
    return _text("status", status, language)


def question_text(question: Question, language: str) -> str:
    """Return a question in words. Raises `ValueError` as `part_name`."""
    return _text("question", question, language)


def label(name: str, language: str) -> str:
    """Return a word of the report itself. Raises `ValueError` as `part_name`."""
    return _text("label", name, language)


def sentence(check: CommissioningCheck, language: str) -> str:
    """Return in one sentence what was found, and what to do where something must be done.

    A reason that this program does not know, from a newer terminal, is named as it is.

    Raises:
        ValueError: if there are no texts in that language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language is {language!r}, expected one of {', '.join(LANGUAGES)}")
    texts = _texts()
    entry = texts.get(check.part.value, {}).get(check.reason) or texts["any"].get(check.reason)
    if entry is None:
        named = ", ".join(f"{name} {_shown(value)}" for name, value in check.facts.items())
        return check.reason + (f" ({named})" if named else "")
    return _PLACE.sub(lambda place: _fact(place[1], check.facts.get(place[1], "?"), language), entry[language])


def _fact(name: str, value: float | str, language: str) -> str:
    """Return a fact as it is read; parts and sources of time have names."""
    if isinstance(value, str) and value in (known := _texts().get(name, {})):
        return known[value][language]
    return _shown(value)


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _text(group: str, name: str, language: str) -> str:
    if language not in LANGUAGES:
        raise ValueError(f"language is {language!r}, expected one of {', '.join(LANGUAGES)}")
    return _texts()[group][name][language]


@cache
def _texts() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    return dict(tomllib.loads(files("protocol").joinpath("commissioning.toml").read_text(encoding="utf-8")))
