"""`lifecert-fleet history`: everything about one person in one order."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.benefits.history import history_of
from fleet.benefits.timeline import Entry
from fleet.commands.benefits import print_standing, standing_facts
from fleet.commands.shared import CONFIG, SUBJECT_HELP, AsJson, Config, opened, print_json, table, whom


def history(
    subject_id: Annotated[str, typer.Argument(metavar="SUBJECT_ID", help=SUBJECT_HELP)],
    by: Annotated[str, typer.Option("--by", help="Your name: who looked is written down.")],
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show a person's history: records, acts, reports, benefits, cases, references, approvals, and where the person stands now."""
    with opened(config) as fleet:
        zone, who = fleet.settings.zone(), whom(fleet, subject_id)
        with fleet.database.begin() as connection:
            found = history_of(connection, fleet.keys.cipher, who, by=by, now=fleet.clock(), zone=zone)
    if as_json:
        print_json(
            {
                "entries": [_facts(entry) for entry in found.entries],
                "now": standing_facts(found.standing, found.repaid),
            }
        )
        return
    shown = table("when", "what", "id", "more")
    for entry in found.entries:
        when = f"{entry.day}" if entry.at is None else f"{entry.at.astimezone(zone):%Y-%m-%d %H:%M}"
        more = "  ".join(
            f"{name}={_said(value)}" for name, value in entry.detail.items() if value not in (None, [], "")
        )
        shown.add_row(when, entry.kind, escape(entry.entry_id), escape(more))
    Terminal().print(shown)
    print_standing(found.standing, found.repaid)


def _facts(entry: Entry) -> dict[str, Any]:
    when = {"day": entry.day.isoformat()} if entry.day is not None else {}
    at = {"at": entry.at.isoformat()} if entry.at is not None else {}
    return {**at, **when, "kind": entry.kind, "id": entry.entry_id, "detail": dict(entry.detail)}


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
