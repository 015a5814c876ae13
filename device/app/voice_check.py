"""Says what is wrong with a voice pack: lines it lacks, damaged files, recordings that are too quiet or too long."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from device.adapters.voice_alsa.pack import Speed, VoicePack
from device.adapters.voice_alsa.sound import LOUDNESS_DBFS, Samples, loudness_dbfs, seconds
from device.errors import SoundUnreadable, VoiceLineMissing
from device.lines import texts_to_speak

_LOUDNESS_BAND_DB: Final = 6.0
"""A line so much louder or quieter than the others is heard as shouted or missed: twice, or half the amplitude."""
_SHORTEST_S: Final = 0.15
"""One spoken syllable."""
_LONGEST_S: Final = 20.0
"""The result stands for 10 s and then a second language follows: nobody listens to more."""
_SECONDS_A_LETTER: Final = 1.0
"""Of text; a slow Mandarin syllable takes a third of a second. More than three times that is silence, or a wrong file."""
_FULL_SCALE: Final = 0.999
_MOST_CLIPPED: Final = 0.001
"""Share of samples at full scale; beyond one in a thousand a recording rattles."""


@dataclass(frozen=True, slots=True)
class PackReport:
    """What was found."""

    name: str
    language: str
    lines: int
    """Lines and pieces of dates that a whole pack has."""
    covered: int
    """Of these, how many this one has at least at one speed."""
    seconds: float
    """Of speech at normal speed."""
    speeds: tuple[str, ...]
    """Those it means to have, by its manifest; where slow is none of them, normal speech stands in."""
    lacking: tuple[str, ...]
    """What it has not got at these speeds, one sentence each. Other packs stand in."""
    problems: tuple[str, ...]
    """What is wrong with what it has, one sentence each."""

    def passed(self, *, is_partial: bool) -> bool:
        """Whether it can be used; a pack that replaces some lines only is partial."""
        return not self.problems and (is_partial or not self.lacking)


def check_pack(folder: Path) -> PackReport:
    """Look at every line and file of a pack.

    Raises:
        VoicePackInvalid: if the folder holds no manifest that can be used.
    """
    pack = VoicePack.open(folder)
    manifest = pack.manifest
    texts = texts_to_speak(manifest.language)
    lacking: list[str] = []
    problems = [f"{line}: the terminal has no such line" for line in manifest.lines if line not in texts]
    covered, length = 0, 0.0
    for line, text in texts.items():
        spoken = manifest.lines.get(line)
        if spoken is None:
            lacking.append(f"{line}: not in the pack: {text}")
            continue
        covered += 1
        if spoken.text_sha256 not in {None, hashlib.sha256(text.encode()).hexdigest()}:
            problems.append(f"{line}: the text has changed since, it is now: {text}")
        for speed in manifest.speeds:
            if spoken.at(speed) is None:
                lacking.append(f"{line}: not in the pack at {speed} speed: {text}")
                continue
            try:
                sound = pack.sound(line, speed)
                problems.extend(f"{line} at {speed} speed: {problem}" for problem in _problems(sound, text))
                length += seconds(sound) if speed is Speed.NORMAL else 0.0
            except (VoiceLineMissing, SoundUnreadable) as error:
                problems.append(f"{error} ({speed} speed)")
    return PackReport(
        manifest.name,
        manifest.language,
        len(texts),
        covered,
        round(length, 1),
        manifest.speeds,
        tuple(lacking),
        tuple(problems),
    )


def _problems(sound: Samples, text: str) -> Iterator[str]:
    length, longest = seconds(sound), min(_LONGEST_S, 1.0 + _SECONDS_A_LETTER * len(text))
    if not _SHORTEST_S <= length <= longest:
        yield f"{length:.1f} s long, {_SHORTEST_S} to {longest:.0f} s expected"
    loud = loudness_dbfs(sound)
    if abs(loud - LOUDNESS_DBFS) > _LOUDNESS_BAND_DB:
        yield f"loudness {loud:.0f} dB, {LOUDNESS_DBFS:.0f} dB expected, {_LOUDNESS_BAND_DB:.0f} more or less"
    if float((np.abs(sound) >= _FULL_SCALE).mean()) > _MOST_CLIPPED:
        yield "clipped: record it again with less gain"
