"""Rule packs: what one region's rules say, as data.

A pack is a TOML file. `parse_pack` reads it; `docs/rule-pack.schema.json` describes it for other programs. Where two sources disagree,
they are two packs, and where one source can be read in two ways, the reading is a key.
"""

from __future__ import annotations

import tomllib
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from protocol.errors import Malformed, Problem
from protocol.rules.acts import ActKind, Channel
from protocol.rules.days import YearDay
from protocol.rules.faults import faults_in
from protocol.rules.life import SIGNS_OF_LIFE, LifeEventKind
from protocol.wire import WirePart

PackId = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2,6}-[0-9]{4}$")]
"""Region and year of a pack: `LZ-2019`."""
RuleId = Annotated[str, StringConstraints(pattern=r"^R[1-9]-[0-9]{1,2}$")]
"""A rule of the source documents."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
MAX_PACK_BYTES = 64 * 1024


class HalfYears(WirePart):
    """Once from January to June, once from July to December. Source: R2-1, R2-2."""

    kind: Literal["half_years"]
    gap_months: int = Field(default=3, ge=0, le=5)
    """Least calendar months between two passes (R2-3)."""
    gap_reading: Literal["date", "month"] = "date"
    """R2-4 can be read in two ways. `date`: a pass of 15 June is followed by one from 15 September on. `month`: from 1 October on."""


class Rolling(WirePart):
    """Again within so many months of the last pass, at any time and in any place. Source: R2-5, R2-11."""

    kind: Literal["rolling"]
    months: int = Field(default=12, ge=1, le=60)


class AnnualWindow(WirePart):
    """Once a year, in a window of the calendar. Source: R2-6 to R2-8."""

    kind: Literal["annual_window"]
    opens: YearDay
    closes: YearDay
    """Its last day; earlier in the year than `opens` where the window goes over New Year."""


class BirthMonth(WirePart):
    """Once a year, in the month of birth; who is old enough may come earlier."""

    kind: Literal["birth_month"]
    months_after: int = Field(default=0, ge=0, le=6)
    """So many months after that of birth the window still lasts."""
    early_from_age: int = Field(default=80, ge=60, le=120)
    """Who has reached this age on the window's first day may come earlier."""
    early_months: int = Field(default=1, ge=0, le=6)
    """So many months before the others."""


Cycle = Annotated[HalfYears | Rolling | AnnualWindow | BirthMonth, Field(discriminator="kind")]


class KeyDate(WirePart):
    """Only who was on the lists by a day of the year is asked that year. Source: R2-9, R2-10."""

    day: YearDay
    basis: Literal["benefit_started", "pay_list"]


class Stop(WirePart):
    """What happens to the benefit of somebody who did not come. A pack only says from when a stop may be proposed."""

    from_day: YearDay | None = None
    """The first day without benefit, in the year of the period that was missed (R7-1, R7-3, R7-4)."""
    months_after_due: int | None = Field(default=None, ge=1, le=12)
    """Or: from the first of the month so many months after that in which it was due (R7-9)."""
    missed: Literal["period", "calendar_year"] = "period"
    """`calendar_year`: only who did not come once in the whole year is stopped (R7-1)."""
    effect: Literal["pause", "end"] = "pause"
    """What the source calls it (R7-19)."""
    after: Literal["notice", "data_comparison"] = "notice"
    """`data_comparison`: first the data of other bodies are asked (R7-11)."""

    @model_validator(mode="after")
    def _one_day(self) -> Self:
        if (self.from_day is None) == (self.months_after_due is None):
            raise PydanticCustomError("stop_day", "exactly one of from_day and months_after_due expected")
        return self


class Clocks(WirePart):
    """How long people have for what. Days are calendar days."""

    review_days: int = Field(default=14, ge=1, le=90)
    """Until a person has answered an appeal (R6-2)."""
    family_report_days: int = Field(default=7, ge=1, le=90)
    """For the family to report a loss (R8-1)."""
    unit_report_days: int = Field(default=3, ge=1, le=90)
    """For unit or village to pass it on (R8-2)."""
    expiring_days: int = Field(default=30, ge=1, le=180)
    """So long before the due day somebody counts as expiring; no source has a number, a month is one payment."""
    grace_days: int = Field(default=0, ge=0, le=180)
    """Days after the due day on which nobody is overdue yet."""


class PhotoRules(WirePart):
    """What a photograph must be. Source: R1-13 to R1-18."""

    min_width_px: int = Field(default=640, ge=1)
    min_height_px: int = Field(default=480, ge=1)
    max_bytes: int = Field(default=2 * 1024 * 1024, ge=1)
    ground: Literal["white", "any"] = "white"
    size_inches: Literal[1, 2] | None = None
    """The studio format: one inch (R1-10) or two (R1-13)."""
    special_photographs: int = Field(default=2, ge=1, le=4)
    """For a special certification: the identity card, and the person with a recent newspaper (R1-18)."""


