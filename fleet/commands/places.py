"""`lifecert-fleet places`: the places that operators choose from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fleet.audit.log import UNNAMED
from fleet.commands.shared import CONFIG, AsJson, By, Config, opened, print_json, say
from fleet.intake.places import import_places, read_places

app = typer.Typer(help="Places: villages, streets and homes that a visit can be at.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Places: villages, streets and homes that a visit can be at."""


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV (UTF-8 or GB18030) or XLSX with a heading line: code, name, area.")],
    by: By = UNNAMED,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Import places; those that are there are brought up to date. All or nothing."""
    with opened(config) as fleet:
        places = read_places(file)
        done = import_places(fleet.database, fleet.keys, places, by=by, now=fleet.clock())
        if as_json:
            print_json(asdict(done))
        else:
            say(f"{len(places)} places: {done.new} new, {done.changed} changed, {done.unchanged} unchanged")
