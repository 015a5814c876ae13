"""`lifecert-fleet import-subjects`: who is paid, as a list of now or as of a key date."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from fleet.audit.log import UNNAMED
from fleet.clock import day_of
from fleet.commands.shared import CONFIG, EXIT_USAGE, AsJson, Config, fail, opened, print_json, say
from fleet.intake.area_tree import AreaTree
from fleet.intake.key_lists import take_list
from fleet.intake.people_table import read_people
from fleet.intake.subjects import import_people
from fleet.store.areas import areas_of


def import_subjects(
    file: Annotated[Path, typer.Argument(help="CSV (UTF-8 or GB18030) or XLSX with a heading line.")],
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="The list's key date; with --list.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--list", help="Keep it under this name: who was on it on its key date.")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="Your name, recorded as you give it; with --list it must be given.")
    ] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Import people and benefits: document_number, name, area, scheme, category, benefit_start. All or nothing.

    Columns that may be missing: document_kind, document_issuer, phone, unit, managed_by, ended.
    """
    if (as_of is None) != (name is None) or (name is not None and by is None):
        fail("--as-of, --list and --by go together; --by may stand alone", EXIT_USAGE)
    with opened(config) as fleet:
        now, zone = fleet.clock(), fleet.settings.zone()
        with fleet.database.begin() as connection:
            tree = AreaTree(areas_of(connection))
        people = read_people(file, today=day_of(now, zone), areas=tree)
        if as_of is None or name is None or by is None:
            kept, done = None, import_people(fleet.database, fleet.keys, people, by=by or UNNAMED, now=now, zone=zone)
        else:
            day = as_of.date()
            kept, done = take_list(fleet.database, fleet.keys, people, name=name, as_of=day, by=by, now=now, zone=zone)
    for sentence in people.left_out:
        say(f"{file}: {sentence}")
    counts = {"new": done.new, "changed": done.changed, "unchanged": done.unchanged}
    if as_json:
        lines = zip(people.rows, done.subject_ids, strict=True)
        subjects = [{"line": row.line, "subject_id": subject_id} for row, subject_id in lines]
        print_json({**counts, "encoding": people.encoding, "list_id": kept, "subjects": subjects})
    else:
        say(f"{len(people.rows)} rows ({people.encoding}): " + ", ".join(f"{n} {what}" for what, n in counts.items()))
        if kept is not None:
            say(f"kept as list {kept}")
