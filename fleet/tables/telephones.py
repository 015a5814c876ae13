"""PURE. Telephone numbers as people write them: one form, and whether it can be one at all."""

from __future__ import annotations

import re
import unicodedata

_BETWEEN = re.compile(r"[\s()\-.]")
_NUMBER = re.compile(
    r"1[3-9]\d{9}"  # mobile
    r"|0\d{9,11}"  # a line with its area code
    r"|[2-9]\d{6,7}"  # a line without one
    r"|[48]00\d{7}"  # a service
    r"|\+[1-9]\d{6,14}",  # abroad, with the country's
    re.ASCII,
)
"""Source: the numbering plan of China's telephone network (Ministry of Industry and Information Technology, edition of 2017); ITU-T
E.164, 6.2: 15 digits at most after the plus sign. Short numbers (five digits, 12333) are of bodies and reach no person."""


def telephone_in(written: str) -> str | None:
    """Return a person's number as digits, a plus sign before a country's; None if it is none."""
    plain = _BETWEEN.sub("", unicodedata.normalize("NFKC", written))
    return plain if _NUMBER.fullmatch(plain) else None
