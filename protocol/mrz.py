"""The machine-readable zone of passports and permits: its check digits, and the fields of the three sizes.

A reader types the zone as it stands on the document, two lines of 44 or 36 characters or three of 30, with or without line breaks.

Source: ICAO Doc 9303: part 3 (check digits), parts 4, 5 and 6 (sizes TD3, TD1 and TD2); its specimens are the unit tests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocol.errors import Malformed

FILLER = "<"
_WEIGHTS = (7, 3, 1)
_VALUES = {character: value for value, character in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")} | {FILLER: 0}
_SIZES = {90: (30, 3), 72: (36, 2), 88: (44, 2)}
"""Characters of the whole zone: characters of a line, lines."""
_NUMBER = 9
"""Characters of the field of the document number in every size."""


@dataclass(frozen=True, slots=True)
class MachineReadableZone:
    """The fields that name the document; whatever names the person is left out, and no field is shown by its repr."""

    code: str
    """One or two letters: what kind of document it is; `P` begins a passport's."""
    issuer: str
    """State or organisation that issued it: one to three letters."""
    number: str
    """Document number without fillers."""

    def __repr__(self) -> str:
        return f"MachineReadableZone({self.code}, {self.issuer})"


def zone_check_digit(field: str) -> str:
    """Return the check digit of a field of the zone.

    Raises:
        Malformed: if a character has no place in a zone.
    """
    try:
        values = [_VALUES[character] for character in field]
    except KeyError as error:
        raise Malformed(
            "machine-readable zone: a character that is no letter, digit or <", code="zone_unreadable"
        ) from error
    return str(sum(value * _WEIGHTS[at % 3] for at, value in enumerate(values)) % 10)


def parse_zone(text: str) -> MachineReadableZone:
    """Read a zone and check all its check digits.

    Args:
        text: capital letters, digits and `<`; anything that is white space is skipped.

    Raises:
        Malformed: with what is wrong, never with what stands there.
    """
    zone = "".join(text.split())
    size = _SIZES.get(len(zone))
    if size is None:
        raise Malformed(
            f"machine-readable zone: {len(zone)} characters, 90, 72 or 88 expected; read the document again",
            code="zone_unreadable",
        )
    if not set(zone) <= _VALUES.keys():
        raise Malformed(
            "machine-readable zone: a character that is no letter, digit or <; read the document again",
            code="zone_unreadable",
        )
    width, count = size
    lines = [zone[width * line : width * (line + 1)] for line in range(count)]
    return _td1(lines) if count == 3 else _two_lines(lines)


def _td1(lines: list[str]) -> MachineReadableZone:
    first, second, _ = lines
    number, check, optional = first[5:14], first[14], first[15:30]
    if check == FILLER and optional.rstrip(FILLER):
        # A number longer than its field goes on in the optional data, with its check digit behind it.
        rest = optional.split(FILLER, 1)[0]
        number, check = number + rest[:-1], rest[-1:]
    _demand("the document number", number, check)
    _demand("the date of birth", second[0:6], second[6])
    _demand("the date of expiry", second[8:14], second[14])
    _demand("the whole", first[5:30] + second[0:7] + second[8:15] + second[18:29], second[29])
    return _zone(first, number)


def _two_lines(lines: list[str]) -> MachineReadableZone:
    first, second = lines
    number, check = second[0:_NUMBER], second[_NUMBER]
    is_td3 = len(second) == 44
    whole = second[0:10] + second[13:20] + second[21:-1]
    if not is_td3 and check == FILLER and second[28:35].rstrip(FILLER):
        rest = second[28:35].split(FILLER, 1)[0]
        number, check = number + rest[:-1], rest[-1:]
    _demand("the document number", number, check)
    _demand("the date of birth", second[13:19], second[19])
    _demand("the date of expiry", second[21:27], second[27])
    if is_td3 and not (second[42] == FILLER and not second[28:42].strip(FILLER)):
        # The check digit of an empty personal number may be a filler.
        _demand("the personal number", second[28:42], second[42])
    _demand("the whole", whole, second[-1])
    return _zone(first, number)


def _zone(first: str, number: str) -> MachineReadableZone:
    code, issuer, number = first[0:2].rstrip(FILLER), first[2:5].rstrip(FILLER), number.rstrip(FILLER)
    if (
        not re.fullmatch("[A-Z][A-Z]?", code)
        or not re.fullmatch("[A-Z]{1,3}", issuer)
        or FILLER in number
        or not number
    ):
        raise Malformed(
            "machine-readable zone: no document code, issuing state or number; read the document again",
            code="zone_unreadable",
        )
    return MachineReadableZone(code, issuer, number)


def _demand(what: str, field: str, check: str) -> None:
    if zone_check_digit(field) != check:
        raise Malformed(
            f"machine-readable zone: the check digit of {what} does not fit; read the document again",
            code="zone_unreadable",
        )
