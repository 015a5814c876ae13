"""Sound files in and out."""

from __future__ import annotations

import io
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from device.adapters.voice_alsa.sound import (
    LOUDNESS_DBFS,
    RATE_HZ,
    decode,
    encode,
    finish,
    loudness_dbfs,
    resample,
    seconds,
)
from device.errors import SoundUnreadable


def tone(hertz: float, rate: int = RATE_HZ, length_s: float = 0.5) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(length_s * rate)) / rate)).astype(np.float32)


def strongest(samples: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples)))) * RATE_HZ / len(samples)


def written(samples: np.ndarray, rate: int, kind: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind)
    return file.getvalue()


def test_the_same_samples_give_the_same_file_each_time_and_it_sounds_the_same():
    assert encode(tone(440)) == encode(tone(440))
    found = decode(encode(tone(440)))
    assert len(found) == len(tone(440))
    assert strongest(found) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_a_recording_of_any_rate_and_any_number_of_channels_is_read(rate, kind):
    both = np.stack([tone(700, rate), tone(700, rate)], axis=1)
    found = decode(written(both, rate, kind))
    assert seconds(found) == pytest.approx(0.5, abs=0.001)
    assert strongest(found) == pytest.approx(700, abs=3)
    assert np.abs(found).max() == pytest.approx(0.3, abs=0.02)


def test_what_lies_above_half_the_rate_is_cut_off_and_not_folded_back():
    assert np.abs(resample(tone(20_000, 48_000), 48_000)).max() < 0.01


@given(st.binary(max_size=400))
def test_any_bytes_are_a_sound_or_refused(content):
    with suppress(SoundUnreadable):
        assert len(decode(content)) > 0


@given(st.integers(0, 6000), st.integers(1, 255))
def test_a_damaged_file_is_a_sound_or_refused(place, change):
    content = bytearray(encode(tone(440)))
    content[place % len(content)] ^= change
    with suppress(SoundUnreadable):
        assert np.isfinite(decode(bytes(content))).all()


def test_a_file_without_sound_and_one_that_never_ends_are_refused():
    with pytest.raises(SoundUnreadable, match="holds no sound"):
        decode(written(np.zeros(0, np.float32), 8000, "WAV"))
    with pytest.raises(SoundUnreadable, match="longer than 60 s"):
        decode(written(np.zeros(8000 * 61, np.float32), 8000, "WAV"))
    with pytest.raises(SoundUnreadable, match="silent"):
        finish(np.zeros(RATE_HZ, np.float32))


@pytest.mark.parametrize("gain", [0.001, 0.1, 1.0, 3.0])
def test_finished_speech_is_as_loud_as_all_and_has_no_silence_around_it(gain):
    around = np.concatenate([np.zeros(RATE_HZ, np.float32), tone(300) * gain, np.zeros(RATE_HZ, np.float32)])
    found = finish(around)
    assert loudness_dbfs(found) == pytest.approx(LOUDNESS_DBFS, abs=0.3)
    assert seconds(found) == pytest.approx(0.56, abs=0.05)


def test_a_peak_never_reaches_full_scale():
    knocks = tone(300) * 0.01
    knocks[::2400] = 0.3
    assert np.abs(finish(knocks)).max() <= 0.9


def test_a_coding_that_spoils_a_sound_is_not_kept(monkeypatch):
    good, written_at, most = soundfile.write, [], 0.97

    def write(file, samples, rate, *, compression_level, **more):
        written_at.append(compression_level)
        spoilt = np.copy(samples)
        if compression_level > most:
            spoilt[4800:5760] = 1.0
        good(file, spoilt, rate, compression_level=compression_level, **more)

    monkeypatch.setattr(soundfile, "write", write)
    quiet = tone(440) * 0.1
    assert np.abs(decode(encode(quiet, 0.975))).max() < 0.1
    assert written_at == pytest.approx([0.975, 0.97])
    most = 0
    with pytest.raises(SoundUnreadable, match="spoilt by every coding"):
        encode(quiet, 0.975)
