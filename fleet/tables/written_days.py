"""Days as people and spreadsheets write them."""

from __future__ import annotations

import re
from datetime import date

_FORMS = (
    re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T]00:00(?::00)?)?"),
    re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})"),
    re.compile(r"(\d{4})\.(\d{1,2})\.(\d{1,2})"),
    re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})日"),
    re.compile(r"(\d{4})(\d{2})(\d{2})"),
)
"""Year first in every one: which of two small numbers is the month is never guessed."""


def day_in(text: str) -> date | None:
    """Return the day that a text says, None if it says none."""
    for form in _FORMS:
        found = form.fullmatch(text)
        if found is not None:
            try:
                return date(int(found[1]), int(found[2]), int(found[3]))
            except ValueError:
                return None
    return None
