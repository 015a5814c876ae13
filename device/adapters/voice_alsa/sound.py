"""Sound files in and out. The only place that opens libsndfile."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
import numpy.typing as npt
import soundfile

from device.errors import SoundUnreadable

Samples = npt.NDArray[np.float32]
"""float32 (N,), one channel at `RATE_HZ`, full scale -1..1."""

RATE_HZ: Final = 24_000
"""Of everything that is played: super-wideband, 12 kHz of bandwidth, keeps the sibilants of Mandarin. Source: RFC 6716, table 1."""
LOUDNESS_DBFS: Final = -20.0
"""Root mean square of what is loud enough to be speech, relative to full scale. The peaks of the synthetic voices lie 11 to 19 dB above it:
most keep below `_PEAK`, and the others end up to 3 dB quieter."""
_PEAK: Final = 0.7
"""Largest sample after levelling, 3 dB below full scale: lossy coding raises single peaks, by up to 1 dB on the shipped voices."""
_BLOCK_S: Final = 0.02
_SILENT_DB: Final = -35.0
"""Blocks so far below the loudest one are silence: above the hum of a quiet office in a recording, below any vowel."""
_MARGIN_S: Final = 0.03
"""Kept before and after the speech, where soft consonants begin and end."""
SYNTHETIC_COMPRESSION: Final = 0.975
"""libsndfile's scale from 0 (256 kbit/s a channel) to 1 (6 kbit/s); gives some 15 kbit/s for synthetic speech."""
RECORDED_COMPRESSION: Final = 0.9
"""The same; gives some 30 kbit/s: a human voice in a room is harder to code, and nobody makes many such packs."""
_COMPRESSION_STEPS: Final = (0.0, 0.005, 0.01, 0.02, 0.05)
"""Taken off the compression where a coding spoils a sound: libopus 1.4 was seen to turn one clip in five hundred into a bang of full
scale at one bit rate and not at the next."""
_MOST_CHANGED_DB: Final = 9.0
"""A block of 20 ms that lies farther from the loudest of its neighbours is spoilt. Measured on the shipped voices: good codings stay within
6.2, the bang was 26.6."""
_AUDIBLE_DB: Final = -25.0
"""What is quieter than this beside the loudest block may change."""
_LONGEST_S: Final = 60.0
"""No line is longer; a file that claims to be is not decoded."""
_PAGE: Final = b"OggS"


