"""What the terminal program says about photograph files, for the fleet's intake (R1-12 to R1-17).

The fleet contains no vision code: it starts `lifecert-terminal check-photos - --json` once for a whole batch, writes each picture to it
with its length before it, and reads one report a line. Pictures travel through pipes and are never written to a file.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, ClassVar, Literal

from pydantic import Field

from protocol.capture import FeatureReport
from protocol.errors import Malformed
from protocol.ids import Sha256
from protocol.wire import WireMessage, WirePart

MAX_PICTURE_BYTES = 20 * 1024 * 1024
"""Largest picture that is looked at: ten times the limit agencies set (R1-17), so that a camera's original gets its report, too."""
MAX_PIXELS = 50_000_000
"""Most pixels that are decoded, 150 MB in memory; the largest telephones' cameras that agencies' staff use take pictures of this size."""
_LENGTH = struct.Struct(">I")
_START = b"\xff\xd8\xff"
"""How every JPEG begins. Source: ITU-T T.81, B.1.1.3 (SOI, then the first byte of another marker)."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Second bytes of markers that begin a frame and say its size. Source: ITU-T T.81, table B.1."""
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length. Source: the same."""

CheckName = Literal["readable", "one_face", "whole_face", "white_ground", "bare_head"]


class PhotoFileCheck(WirePart):
    """One check of a picture: what was found and what is asked for."""

    name: CheckName
    passed: bool
    found: float
    asked: float


class PhotoReport(WireMessage):
    """What a photograph file shows, and the features of its face where it can be enrolled from."""

    TYPE: ClassVar[str] = "photo-report"
    VERSION: ClassVar[int] = 1

    type: Literal["photo-report"] = "photo-report"
    version: Literal[1] = 1
    sha256: Sha256
    """Of the file."""
    width_px: int | None = Field(default=None, ge=1)
    """As it is shown, turned as its EXIF data says; None where it could not be decoded."""
    height_px: int | None = Field(default=None, ge=1)
    checks: tuple[PhotoFileCheck, ...]
    features: FeatureReport | None = None
    """None where there is not exactly one whole face."""


def framed(content: bytes) -> bytes:
    """Return a picture with its length before it, as `check-photos -` reads it.

    Raises:
        Malformed: if it is larger than what is looked at.
    """
    if len(content) > MAX_PICTURE_BYTES:
        raise Malformed(f"picture: {len(content)} bytes, at most {MAX_PICTURE_BYTES} are looked at")
    return _LENGTH.pack(len(content)) + content


def read_framed(stream: BinaryIO) -> bytes | None:
    """Read the next picture, None at the end.

    Raises:
        Malformed: if the stream ends within a picture, or one is too large.
    """
    head = stream.read(_LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise Malformed("pictures: the stream ends within a length")
    (length,) = _LENGTH.unpack(head)
    if length > MAX_PICTURE_BYTES:
        raise Malformed(f"picture: {length} bytes, at most {MAX_PICTURE_BYTES} are looked at")
    content = stream.read(length)
    if len(content) < length:
        raise Malformed(f"picture: the stream ends after {len(content)} of {length} bytes")
    return content


def is_jpeg(content: bytes) -> bool:
    """Say whether a file begins as every JPEG does, whatever its name."""
    return content.startswith(_START)


def jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Return width and height that a JPEG's frame header says, before any turning; None if there is no such header.

    Source: ITU-T T.81, B.2.2: length, precision, number of lines, samples per line. Looked at before decoding, because a file of a few
    kilobytes can announce a picture of gigabytes.
    """
    at = 2
    while is_jpeg(content) and at + 9 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _BARE:
            at += 2
            continue
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return (width, height) if width and height else None
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None
