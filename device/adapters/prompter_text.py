"""Prompts as text on a stream, one line for each language."""

from __future__ import annotations

import io
import logging
import os
import queue
import threading
from collections.abc import Sequence
from typing import TextIO

from device.errors import SettingsInvalid
from device.lines import load_dates, load_lines, primary
from device.session.commands import Dated

logger = logging.getLogger(__name__)

_MOST_WAITING = 32
"""Lines kept while nobody reads the stream: some sessions' worth; older ones help nobody any more."""


class TextPrompter:
    """Writes each line in the languages of the terminal, from a thread of its own.

    A session neither waits for whoever reads the stream nor ends because nobody does: what cannot be written is dropped.

    Args:
        stream: where to.
        languages: which texts are usual, in this order.

    Raises:
        SettingsInvalid: if a language has no texts.
    """

    def __init__(self, stream: TextIO, languages: Sequence[str]) -> None:
        self._stream = stream
        self._usual = self._languages = tuple(languages)
        self._lines = load_lines()
        self._dates = load_dates()
        lacking = [language for language in languages if any(language not in texts for texts in self._lines.values())]
        if lacking:
            raise SettingsInvalid([f"terminal.languages: no texts in {', '.join(lacking)}"])
        self._waiting: queue.Queue[str] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._write_all, name="prompter", daemon=True)
        self._has_failed = False

    def say(self, line: str, *, dates: Sequence[Dated] = ()) -> None:
        """Begin to write the line with this id; never waits."""
        if self._thread.ident is None:
            self._thread.start()
        text = "".join(f"{self._sentence(line, dates, language)}\n" for language in self._languages)
        while True:
            try:
                self._waiting.put_nowait(text)
            except queue.Full:
                self._drop_oldest()
            else:
                return

    def length_s(self, line: str) -> float:  # noqa: ARG002 - a text is there at once
        """Return 0."""
        return 0.0

    def use(self, language: str | None, *, is_slow: bool) -> None:  # noqa: ARG002 - a text has no speed
        """Write this language from the next line on, with None the usual ones; one without texts changes nothing."""
        if language is None:
            self._languages = self._usual
        elif primary(language) in self._dates:
            self._languages = (primary(language),)

    def stop(self) -> None:
        """Forget what waits."""
        while not self._waiting.empty():
            self._drop_oldest()

    def _sentence(self, line: str, dates: Sequence[Dated], language: str) -> str:
        words = self._dates[language]
        gap = "" if language == "zh" else " "
        return gap.join([self._lines[line][language], *(words.write(found.role, found.day) for found in dates)])

    def _drop_oldest(self) -> None:
        try:
            self._waiting.get_nowait()
        except queue.Empty:
            return

    def _write_all(self) -> None:
        while True:
            text = self._waiting.get()
            try:
                self._write(text)
            except (OSError, ValueError) as error:
                if not self._has_failed:
                    logger.warning("prompts cannot be written why=%s", error)
                self._has_failed = True
            else:
                self._has_failed = False

    def _write(self, text: str) -> None:
        try:
            descriptor = self._stream.fileno()
        except io.UnsupportedOperation:
            self._stream.write(text)
            self._stream.flush()
            return
        # Past the stream's own buffer: a thread that hangs inside it would hold its lock when the program ends.
        left = text.encode(self._stream.encoding or "utf-8", errors="replace")
        while left:
            left = left[os.write(descriptor, left) :]
