"""What is kept about people: references, slips, pictures of cases, duplicates, terms."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import Field

from fleet.settings.part import Part
from protocol.ids import KeyDomain


class ReferenceSettings(Part):
    """How references are made."""

    command: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Program that reads a picture from its input and prints a feature report, called with `features - --json` added; for the clip
    description of a simulated person with `features FILE --json`, for a batch of photographs with `check-photos - --json`.
    Default: `lifecert-terminal` beside this Python."""
    timeout_s: float = Field(default=60.0, gt=0, le=600)
    """Longest one picture may take."""
    key_domain: KeyDomain = "d1"
    """Names the secret rotation that protects new references."""
    validity_months: int = Field(default=36, ge=1, le=240)
    """After so many months a reference must be made anew; three yearly certifications, the agency may choose another."""

    def feature_command(self, picture: str = "-") -> tuple[str, ...]:
        """Return the whole command line for one picture: on its input, or the clip description of this name."""
        program = self.command or (str(Path(sys.executable).with_name("lifecert-terminal")),)
        return (*program, "features", picture, "--json")

    def photo_command(self) -> tuple[str, ...]:
        """Return the whole command line for a batch of photographs on its input."""
        program = self.command or (str(Path(sys.executable).with_name("lifecert-terminal")),)
        return (*program, "check-photos", "-", "--json")


class SlipSettings(Part):
    """Result slips (`docs/slip.md`)."""

    statement_months: int = Field(default=24, ge=13, le=120)
    """For so many months from the first of this one the fleet vouches for a terminal's key: a year that a slip certifies, and a year
    in which a terminal without a network goes on with the statement it has. Slips of a stolen key are believed no longer than that."""


class CaseSettings(Part):
    """Sealed pictures of cases."""

    photo_days: int = Field(default=90, ge=1, le=3650)
    """So long after its case was decided, or closed without a decision, a picture or scan is deleted; long enough for an appeal against
    the decision."""
    unclaimed_days: int = Field(default=14, ge=1, le=365)
    """So long a picture waits for the record of its case, which may still be on a terminal; the review clock of R6-2."""
    unclaimed_mib: int = Field(default=256, ge=8, le=65536)
    """Most MiB of one terminal's pictures that no case names; what comes beyond stays on the terminal until they are named."""


class DuplicateSettings(Part):
    """The search for people who are listed twice."""

    fpir: float = Field(default=0.01, gt=0, lt=1)
    """Wanted false positive identification rate: of so many searched people of whom there is no second one, one has a false hit. A hit
    costs two persons some minutes, so one in a hundred is bearable; a rarer one hides more real ones. Needs a calibration to be kept."""
    same_sex: bool = True
    """Whether people of different sex by their documents are left out."""
    birth_years: int | None = Field(default=10, ge=0, le=120)
    """Most years between two dates of birth by their documents; no source says how far those of one person are apart, so
    `--all-ages` now and then looks at everybody."""
    most_hits: int = Field(default=10_000, ge=1, le=1_000_000)
    """New hits of one search beyond which its threshold must be wrong; so many cannot be looked at."""
    combinations_file: Path | None = None
    """Which benefits one person may have side by side (TOML as `fleet/duplicates/combinations.toml`). Default: that example."""


class PrivacySettings(Part):
    """How long what is kept. The sources name no terms; these are careful ones, to be set as law and the agency's rules say."""

    ended_days: int = Field(default=30, ge=0, le=3650)
    """So long after a confirmed death or burial, or the last day of their last benefit, the person's references are erased; long enough for
    a wrong report or list to be noticed. Not if somebody passed as that person since: a contradiction is for a person to resolve."""
    expired_days: int = Field(default=90, ge=0, le=3650)
    """So long after its last day of validity a reference is erased; nothing can be compared with it any more."""
    record_years: int = Field(default=10, ge=3, le=100)
    """After so many years records and closed cases are parted from the person (but for what a status rests on); proof of payments is
    asked for longer than of anything else here."""
    unknown_days: int = Field(default=365, ge=30, le=3650)
    """So long records of people whom the fleet does not know wait for these to be imported, before their tokens go; a yearly list comes
    within it."""
    quarantine_days: int = Field(default=90, ge=7, le=3650)
    """So long after it came last a refused message is kept."""
    reminder_days: int = Field(default=1095, ge=180, le=3650)
    """So long after it was settled a step that was taken to remind somebody is kept, three years; those of the present period stay, so that
    nobody is told the same twice. What they prove of a stop stands with the benefit."""
    photo_import_days: int = Field(default=1095, ge=30, le=3650)
    """So long the report of an import of photographs is kept: three years, as the records that PIPL Article 56 asks for."""
    erasure_word_days: int = Field(default=30, ge=1, le=90)
    """So long the first person's word on an erasure waits for the second one: within the 30 days in which a request is to be answered;
    after that nobody knows whether what it rested on is still so. Source: GB/T 35273-2020, 8.7."""
    calendar_file: Path | None = None
    """Public holidays and the weekends worked in their place (TOML: `holidays`, `worked`, lists of dates), which the agency keeps as the
    State Council announces them. Without it working days are Monday to Friday."""