class Enrolment(WirePart):
    """Where somebody's first reference is made. Source: R1-1 to R1-7, R1-12, R1-19."""

    first_at: tuple[Channel, ...] = (Channel.TERMINAL, Channel.COUNTER, Channel.HOME_VISIT)
    """Channels that may make it; on-site only or online as well is the contradiction of R1-3 and R1-6."""
    photo_may_enrol: bool = True
    photo_may_certify: Literal[False] = False
    """Always: a photograph cannot tell the living from the dead (R1-19)."""


class Silent(WirePart):
    """When data of other bodies certify somebody unnoticed. Source: R4-27, R8-5, R7-11."""

    points: dict[LifeEventKind, int]
    """What each sign of life is worth."""
    needed: int = Field(ge=1, le=100)
    """So many points in one period certify it."""

    @model_validator(mode="after")
    def _only_signs_of_life(self) -> Self:
        wrong = sorted(set(self.points) - SIGNS_OF_LIFE)
        if wrong:
            raise PydanticCustomError(
                "no_sign_of_life", "points for what is no sign of life: {wrong}", {"wrong": ", ".join(wrong)}
            )
        if any(not 1 <= worth <= 100 for worth in self.points.values()):
            raise PydanticCustomError("points", "points from 1 to 100 expected")
        return self


class Recovery(WirePart):
    """What is claimed back. Source: R7-10, R7-14, R7-17, R7-18."""

    no_trace_months: int = Field(default=3, ge=1, le=24)
    """Stopped for longer than this without a trace of the person: a recovery case (R7-14)."""
    fine_from_times: int = Field(default=2, ge=0, le=10)
    fine_to_times: int = Field(default=5, ge=0, le=10)
    """Fraud: a fine of so many times the sum (R7-18)."""


class Title(WirePart):
    """What people call the pack."""

    zh: Text
    en: Text


class RulePack(WirePart):
    """The rules of one region for some schemes, for a time."""

    pack_id: PackId
    version: int = Field(ge=1, le=9999)
    title: Title
    region: Text
    """Code of the area it holds for, with all areas below it."""
    schemes: tuple[Text, ...] = Field(min_length=1)
    """Names of the schemes, as lists of people write them; `*` for all."""
    categories: tuple[Text, ...] = ()
    """Categories of people; empty for all of the schemes."""
    words: dict[Text, Title] = Field(default_factory=dict)
    """What schemes and categories are called in each language, by the names that lists of people have for them."""
    valid_from: date
    valid_until: date | None = None
    """Its last day; None where it has none."""
    cycle: Cycle
    key_date: KeyDate | None = None
    counts: tuple[ActKind, ...] = Field(min_length=1)
    """Kinds of acts that certify."""
    channels: tuple[Channel, ...] = ()
    """Channels they may come by; empty for all."""
    advice: dict[Text, Text] = Field(default_factory=dict)
    """The channel advised to each category (R3-12), in words of the region."""
    forbids: tuple[Literal["fixed_window", "central_place"], ...] = ()
    """What nobody below this region may ask for (R2-11)."""
    stop: Stop
    clocks: Clocks = Clocks()
    photos: PhotoRules = PhotoRules()
    enrolment: Enrolment = Enrolment()
    silent: Silent | None = None
    recovery: Recovery = Recovery()
    help_line: Text = "12333"
    """R9-3."""
    sources: tuple[RuleId, ...] = Field(min_length=1)
    """The rules of the source documents that it says."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise PydanticCustomError("until_before_from", "valid_until is before valid_from")
        if (self.silent is not None) != (ActKind.SILENT in self.counts):
            raise PydanticCustomError("silent_and_points", "counts has silent if and only if there are points for it")
        if "fixed_window" in self.forbids and self.cycle.kind in ("annual_window", "birth_month"):
            raise PydanticCustomError("forbids_own_window", "forbids fixed windows and has one")
        return self

    def holds_on(self, day: date) -> bool:
        """Return whether it is the rule on a day."""
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)

    def covers(self, scheme: str, category: str, regions: frozenset[str]) -> bool:
        """Return whether a benefit falls under it.

        Args:
            scheme: of the benefit.
            category: of the benefit.
            regions: code of the area that pays it, and of every area above.
        """
        return (
            self.region in regions
            and ("*" in self.schemes or scheme in self.schemes)
            and (not self.categories or category in self.categories)
        )


class PackMalformed(Malformed):
    """A pack with keys that are wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        """Take a sentence for each fault, which begins with the key."""
        super().__init__(f"rule pack: {'; '.join(problems)}")
        self.problems = problems


def parse_pack(text: str) -> RulePack:
    """Read a pack from TOML.

    Raises:
        Malformed: if it is no TOML, or too long.
        PackMalformed: with every key that is wrong.
    """
    if len(text.encode()) > MAX_PACK_BYTES:
        raise Malformed(f"rule pack: {len(text.encode())} bytes, at most {MAX_PACK_BYTES} are taken")
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Malformed(f"rule pack: not TOML: {error}") from error
    try:
        return RulePack.model_validate(found)
    except ValidationError as error:
        raise PackMalformed(faults_in(error, RulePack)) from error
