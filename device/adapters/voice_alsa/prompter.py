"""The prompter that speaks: puts a line together from voice packs and plays it from a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from device.adapters.voice_alsa.pack import Speed, VoicePack, packs_for
from device.adapters.voice_alsa.sound import RATE_HZ, Samples, as_pcm
from device.errors import LoudspeakerUnavailable, VoiceLineMissing
from device.lines import DateWords, load_dates, primary
from device.ports import Loudspeaker, Playing
from device.session.commands import ADVICE_LINES, OUTCOME_LINES, Dated, Line

logger = logging.getLogger(__name__)

OnMissing = Callable[[str, str], None]
"""Told once for each line a pack lacks or holds damaged: (name of the pack, id of the line). Called from the voice's thread."""

_LEAD_S: Final = 0.1
"""Silence before every sound: amplifiers that sleep swallow the beginning of what wakes them."""
_SENTENCE_S: Final = 0.3
"""Between the line and its date."""
_LANGUAGE_S: Final = 0.5
"""Between one language and the next."""
_BYTES_A_SAMPLE: Final = 2
_PIECE_S: Final = 0.02
"""Between the pieces of a date, beside what every file has before and after its speech."""


@dataclass(frozen=True, slots=True)
class _Request:
    line: str
    dates: tuple[Dated, ...]
    languages: tuple[str, ...]
    speeds: tuple[Speed, ...]
    """Which files of a pack will do, the wanted one first."""


