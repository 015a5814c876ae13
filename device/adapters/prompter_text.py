"""Prompts as text on a stream, one line for each language."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TextIO

from device.errors import SettingsInvalid


def load_lines() -> Mapping[str, Mapping[str, str]]:
    """Return the texts of all lines: id -> language -> text."""
    text = files("device").joinpath("lines.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text))


class TextPrompter:
    """Writes each line in the languages of the terminal.

    Raises:
        SettingsInvalid: if a language has no texts.
    """

    def __init__(self, stream: TextIO, languages: Sequence[str]) -> None:
        self._stream = stream
        self._languages = tuple(languages)
        self._lines = load_lines()
        lacking = [language for language in languages if any(language not in texts for texts in self._lines.values())]
        if lacking:
            raise SettingsInvalid([f"terminal.languages: no texts in {', '.join(lacking)}"])

    def say(self, line: str) -> None:
        """Write the line with this id."""
        for language in self._languages:
            self._stream.write(f"{self._lines[line][language]}\n")
        self._stream.flush()
