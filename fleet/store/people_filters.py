"""What lists of people are narrowed by, as SQL: an area, chosen step by step down the tree or by name, and a scheme.

Areas are only those at or below the ones at whose top somebody may look.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, text

from fleet.store.areas import MAX_ABOVE, Area

MOST_OFFERED = 60
"""Areas that are offered at once; a township has no more communities than that, and whoever wants another types its name."""


@dataclass(frozen=True, slots=True)
class Named:
    """An area that a name fits, with the names on the way down to it, its own last."""

    code: str
    names: tuple[str, ...]


def steps_down(connection: Connection, code: str | None, tops: Collection[str] | None) -> list[Area]:
    """Return the areas into which one can step down, by name; at most `MOST_OFFERED`.

    Args:
        connection: where to read.
        code: from which area; None for the beginning: the highest areas at which the visitor may look.
        tops: at whose top somebody may look; None for the whole fleet. Whoever asks has made sure that `code` lies within.
    """
    if code is not None:
        condition = "a.parent = :code"
    elif tops is None:
        condition = "a.parent IS NULL"
    else:
        condition = "a.code = ANY(:tops)"
    rows = connection.execute(
        text(
            f"SELECT a.code, a.parent, a.level, a.name FROM areas a WHERE {condition}"  # noqa: S608 - our own text
            " ORDER BY a.level, a.name, a.code LIMIT :most"
        ),
        {"code": code, "tops": sorted(tops or ()), "most": MOST_OFFERED},
    )
    return [Area(*row) for row in rows]


def areas_named(connection: Connection, typed: str, tops: Collection[str] | None) -> list[Named]:
    """Return the areas whose name or code begins with, or whose name has in it, what was typed; those that fit best first.

    Args:
        connection: where to read.
        typed: some of a name, or a code; empty finds nothing.
        tops: at whose top somebody may look; None for the whole fleet. Names above these are not told.
    """
    plain = typed.strip()
    if not plain or "\0" in plain:
        return []
    rows = connection.execute(
        text(_NAMED),
        {
            "typed": plain,
            "like": _escaped(plain),
            "tops": None if tops is None else sorted(tops),
            "steps": MAX_ABOVE,
            "most": MOST_OFFERED,
        },
    )
    return [Named(row.code, tuple(row.names)) for row in rows]


def is_below(connection: Connection, code: str, tops: Collection[str] | None) -> bool:
    """Return whether an area is in the tree and at or below one of these; None for anywhere."""
    if "\0" in code:
        return False
    return bool(
        connection.execute(
            text(_BELOW), {"code": code, "tops": None if tops is None else sorted(tops), "steps": MAX_ABOVE}
        ).scalar_one()
    )


def schemes_in_use(connection: Connection) -> list[str]:
    """Return the schemes of all benefits, in order; one look into an index for each."""
    rows = connection.execute(
        text(
            "WITH RECURSIVE s AS ((SELECT scheme FROM benefits ORDER BY scheme LIMIT 1) UNION ALL"
            " SELECT (SELECT b.scheme FROM benefits b WHERE b.scheme > s.scheme ORDER BY b.scheme LIMIT 1) FROM s"
            " WHERE s.scheme IS NOT NULL) SELECT scheme FROM s WHERE scheme IS NOT NULL LIMIT :most"
        ),
        {"most": MOST_OFFERED},
    )
    return list(rows.scalars())


def _escaped(typed: str) -> str:
    """Return a text in which nothing stands for anything else."""
    return typed.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


_NAMED = """
WITH RECURSIVE fits AS (
    SELECT code, parent, name, CASE WHEN code = :typed OR name = :typed THEN 0 WHEN name LIKE :like || '%' THEN 1 ELSE 2 END AS place
    FROM areas WHERE code = :typed OR name LIKE '%' || :like || '%'
), up AS (
    SELECT code AS of, code, parent, ARRAY[name] AS names, place, 0 AS step,
        CAST(:tops AS text[]) IS NULL AND parent IS NULL OR coalesce(code = ANY(CAST(:tops AS text[])), false) AS is_top
    FROM fits
    UNION ALL
    SELECT up.of, a.code, a.parent, a.name || up.names, up.place, up.step + 1,
        CAST(:tops AS text[]) IS NULL AND a.parent IS NULL OR coalesce(a.code = ANY(CAST(:tops AS text[])), false)
    FROM areas a JOIN up ON a.code = up.parent WHERE up.step < :steps AND NOT up.is_top
)
SELECT of AS code, names FROM up WHERE is_top ORDER BY place, cardinality(names), names, of LIMIT :most
"""
_BELOW = """
WITH RECURSIVE up AS (
    SELECT code, parent, 0 AS step FROM areas WHERE code = :code
    UNION SELECT a.code, a.parent, up.step + 1 FROM areas a JOIN up ON a.code = up.parent WHERE up.step < :steps
) SELECT EXISTS (SELECT 1 FROM up WHERE CAST(:tops AS text[]) IS NULL OR code = ANY(CAST(:tops AS text[])))
"""
