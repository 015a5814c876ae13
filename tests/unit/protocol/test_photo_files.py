"""Photograph files between fleet and terminal program: their size before decoding, and the stream they travel in."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from protocol.errors import Malformed
from protocol.photo_files import MAX_PICTURE_BYTES, framed, is_jpeg, jpeg_size, read_framed


def jpeg(width: int, height: int, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"comment": b"x" * 300}, {"dpi": (300, 300)}])
def test_r1_14_the_size_of_a_jpeg_is_read_without_decoding_it(options: dict[str, object]) -> None:
    assert jpeg_size(jpeg(480, 672, **options)) == (480, 672)


def test_a_picture_that_announces_gigabytes_is_known_by_its_header() -> None:
    small = jpeg(8, 8)
    at = small.index(b"\xff\xc0") + 5
    assert jpeg_size(small[:at] + struct.pack(">HH", 65535, 65535) + small[at + 4 :]) == (65535, 65535)


def test_r1_17_what_is_no_jpeg_is_told_by_its_content() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    assert not is_jpeg(buffer.getvalue())
    assert jpeg_size(buffer.getvalue()) is None
    assert is_jpeg(jpeg(8, 8))


@given(st.binary(max_size=200))
def test_any_bytes_have_a_size_or_none(content: bytes) -> None:
    for candidate in (content, b"\xff\xd8\xff" + content):
        size = jpeg_size(candidate)
        assert size is None or min(size) > 0


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_pictures_come_out_of_the_stream_as_they_went_in(pictures: list[bytes]) -> None:
    stream = io.BytesIO(b"".join(framed(picture) for picture in pictures))
    found = []
    while (picture := read_framed(stream)) is not None:
        found.append(picture)
    assert found == pictures


@pytest.mark.parametrize("cut", [1, 5])
def test_a_stream_that_ends_within_a_picture_is_malformed(cut: int) -> None:
    with pytest.raises(Malformed, match="the stream ends"):
        read_framed(io.BytesIO(framed(b"abc")[:cut]))


def test_a_picture_beyond_the_limit_is_neither_sent_nor_read() -> None:
    with pytest.raises(Malformed, match="at most"):
        framed(bytes(MAX_PICTURE_BYTES + 1))
    with pytest.raises(Malformed, match="at most"):
        read_framed(io.BytesIO(struct.pack(">I", MAX_PICTURE_BYTES + 1)))
