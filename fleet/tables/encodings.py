"""Tells in which encoding a text file was saved: UTF-8 or GB18030, by strict decoding, never by frequency."""

from __future__ import annotations

import codecs

from fleet.tables.places import at_line
from protocol.errors import Problem

_SAVE = "save it as CSV UTF-8"
_CJK = (0x3400, 0x9FFF)
"""Ideographs of Unicode's basic plane."""


def decoded(content: bytes) -> tuple[str, str, Problem | None]:
    """Return the text, the encoding that was taken, and what is wrong if neither can be.

    GB18030 gives almost any bytes some meaning. A file of which some lines are UTF-8 with ideographs and others are not UTF-8 at all was
    put together from two, and neither reading of it is right.

    Args:
        content: the whole file.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "", "", Problem(f"UTF-16, which spreadsheets call Unicode text; {_SAVE}", "utf16")
    if b"\0" in content:
        byte = content.index(0)
        return "", "", Problem(f"byte {byte} is no text; {_SAVE}, or as .xlsx", "no_text", byte=byte)
    try:
        return content.decode("utf-8-sig"), "UTF-8", None
    except UnicodeDecodeError as error:
        # `utf-8-sig` counts from behind the mark.
        mark = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
        wrong_at = error.start + mark
    wrong_line = _line_at(content, wrong_at)
    if mark:
        fault = Problem(
            f"not UTF-8 at byte {wrong_at}, as the file's beginning says; {_SAVE}", "bad_utf8", byte=wrong_at
        )
        return "", "", fault.within(at_line(wrong_line))
    mixed = _utf8_line(content)
    if mixed is not None:
        fault = Problem(
            f"line {mixed} is UTF-8 and line {wrong_line} (byte {wrong_at}) is not: two encodings in one file; {_SAVE}",
            "two_encodings",
            line=mixed,
            second=wrong_line,
            byte=wrong_at,
        )
        return "", "", fault
    try:
        return content.decode("gb18030"), "GB18030", None
    except UnicodeDecodeError as error:
        line = _line_at(content, error.start)
        fault = Problem(
            f"neither UTF-8 (line {wrong_line}, byte {wrong_at}) nor GB18030 (line {line}, byte {error.start}); {_SAVE}",
            "no_encoding",
            line=wrong_line,
            byte=wrong_at,
            second=line,
            third=error.start,
        )
        return "", "", fault


def _line_at(content: bytes, place: int) -> int:
    return content.count(b"\n", 0, place) + 1


def _utf8_line(content: bytes) -> int | None:
    """Return the first line that is UTF-8 and has ideographs: in GB18030 that happens by chance only in lines of a few characters."""
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.isascii():
            continue
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            continue
        if any(_CJK[0] <= ord(character) <= _CJK[1] for character in text):
            return number
    return None
