"""Words that an agency gives in its own data, in Chinese, in English, or in both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
"""Han characters. Source: the Unicode Standard, section 18.1."""
_Text = Annotated[str, Field(min_length=1)]


class Told(NamedTuple):
    """Words in one language."""

    language: str
    """`zh` or `en`."""
    text: str


class Words(BaseModel):
    """The same in both languages, or in the one in which it was given; a plain text is of the language that its characters are of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zh: _Text | None = None
    en: _Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, found: Any) -> Any:
        return {language_of(found): found} if isinstance(found, str) else found

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.zh is None and self.en is None:
            raise ValueError("a text in zh, in en, or in both expected")
        return self

    def told(self, language: str) -> Told:
        """Return the words in a language; in the other one where there are none.

        Args:
            language: `zh` or `en`.
        """
        first, other = ("zh", "en") if language == "zh" else ("en", "zh")
        wanted = self.zh if first == "zh" else self.en
        if wanted is not None:
            return Told(first, wanted)
        return Told(other, (self.en if first == "zh" else self.zh) or "")


def language_of(text: str) -> str:
    """Return in which of the two languages a text is: Chinese if it has one Chinese character."""
    return "zh" if _CHINESE.search(text) else "en"


def written_day(day: date, words: Mapping[str, Any]) -> str:
    """Return a day as people write it.

    Args:
        day: which.
        words: of a language: `date` with `{year}`, `{month}` and `{day}`, and `months`, the twelve names.
    """
    return str(words["date"]).format(year=day.year, month=words["months"][day.month - 1], day=day.day)
