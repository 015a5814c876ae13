"""How the terminal talks: text for whoever reads it, and voice where the settings say so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TextIO

from device.adapters.prompter_text import TextPrompter
from device.errors import VoicePackInvalid
from device.ports import Prompter
from device.session.commands import Dated
from device.settings import Settings

logger = logging.getLogger(__name__)

WHOLE_PACK = "*"
"""Stands for a line where a whole pack cannot be used."""


class AllPrompters:
    """Gives every line to several prompters."""

    def __init__(self, *prompters: Prompter) -> None:
        self._prompters = prompters

    def say(self, line: str, *, dates: Sequence[Dated] = ()) -> None:
        """Have all of them begin to give the line with this id."""
        for prompter in self._prompters:
            prompter.say(line, dates=dates)

    def length_s(self, line: str) -> float:
        """Return what the slowest of them takes."""
        return max((prompter.length_s(line) for prompter in self._prompters), default=0.0)

    def use(self, language: str | None, *, is_slow: bool) -> None:
        """Have all of them use this language from the next line on, or each its usual ones."""
        for prompter in self._prompters:
            prompter.use(language, is_slow=is_slow)

    def stop(self) -> None:
        """Silence all of them."""
        for prompter in self._prompters:
            prompter.stop()


def make_prompter(
    settings: Settings,
    stream: TextIO,
    *listeners: Prompter,
    on_missing: Callable[[str, str], None] = lambda _pack, _line: None,
) -> Prompter:
    """Return what gives a line: everybody named in `listeners`, the text, and the voice if the settings ask for it.

    Args:
        settings: of the terminal.
        stream: where the texts go.
        listeners: told first.
        on_missing: told once of every line that a voice pack lacks or holds damaged: (pack, line id), the line being `WHOLE_PACK` for a
            folder of the settings that is no pack. May be called from any thread.
    """
    text = TextPrompter(stream, settings.terminal.languages)
    voice = (_voice(settings, on_missing),) if settings.voice.kind == "alsa" else ()
    return AllPrompters(*listeners, text, *voice)


def _voice(settings: Settings, on_missing: Callable[[str, str], None]) -> Prompter:
    # A terminal without a voice does not pay for libsndfile at its start.
    from device.adapters.voice_alsa.pack import VoicePack, shipped_folders
    from device.adapters.voice_alsa.player import AplayLoudspeaker
    from device.adapters.voice_alsa.prompter import VoicePrompter

    packs = []
    for folder in (*settings.terminal.voice_dirs, *shipped_folders()):
        try:
            packs.append(VoicePack.open(folder))
        except VoicePackInvalid as error:
            logger.error("voice pack left out why=%s", str(error).replace("\n", "; "))  # noqa: TRY400 - the message says all
            on_missing(folder.name, WHOLE_PACK)
    return VoicePrompter(
        packs,
        AplayLoudspeaker(settings.voice.device),
        settings.voice.languages or settings.terminal.languages,
        is_slow=settings.voice.slow,
        volume=settings.voice.volume,
        on_missing=on_missing,
    )
