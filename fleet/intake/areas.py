"""Takes the tree of areas in, five levels from province to community (R4-26): all of a file or nothing, and again without harm."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from fleet.audit.log import note
from fleet.clock import day_of
from fleet.intake.area_tree import SEPARATOR
from fleet.keys import FleetKeys
from fleet.status.projection import project, subject_chunks
from fleet.store.areas import LEVELS, Area, areas_of, save_areas
from fleet.store.database import Database
from fleet.tables.reading import Column, Shape, Source, TableRow, read_table, refuse, text_problem

_COLUMNS = {
    "code": Column(("代码", "区划代码", "行政区划代码"), Shape.NUMBER),
    "name": Column(("名称", "区划名称", "地区名称")),
    "level": Column(("级别", "层级")),
    "parent": Column(("上级", "上级代码", "上级区划代码"), Shape.NUMBER),
}
_LEVEL_WORDS = {
    1: ("1", "province", "省", "省级"),
    2: ("2", "city", "市", "市级", "地级"),
    3: ("3", "county", "县", "区", "县级", "区县"),
    4: ("4", "township", "乡", "镇", "街道", "乡镇", "乡级"),
    5: ("5", "community", "village", "社区", "村", "村级"),
}
_CODE = re.compile(r"[0-9A-Za-z-]{1,32}")
_MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class ImportedAreas:
    """What an import did."""

    new: int
    changed: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class AreaRow:
    """One row that can be read."""

    line: int
    area: Area


def read_areas(path: Source, known: Mapping[str, Area]) -> list[Area]:
    """Read a file of areas and check the tree that it makes together with those known.

    Args:
        path: CSV or XLSX: code, name, level (1 to 5 or its word), parent (the code above; empty for a province).
        known: the areas that are stored, by code.

    Raises:
        ImportRefused: with every problem: cycles, missing parents, wrong levels, two of one code or one name.
    """
    table = read_table(path, _COLUMNS)
    problems = list(table.problems)
    rows = [row for found in table.rows if (row := _row(found, problems)) is not None]
    lines: dict[str, int] = {}
    problems += [
        f"line {row.line}: same code as line {lines[row.area.code]}"
        for row in rows
        if lines.setdefault(row.area.code, row.line) != row.line
    ]
    # A tree with rows left out lacks parents that the file has.
    if not problems:
        tree = {**known, **{row.area.code: row.area for row in rows}}
        problems += tree_problems(tree, lines)
    if problems:
        refuse(path, problems)
    return [row.area for row in rows]


def tree_problems(tree: Mapping[str, Area], lines: Mapping[str, int]) -> list[str]:
    """Return everything for which areas are no tree of five levels.

    Args:
        tree: all areas by code.
        lines: the line of each that comes from a file; one that is stored is named by its code.
    """
    found: list[str] = []
    siblings = Counter((area.parent, area.name) for area in tree.values())
    for code, area in tree.items():
        where = f"line {lines[code]}" if code in lines else f"area {code}, stored before"
        if siblings[area.parent, area.name] > 1:
            found.append(f"{where}: another area of this name has the same parent")
        if area.parent is None:
            if area.level != 1:
                found.append(f"{where}: level {area.level} without a parent; only a province has none")
        elif area.parent not in tree:
            found.append(f"{where}: no area has the code of its parent")
        elif _is_in_cycle(code, tree):
            found.append(f"{where}: is its own parent, by way of those above it")
        elif tree[area.parent].level != area.level - 1:
            found.append(f"{where}: level {area.level} below level {tree[area.parent].level}")
    return found


def import_areas(
    database: Database, keys: FleetKeys, areas: list[Area], *, by: str, now: datetime, zone: tzinfo
) -> ImportedAreas:
    """Store areas in one transaction, then work out anew what is asked of everybody: rules hold for areas with all below them.

    Raises:
        DatabaseUnavailable: as any transaction; the same file again goes on from there.
    """
    with database.begin() as connection:
        known = areas_of(connection)
        new = sum(area.code not in known for area in areas)
        changed = sum(area.code in known and known[area.code] != area for area in areas)
        save_areas(connection, sorted(areas, key=lambda area: area.level))
        note(
            connection,
            keys.cipher,
            actor=by,
            action="areas.imported",
            object_kind="areas",
            object_id="tree",
            detail={"new": new, "changed": changed},
            now=now,
        )
    for chunk in subject_chunks(database):
        with database.begin() as connection:
            project(connection, chunk, zone=zone, today=day_of(now, zone))
    return ImportedAreas(new, changed, len(areas) - new - changed)


def _is_in_cycle(code: str, tree: Mapping[str, Area]) -> bool:
    """Say whether the way up leads back; on a way that leads into somebody else's circle, it does not."""
    seen: set[str] = set()
    at = tree[code].parent
    while at is not None and at in tree and at not in seen:
        if at == code:
            return True
        seen.add(at)
        at = tree[at].parent
    return False


def _row(found: TableRow, problems: list[str]) -> AreaRow | None:
    line, cells = found.line, found.cells
    wrong: list[str] = []
    code, name, parent = cells["code"], " ".join(cells["name"].split()), cells["parent"] or None
    if not _CODE.fullmatch(code):
        wrong.append(f"line {line}: code: 1 to 32 letters, digits and hyphens expected")
    if parent is not None and not _CODE.fullmatch(parent):
        wrong.append(f"line {line}: parent: the code of the area above expected")
    fault = text_problem(name, _MAX_NAME)
    if fault is not None or SEPARATOR in name:
        wrong.append(f"line {line}: name: {fault or f'with a {SEPARATOR}, which divides names'}")
    level = next((n for n, words in _LEVEL_WORDS.items() if cells["level"].casefold() in words), None)
    if level is None:
        wrong.append(f"line {line}: level: 1 to {LEVELS} expected (province, city, county, township, community)")
    problems += wrong
    return None if wrong or level is None or found.faults else AreaRow(line, Area(code, parent, level, name))
