"""Numbers of cases, such as 2026-000123, as SQL: what people say and write, where addresses have the id.

A case has its number from the end of the transaction in which it was opened.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from sqlalchemy import Connection, text

_WRITTEN = re.compile(r"\s*([0-9]{4})\s*[-‐-―−－]\s*([0-9]{1,9})\s*")


def numbers_of(connection: Connection, case_ids: Collection[str]) -> dict[str, str]:
    """Return the numbers of cases by their ids; without those that are none, or were opened in this very transaction."""
    if not case_ids:
        return {}
    rows = connection.execute(
        text("SELECT case_id, number FROM cases WHERE case_id = ANY(:ids) AND number IS NOT NULL"),
        {"ids": sorted(case_ids)},
    )
    return {row.case_id: row.number for row in rows}


def number_of(connection: Connection, case_id: str) -> str | None:
    """Return the number of a case; None if there is none of this id, or it was opened in this very transaction."""
    return numbers_of(connection, [case_id]).get(case_id)


def find_by_number(connection: Connection, typed: str) -> str | None:
    """Return the id of the case of a number as people type it, such as `2026-123`; None if there is none, or it is no number."""
    written = _WRITTEN.fullmatch(typed)
    if written is None:
        return None
    number = f"{written[1]}-{int(written[2]):06d}"
    found = connection.execute(text("SELECT case_id FROM cases WHERE number = :number"), {"number": number})
    return found.scalar_one_or_none()
