"""The tree of areas: province, city, county, township, community (R4-26); as SQL."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

LEVELS = 5
MAX_ABOVE = LEVELS - 1


@dataclass(frozen=True, slots=True)
class Area:
    """One area."""

    code: str
    parent: str | None
    level: int
    """1 province, 2 city, 3 county, 4 township, 5 community."""
    name: str


def save_areas(connection: Connection, areas: Sequence[Area]) -> None:
    """Insert or update areas; those above come first."""
    if areas:
        connection.execute(
            text(
                "INSERT INTO areas (code, parent, level, name) VALUES (:code, :parent, :level, :name)"
                " ON CONFLICT (code) DO UPDATE SET parent = EXCLUDED.parent, level = EXCLUDED.level, name = EXCLUDED.name"
            ),
            [{"code": a.code, "parent": a.parent, "level": a.level, "name": a.name} for a in areas],
        )


def codes_of_level(connection: Connection, level: int) -> list[str]:
    """Return the codes of all areas of a level, in order."""
    rows = connection.execute(text("SELECT code FROM areas WHERE level = :level"), {"level": level})
    return sorted(rows.scalars())


def areas_of(connection: Connection) -> dict[str, Area]:
    """Return all areas by code."""
    rows = connection.execute(text("SELECT code, parent, level, name FROM areas"))
    return {row.code: Area(*row) for row in rows}


def has_areas(connection: Connection) -> bool:
    """Return whether there is a tree at all."""
    return connection.execute(text("SELECT 1 FROM areas LIMIT 1")).one_or_none() is not None


def parents_above(connection: Connection, codes: Collection[str]) -> dict[str, str | None]:
    """Return the area above each of these and of all above them; what is not in the tree is left out."""
    rows = connection.execute(
        text(
            "WITH RECURSIVE up AS (SELECT code, parent, 1 AS step FROM areas WHERE code = ANY(:codes)"
            " UNION SELECT a.code, a.parent, up.step + 1 FROM areas a JOIN up ON a.code = up.parent WHERE up.step <= :most)"
            " SELECT code, parent FROM up"
        ),
        {"codes": sorted(codes), "most": MAX_ABOVE},
    )
    return {row.code: row.parent for row in rows}


def codes_below(connection: Connection, code: str) -> list[str]:
    """Return an area's code and those of all below it; of an area that is not in the tree, its own."""
    rows = connection.execute(
        text(
            "WITH RECURSIVE down AS (SELECT CAST(:code AS text) AS code, 1 AS step"
            " UNION SELECT a.code, down.step + 1 FROM areas a JOIN down ON a.parent = down.code WHERE down.step <= :most)"
            " SELECT code FROM down"
        ),
        {"code": code, "most": MAX_ABOVE},
    )
    return list(rows.scalars())


def chain_above(connection: Connection, code: str) -> tuple[Area, ...]:
    """Return an area and all above it, the highest first; of an area that is not in the tree, its code alone, as of the lowest level."""
    rows = connection.execute(
        text(
            "WITH RECURSIVE up AS (SELECT code, parent, level, name FROM areas WHERE code = :code"
            " UNION SELECT a.code, a.parent, a.level, a.name FROM areas a JOIN up ON a.code = up.parent)"
            " SELECT code, parent, level, name FROM up ORDER BY level"
        ),
        {"code": code},
    )
    return tuple(Area(*row) for row in rows) or (Area(code, None, LEVELS, code),)


def codes_called(connection: Connection, typed: str, *, limit: int = 20) -> list[str]:
    """Return the codes of areas with this code or this name."""
    rows = connection.execute(
        text("SELECT code FROM areas WHERE code = :typed OR name = :typed ORDER BY level, code LIMIT :limit"),
        {"typed": typed, "limit": limit},
    )
    return list(rows.scalars())


def area_names(connection: Connection, codes: Collection[str]) -> dict[str, str]:
    """Return what these areas are called, as far as they are in the tree; see `told_apart`."""
    rows = connection.execute(
        text(
            "WITH RECURSIVE up AS (SELECT code, parent, level, name FROM areas WHERE code = ANY(:codes)"
            " UNION SELECT a.code, a.parent, a.level, a.name FROM areas a JOIN up ON a.code = up.parent)"
            " SELECT code, parent, level, name FROM up"
        ),
        {"codes": sorted(codes)},
    )
    known = {row.code: Area(*row) for row in rows}
    shared = connection.execute(
        text("SELECT name FROM areas WHERE name = ANY(:names) GROUP BY name HAVING count(*) > 1"),
        {"names": sorted({area.name for area in known.values()})},
    )
    names = told_apart(known, set(shared.scalars()))
    return {code: names[code] for code in codes if code in names}


def told_apart(areas: Mapping[str, Area], shared: Container[str]) -> dict[str, str]:
    """Return what areas are called, by code: by their names, one whose name another area has, too, after the area that it lies in.

    Args:
        areas: with all above them.
        shared: names of more than one area.
    """

    def told(area: Area) -> str:
        above = areas.get(area.parent or "")
        return f"{told(above)} › {area.name}" if area.name in shared and above is not None else area.name

    return {code: told(area) for code, area in areas.items()}
