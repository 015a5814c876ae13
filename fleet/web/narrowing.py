"""What a list is narrowed to by an area that somebody typed."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from fleet.store.areas import codes_below, codes_called
from fleet.web.lists import LONGEST


def narrowed(connection: Connection, typed: str, within: Collection[str] | None) -> list[str] | None:
    """Return the codes of an area, given by code or name, and of those below it, as far as they are within; None for all."""
    typed = typed.replace("\0", "").strip()[:LONGEST]
    if not typed:
        return None if within is None else sorted(within)
    named = {code for top in codes_called(connection, typed) or [typed] for code in codes_below(connection, top)}
    return sorted(named if within is None else named.intersection(within))
