"""The agency itself."""

from __future__ import annotations

from pydantic import Field

from fleet.settings.part import Part
from fleet.tables.words import Words


class AgencySettings(Part):
    """The agency, as its letters name it."""

    name: str | None = Field(default=None, min_length=1, max_length=60)
    """As it stands above letters and beside their seal. Without it letters have a line there to write on."""
    name_en: str | None = Field(default=None, min_length=1, max_length=100)
    """The same for letters in English; default: `name`."""

    @property
    def words(self) -> Words | None:
        """The name in each language; None if there is none."""
        return None if self.name is None and self.name_en is None else Words(zh=self.name, en=self.name_en)
