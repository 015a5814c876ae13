"""`lifecert-fleet areas`: the tree of areas, five levels from province to community."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.commands.shared import CONFIG, AsJson, Config, opened, print_json, say, table
from fleet.errors import NotFound
from fleet.intake.area_tree import SEPARATOR, AreaTree
from fleet.intake.areas import import_areas, read_areas
from fleet.store.areas import areas_of, codes_below

app = typer.Typer(help="The tree of areas: province, city, county, township, community.", no_args_is_help=True)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV or XLSX: code, name, level, parent.")],
    by: Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")],
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Take areas in, beside or in place of those of the same code. All or nothing."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            known = areas_of(connection)
        areas = read_areas(file, known)
        zone = fleet.settings.zone()
        done = import_areas(fleet.database, fleet.keys, areas, by=by, now=fleet.clock(), zone=zone)
    counts = {"new": done.new, "changed": done.changed, "unchanged": done.unchanged}
    if as_json:
        print_json(counts)
    else:
        say(f"{len(areas)} areas: " + ", ".join(f"{number} {what}" for what, number in counts.items()))


@app.command("list")
def list_areas(
    below: Annotated[
        str | None, typer.Option("--below", help="Only this area, by code or name, and those in it.")
    ] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """List areas by code, each with the names of those above it."""
    with opened(config) as fleet, fleet.database.begin() as connection:
        areas = areas_of(connection)
        tree = AreaTree(areas)
        if below is not None:
            code, fault = tree.code_of(below)
            if code is None:
                raise NotFound(f"--below: {fault}")
            areas = {each: areas[each] for each in codes_below(connection, code)}
    rows = [
        {"code": code, "level": area.level, "parent": area.parent, "name": SEPARATOR.join(tree.names_down_to(code))}
        for code, area in sorted(areas.items())
    ]
    if as_json:
        print_json({"areas": rows})
        return
    shown = table("code", "level", "parent", "name")
    for row in rows:
        shown.add_row(*(escape("" if cell is None else str(cell)) for cell in row.values()))
    Terminal().print(shown)