class VoicePrompter:
    """Speaks each line in the languages of the terminal; whoever calls it neither waits nor hears of a fault.

    A new line cuts off the one being spoken, with two exceptions. `welcome` waits for the end of an outcome. Advice waits for the end
    of earlier advice, so that a slow sentence in two languages is heard whole, and only the newest waits.

    Args:
        packs: voice packs; the first one that has a line speaks it.
        loudspeaker: plays.
        languages: the usual language tags, in the order in which a line is given.
        is_slow: whether to speak slowly at first.
        volume: 0 (silent) to 1 (as recorded).
        on_missing: told of every line that a pack lacks.
    """

    def __init__(
        self,
        packs: Sequence[VoicePack],
        loudspeaker: Loudspeaker,
        languages: Sequence[str],
        *,
        is_slow: bool = False,
        volume: float = 1.0,
        on_missing: OnMissing = lambda _pack, _line: None,
    ) -> None:
        self._packs = tuple(packs)
        self._loudspeaker = loudspeaker
        self._volume = volume
        self._on_missing = on_missing
        self._dates: Mapping[str, DateWords] = load_dates()
        self._reported: set[tuple[str, str]] = set()
        self._lengths: dict[_Request, float] = {}
        self._is_lost = False
        self._changed = threading.Condition()
        # Under the lock:
        self._languages: tuple[str, ...] = ()
        self._speeds: tuple[Speed, ...] = (Speed.NORMAL,)
        self._next: _Request | None = None
        self._after: _Request | None = None
        self._spoken: _Request | None = None
        self._playing: Playing | None = None
        self._thread = threading.Thread(target=self._speak_all, name="voice", daemon=True)
        self._usual = tuple(tag for tag in languages if packs_for(self._packs, tag))
        if len(self._usual) < len(languages):
            unknown = (tag for tag in languages if tag not in self._usual)
            logger.warning("no voice pack for languages=%s", ",".join(unknown))
        self.use(None, is_slow=is_slow)

    def say(self, line: str, *, dates: Sequence[Dated] = ()) -> None:
        """Begin to speak the line with this id."""
        with self._changed:
            request = _Request(line, tuple(dates), self._languages, self._speeds)
            before = self._next or self._spoken
            if before is not None and _waits(line, before.line):
                # Advice that is being given already needs no second time.
                self._after = request if line != before.line else None
            else:
                self._after, self._next = None, request
                if self._playing is not None:
                    self._playing.stop()
            if self._thread.ident is None:
                self._thread.start()
            self._changed.notify()

    def length_s(self, line: str) -> float:
        """Return how long the line is spoken, silences included; 0 where no pack has it."""
        with self._changed:
            request = _Request(line, (), self._languages, self._speeds)
        if request not in self._lengths:
            # A handful of lines is asked for, in a few languages: each is decoded once.
            self._lengths[request] = len(self._pcm(request)) / _BYTES_A_SAMPLE / RATE_HZ
        return self._lengths[request]

    def use(self, language: str | None, *, is_slow: bool) -> None:
        """Speak this language from the next line on, with None the usual ones; one that no pack speaks changes nothing."""
        tags = self._usual if language is None else self._tags_of(language)
        if not tags:
            logger.warning("no voice pack for language=%s", language)
        with self._changed:
            self._languages = tags or self._languages
            self._speeds = (Speed.SLOW, Speed.NORMAL) if is_slow else (Speed.NORMAL, Speed.SLOW)

    def _tags_of(self, language: str) -> tuple[str, ...]:
        """Return what is spoken to whoever chose a language: the dialects of it that are usual here, else the language itself."""
        usual = tuple(tag for tag in self._usual if primary(tag) == primary(language))
        return usual or ((language,) if packs_for(self._packs, language) else ())

    def stop(self) -> None:
        """Fall silent."""
        with self._changed:
            self._next = self._after = self._spoken = None
            if self._playing is not None:
                self._playing.stop()

    def _speak_all(self) -> None:
        while True:
            with self._changed:
                self._spoken = self._playing = None
                self._changed.wait_for(lambda: self._next is not None or self._after is not None)
                request = self._spoken = self._next or self._after
                if self._next is None:
                    self._after = None
                self._next = None
            if request is None:
                continue
            try:
                self._speak(request)
            except LoudspeakerUnavailable as error:
                if not self._is_lost:
                    logger.warning("loudspeaker lost why=%s", error)
                self._is_lost = True
            except Exception:
                # A line that cannot be spoken stands on the screen; the next one may be spoken again.
                logger.exception("line not spoken line=%s", request.line)

    def _speak(self, request: _Request) -> None:
        pcm = self._pcm(request)
        with self._changed:
            if not pcm or self._next is not None or self._spoken is not request:
                return
            self._playing = self._loudspeaker.play(pcm, RATE_HZ)
        self._playing.wait()
        if self._is_lost:
            logger.info("loudspeaker is back")
        self._is_lost = False

    def _pcm(self, request: _Request) -> bytes:
        spoken = [self._in_language(tag, request) for tag in request.languages]
        parts = [part for part in spoken if len(part)]
        if not parts:
            return b""
        sound = np.concatenate([_silence(_LEAD_S), _joined(parts, _LANGUAGE_S)])
        return as_pcm(sound, self._volume)

    def _in_language(self, tag: str, request: _Request) -> Samples:
        packs = packs_for(self._packs, tag)
        found = [self._first(packs, (request.line,), request.speeds)]
        words = self._dates.get(primary(tag))
        for dated in request.dates:
            if words is None:
                break
            pieces = words.piece_ids(dated.role, dated.day)
            if all(piece in words.pieces for piece in pieces):
                found.append(self._first(packs, pieces, request.speeds))
        return _joined([sound for sound in found if len(sound)], _SENTENCE_S)

    def _first(self, packs: Sequence[VoicePack], lines: Sequence[str], speeds: Sequence[Speed]) -> Samples:
        """Return lines joined, all in the voice of the first pack that has them all: a date in two voices confuses."""
        for pack in packs:
            sounds = [self._of(pack, line, speeds) for line in lines]
            if all(len(sound) for sound in sounds):
                return _joined(sounds, _PIECE_S)
        return _silence(0)

    def _of(self, pack: VoicePack, line: str, speeds: Sequence[Speed]) -> Samples:
        """Return a line of a pack at the wanted speed, else at another; empty when it has none that can be used."""
        for speed in speeds:
            if speed not in pack.manifest.speeds:
                continue
            try:
                return pack.sound(line, speed)
            except VoiceLineMissing as error:
                self._report(pack.manifest.name, line, error)
        return _silence(0)

    def _report(self, pack: str, line: str, why: VoiceLineMissing) -> None:
        if (pack, line) in self._reported:
            return
        self._reported.add((pack, line))
        logger.warning("voice line missing pack=%s why=%s", pack, why)
        self._on_missing(pack, line)


def _waits(line: str, before: str) -> bool:
    return (line == Line.WELCOME and before in OUTCOME_LINES) or (line in ADVICE_LINES and before in ADVICE_LINES)


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def _joined(sounds: Sequence[Samples], gap_s: float) -> Samples:
    parts: list[Samples] = []
    for sound in sounds:
        parts += [_silence(gap_s), sound] if parts else [sound]
    return np.concatenate(parts) if parts else _silence(0)
