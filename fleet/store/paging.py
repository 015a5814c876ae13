"""Pages of long lists, as SQL: the newest rows, from a place in the list on or up to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

Place = tuple[datetime, str]
"""Where a row stands in a list: its moment, and its id among those of one moment."""


def newest(
    connection: Connection,
    statement: str,
    columns: Sequence[str],
    values: Mapping[str, object],
    *,
    below: Sequence[object] | None = None,
    above: Sequence[object] | None = None,
    limit: int,
) -> list[tuple[Any, ...]]:
    """Return rows, those with the highest place first.

    Args:
        connection: where to read.
        statement: up to its conditions, of which it has one at least.
        columns: the expressions that make a row's place, no two rows having the same.
        values: what the statement names.
        below: only rows before this place in order of time.
        above: only rows after it, and of those the oldest.
        limit: most rows.
    """
    place = below or above or ()
    named = {f"place_{number}": value for number, value in enumerate(place)}
    compare = f" AND ({', '.join(columns)}) {'<' if below else '>'} (:{', :'.join(named)})" if place else ""
    order = ", ".join(f"{column} {'DESC' if above is None else 'ASC'}" for column in columns)
    rows = connection.execute(
        text(f"{statement}{compare} ORDER BY {order} LIMIT :limit"), {**values, **named, "limit": limit}
    )
    found = [tuple(row) for row in rows]
    return found if above is None else found[::-1]
