"""What the terminal says, as data: the lines of `lines.toml`, and how a date is said and written, of `dates.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from importlib.resources import files

from pydantic import BaseModel, ConfigDict


def load_lines() -> Mapping[str, Mapping[str, str]]:
    """Return the texts of all lines: id -> language -> text."""
    return dict(tomllib.loads(_read("lines.toml")))


class DateWords(BaseModel):
    """How one language says a date with what it means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    written: Mapping[str, str]
    """The sentences for a screen, by what the date means, with `{year}`, `{month}`, `{month_name}` and `{day}` in brackets."""
    month_names: tuple[str, ...]
    """January to December, as they are written."""
    spoken: tuple[str, ...]
    """Ids of the pieces in the order in which they are spoken, with `{role}`, `{year}`, `{year_digits[0]}` to `[3]`, `{month}`, `{day}`."""
    pieces: Mapping[str, str]
    """Texts of the pieces: id -> text."""

    def write(self, role: str, day: date) -> str:
        """Return the sentence for a screen; `role` is what the date means."""
        return self.written[role].format(
            year=day.year, month=day.month, month_name=self.month_names[day.month - 1], day=day.day
        )

    def piece_ids(self, role: str, day: date) -> tuple[str, ...]:
        """Return the ids of the pieces to speak, in order.

        One that stands not in `pieces` has no recording either: the language does not speak that year.
        """
        digits = f"{day.year:04}"
        return tuple(
            piece.format(role=role, year=day.year, year_digits=digits, month=day.month, day=day.day)
            for piece in self.spoken
        )


def load_dates() -> Mapping[str, DateWords]:
    """Return how dates are said: language -> words."""
    return {language: DateWords.model_validate(words) for language, words in tomllib.loads(_read("dates.toml")).items()}


def texts_to_speak(language: str) -> Mapping[str, str]:
    """Return everything a voice pack of a language holds: the lines, then the pieces of dates, id -> text.

    Args:
        language: a tag such as `zh`, `zh-yue` or `bo`; what counts is its first part. Without texts in it the Chinese ones stand
            in, because whoever records a language of their own reads them from there.
    """
    first = primary(language)
    dates = load_dates()
    first = first if first in dates else "zh"
    return {**{line: texts[first] for line, texts in load_lines().items()}, **dates[first].pieces}


def primary(tag: str) -> str:
    """Return the first part of a language tag, in small letters. Source: RFC 5646, section 2.2.1."""
    return tag.partition("-")[0].lower()


def _read(name: str) -> str:
    return files("device").joinpath(name).read_text(encoding="utf-8")
