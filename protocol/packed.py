"""Fields packed into few bytes, for what must fit into a small QR code; everything else is JSON (`protocol.wire`).

Numbers are unsigned and big-endian, texts are ASCII after one byte that gives their length, a day is the number of days since
1970-01-01 in two bytes (0 is no day; the last one is in 2149).
"""

from __future__ import annotations

from datetime import date, timedelta

from protocol.errors import Malformed

_FIRST_DAY = date(1970, 1, 1)
_LAST_NUMBER = 0xFFFF


def packed_text(text: str) -> bytes:
    """Return the bytes of a text.

    Raises:
        Malformed: if it is not ASCII or longer than 255 characters.
    """
    if not text.isascii() or len(text) > 255:
        raise Malformed("packed text: at most 255 characters of ASCII expected")
    return bytes([len(text)]) + text.encode("ascii")


def packed_day(day: date | None) -> bytes:
    """Return the bytes of a day, or of none.

    A day that cannot be packed is given as the nearest that can: a terminal whose clock is that far off says so elsewhere.
    """
    number = 0 if day is None else min(max((day - _FIRST_DAY).days, 1), _LAST_NUMBER)
    return number.to_bytes(2, "big")


class Unpacker:
    """Reads packed fields one after the other.

    Args:
        data: the bytes.
        what: what they are, for messages.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0

    def take(self, length: int) -> bytes:
        """Return the next bytes.

        Raises:
            Malformed: if there are fewer.
        """
        found = self._data[self._at : self._at + length]
        if len(found) < length:
            raise Malformed(f"{self._what}: ends after {len(self._data)} bytes, in the middle of a field")
        self._at += length
        return found

    def number(self) -> int:
        """Return the next byte as a number.

        Raises:
            Malformed: if there is none.
        """
        return self.take(1)[0]

    def text(self) -> str:
        """Return the next text.

        Raises:
            Malformed: if there is none.
        """
        try:
            return self.take(self.number()).decode("ascii")
        except UnicodeDecodeError as error:
            raise Malformed(f"{self._what}: a text that is not ASCII") from error

    def day(self) -> date | None:
        """Return the next day, None where there is none.

        Raises:
            Malformed: if the bytes have ended.
        """
        number = int.from_bytes(self.take(2), "big")
        return _FIRST_DAY + timedelta(days=number) if number else None

    def rest(self) -> bytes:
        """Return everything that is left."""
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        """Make sure that nothing is left.

        Raises:
            Malformed: if something is.
        """
        if self._at != len(self._data):
            raise Malformed(f"{self._what}: {len(self._data) - self._at} bytes too many")