def decode(content: bytes) -> Samples:
    """Return the samples of an Ogg Opus, FLAC or WAV file: mixed to one channel, at `RATE_HZ`, otherwise as they are.

    Raises:
        SoundUnreadable: if it is none of these, holds no sound, or is longer than a minute.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            if file.frames > _LONGEST_S * file.samplerate:
                raise SoundUnreadable(f"longer than {_LONGEST_S:.0f} s")
            found, rate = file.read(dtype="float32", always_2d=True), int(file.samplerate)
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as error:
        # The library's message names the object it read from, which says nothing.
        raise SoundUnreadable("no sound file that can be read (Ogg Opus, FLAC or WAV)") from error
    if len(found) == 0 or not np.isfinite(found).all():
        raise SoundUnreadable("holds no sound")
    return resample(found.mean(axis=1, dtype=np.float32), rate)


def encode(samples: Samples, compression: float = SYNTHETIC_COMPRESSION) -> bytes:
    """Return an Ogg Opus file; the same samples give the same bytes with the same version of the library on the same kind of processor.

    Args:
        samples: what it holds.
        compression: 0 to 1, larger = smaller and worse. What it spoils is coded with less.

    Raises:
        SoundUnreadable: if every coding spoils it.
    """
    for less in _COMPRESSION_STEPS:
        file = io.BytesIO()
        level = compression - less
        soundfile.write(file, samples, RATE_HZ, format="OGG", subtype="OPUS", compression_level=level)
        content = _with_serial(file.getvalue(), 1)
        if _sounds_like(samples, decode(content)):
            return content
    raise SoundUnreadable("spoilt by every coding")


def resample(samples: Samples, rate_hz: int) -> Samples:
    """Return samples of another rate at `RATE_HZ`, by cutting or padding the spectrum of the whole."""
    if rate_hz == RATE_HZ:
        return samples
    wanted = max(1, round(len(samples) * RATE_HZ / rate_hz))
    spectrum = np.fft.rfft(samples.astype(np.float64))
    return (np.fft.irfft(spectrum, wanted) * (wanted / len(samples))).astype(np.float32)


def finish(samples: Samples) -> Samples:
    """Return speech without the silence around it, at the loudness of all packs.

    Raises:
        SoundUnreadable: if it is silent.
    """
    loud = _loud_blocks(samples)
    block, margin = round(_BLOCK_S * RATE_HZ), round(_MARGIN_S * RATE_HZ)
    first, last = int(loud[0]) * block, (int(loud[-1]) + 1) * block
    speech = samples[max(0, first - margin) : last + margin]
    gain = 10 ** ((LOUDNESS_DBFS - loudness_dbfs(speech)) / 20)
    return (speech * min(gain, _PEAK / float(np.abs(speech).max()))).astype(np.float32)


def loudness_dbfs(samples: Samples) -> float:
    """Return the root mean square of the blocks that are speech, in dB relative to full scale.

    Raises:
        SoundUnreadable: if it is silent.
    """
    power = _powers(samples)[_loud_blocks(samples)]
    return 10 * float(np.log10(power.mean()))


def as_pcm(samples: Samples, volume: float = 1.0) -> bytes:
    """Return 16-bit little-endian samples, `volume` 0 (silent) to 1 (as they are)."""
    return (np.clip(samples * volume, -1, 1) * 32767).astype("<i2").tobytes()


def seconds(samples: Samples) -> float:
    """Return how long it takes to play."""
    return len(samples) / RATE_HZ


def _powers(samples: Samples) -> npt.NDArray[np.float64]:
    block = round(_BLOCK_S * RATE_HZ)
    whole = np.pad(samples, (0, -len(samples) % block)).reshape(-1, block).astype(np.float64)
    powers: npt.NDArray[np.float64] = (whole**2).mean(axis=1)
    return powers


def _loud_blocks(samples: Samples) -> npt.NDArray[np.intp]:
    power = _powers(samples)
    loudest = float(power.max())
    if loudest < 1e-8:
        # -80 dBFS: less than the noise of any microphone.
        raise SoundUnreadable("silent")
    return np.flatnonzero(power >= loudest * 10 ** (_SILENT_DB / 10))


def _sounds_like(samples: Samples, coded: Samples) -> bool:
    """Say whether no moment of a coded sound is far louder or quieter than it was."""
    before, after = _powers(samples), _powers(coded[: len(samples)])
    if len(before) != len(after):
        return False
    most, floor = 10 ** (_MOST_CHANGED_DB / 10), float(before.max()) * 10 ** (_AUDIBLE_DB / 10)
    is_louder = after > most * np.maximum(_loudest_around(before), floor)
    is_quieter = before > most * np.maximum(_loudest_around(after), floor)
    return not bool(is_louder.any() or is_quieter.any())


def _loudest_around(powers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the largest of each block and its two neighbours: coding moves an onset a little."""
    padded = np.pad(powers, 1)
    return np.maximum(np.maximum(padded[:-2], padded[2:]), powers)


def _with_serial(content: bytes, serial: int) -> bytes:
    """Return an Ogg file with another stream number and the check sums that go with it; the library draws one at random each time.

    Source: RFC 3533, section 6: page header, with the serial number in bytes 14 to 17 and the CRC in 22 to 25.
    """
    pages, at = bytearray(content), 0
    while at < len(pages):
        if pages[at : at + 4] != _PAGE:
            raise SoundUnreadable("the encoder wrote no Ogg pages")
        segments = pages[at + 26]
        length = 27 + segments + sum(pages[at + 27 : at + 27 + segments])
        pages[at + 14 : at + 18] = serial.to_bytes(4, "little")
        pages[at + 22 : at + 26] = bytes(4)
        pages[at + 22 : at + 26] = _crc(pages[at : at + length]).to_bytes(4, "little")
        at += length
    return bytes(pages)


def _crc(page: bytes | bytearray) -> int:
    value = 0
    for byte in page:
        value = ((value << 8) & 0xFFFFFFFF) ^ _CRC_TABLE[(value >> 24) ^ byte]
    return value


def _crc_entry(byte: int) -> int:
    value = byte << 24
    for _ in range(8):
        value = ((value << 1) ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


_CRC_TABLE: Final = tuple(_crc_entry(byte) for byte in range(256))
"""Polynomial 0x04c11db7, not reflected, starting at 0. Source: RFC 3533, section 6, field 7."""
