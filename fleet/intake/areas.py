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
from fleet.tables.places import at_line, in_column
from fleet.tables.reading import Column, Shape, Source, TableRow, read_table, refuse, text_problem
from protocol.errors import Problem

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
NO_CODE = Problem("1 to 32 letters, digits and hyphens expected", "code_form").within(in_column("code"))


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
        same_code(row.line, lines[row.area.code])
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


def tree_problems(tree: Mapping[str, Area], lines: Mapping[str, int]) -> list[Problem]:
    """Return everything for which areas are no tree of five levels.

    Args:
        tree: all areas by code.
        lines: the line of each that comes from a file; one that is stored is named by its code.
    """
    found: list[Problem] = []
    siblings = Counter((area.parent, area.name) for area in tree.values())
    for code, area in tree.items():
        where = (
            at_line(lines[code]) if code in lines else Problem(f"area {code}, stored before", "stored_area", area=code)
        )
        if siblings[area.parent, area.name] > 1:
            found.append(Problem("another area of this name has the same parent", "same_area_name").within(where))
        if area.parent is None:
            if area.level != 1:
                sentence = f"level {area.level} without a parent; only a province has none"
                found.append(Problem(sentence, "no_parent", level=area.level).within(where))
        elif area.parent not in tree:
            found.append(Problem("no area has the code of its parent", "unknown_parent").within(where))
        elif _is_in_cycle(code, tree):
            found.append(Problem("is its own parent, by way of those above it", "own_parent").within(where))
        elif tree[area.parent].level != area.level - 1:
            above = tree[area.parent].level
            sentence = f"level {area.level} below level {above}"
            found.append(Problem(sentence, "below_level", level=area.level, above=above).within(where))
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


def same_code(line: int, first: int) -> Problem:
    """Say of a line that it has the code of one before it."""
    return Problem(f"same code as line {first}", "same_code", other=at_line(first)).within(at_line(line))


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


def _row(found: TableRow, problems: list[Problem]) -> AreaRow | None:
    line, cells = found.line, found.cells
    wrong: list[Problem] = []
    code, name, parent = cells["code"], " ".join(cells["name"].split()), cells["parent"] or None
    if not _CODE.fullmatch(code):
        wrong.append(NO_CODE)
    if parent is not None and not _CODE.fullmatch(parent):
        wrong.append(Problem("the code of the area above expected", "parent_form").within(in_column("parent")))
    fault = text_problem(name, _MAX_NAME)
    if fault is None and SEPARATOR in name:
        fault = Problem(f"with a {SEPARATOR}, which divides names", "area_slash", mark=SEPARATOR)
    if fault is not None:
        wrong.append(fault.within(in_column("name")))
    level = next((n for n, words in _LEVEL_WORDS.items() if cells["level"].casefold() in words), None)
    if level is None:
        levels = f"1 to {LEVELS} expected (province, city, county, township, community)"
        wrong.append(Problem(levels, "level_form", most=LEVELS).within(in_column("level")))
    problems += [problem.within(at_line(line)) for problem in wrong]
    return None if wrong or level is None or found.faults else AreaRow(line, Area(code, parent, level, name))
