"""Packs made of tones, one frequency each, so that a test hears who speaks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from device.adapters.voice_alsa.pack import MANIFEST, VoicePack
from device.adapters.voice_alsa.sound import RATE_HZ, encode
from device.lines import texts_to_speak
from device.simulated.loudspeaker import SimulatedPlaying

MakePack = Callable[..., Path]


def tone(hertz: float, seconds: float = 0.3) -> np.ndarray:
    """A tone at the loudness of speech."""
    return (0.14 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def frequencies(playing: SimulatedPlaying) -> list[int]:
    """Frequencies in the order they were played, to the nearest 100 Hz, repeats left out."""
    samples = np.frombuffer(playing.pcm, "<i2").astype(float)
    block = RATE_HZ // 20
    found: list[int] = []
    for begin in range(0, len(samples) - block, block):
        part = samples[begin : begin + block]
        if np.sqrt((part**2).mean()) > 1500:
            hertz = round(float(np.argmax(np.abs(np.fft.rfft(part)))) * RATE_HZ / block / 100) * 100
            if not found or found[-1] != hertz:
                found.append(hertz)
    return found


@pytest.fixture
def heard() -> Callable[[SimulatedPlaying], list[int]]:
    """Hear what was played: `heard(playing)` gives its frequencies, in order."""
    return frequencies


@pytest.fixture
def make_pack(tmp_path: Path) -> MakePack:
    """Make a pack whose every line is one tone: `make_pack("yue", "zh-yue", 500, lines=["welcome"], speeds=["normal"])`."""

    def make(
        name: str,
        language: str,
        hertz: int,
        *,
        lines: Sequence[str] | None = None,
        speeds: Sequence[str] = ("normal",),
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        head = (
            f'name = "{name}"\nlanguage = "{language}"\ntitle.zh = "甲"\ntitle.en = "A"\nlicence = "none"\nsource = "test"\n'
            f"speeds = {list(speeds)}\n"
        )
        rows = [head]
        content = {speed: encode(tone(hertz + (100 if speed == "slow" else 0))) for speed in speeds}
        for line in texts_to_speak(language) if lines is None else lines:
            rows.append(f"[lines.{line}]\n")
            for speed in speeds:
                file = f"{line}-{speed}.opus"
                (folder / file).write_bytes(content[speed])
                digest = hashlib.sha256(content[speed]).hexdigest()
                rows.append(f'{speed} = {{ file = "{file}", sha256 = "{digest}" }}\n')
        (folder / MANIFEST).write_text("".join(rows), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def open_packs(make_pack: MakePack) -> Callable[..., list[VoicePack]]:
    """Make and open packs: `open_packs(("zh", "zh-CN", 500), ("en", "en", 900))`."""
    return lambda *descriptions: [VoicePack.open(make_pack(*description)) for description in descriptions]
