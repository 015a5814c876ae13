"""`lifecert-fleet rebuild-status` and `quarantine`: what follows from the records, and what was refused of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial

import typer
from rich.console import Console as Terminal
from rich.markup import escape
from rich.table import Table

from fleet.app import settling
from fleet.benefits.files import rebuild_files
from fleet.commands.shared import CONFIG, AsJson, Config, opened, print_json, say
from fleet.status import projection
from fleet.store import quarantine


def rebuild_status(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Work out every certification status anew from the records, and every benefit's file from its events."""
    with opened(config) as fleet:
        total = projection.rebuild(
            fleet.database,
            judging=partial(settling(fleet).judge_anew, now=fleet.clock()),
            zone=fleet.settings.zone(),
            clock=fleet.clock,
        )
        files = rebuild_files(fleet.database)
        if as_json:
            print_json({"statuses": total, "benefit_files": files})
        else:
            say(f"{total} statuses, {files} benefit files")


def show_quarantine(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List what was refused and kept, by sender, kind and reason."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            found = quarantine.counts(connection)
        if as_json:
            # The JSON writer knows no datetime; ISO 8601 is what it writes in its place.
            typer.echo(json.dumps([asdict(line) for line in found], default=lambda moment: moment.isoformat()))
            return
        table = Table("terminal", "registered", "kind", "reason", "messages", "arrivals", "first", "last")
        for line in found:
            first, last = (
                f"{at.astimezone(fleet.settings.zone()):%Y-%m-%d %H:%M}" for at in (line.first_at, line.last_at)
            )
            registered = "yes" if line.known else "no"
            # Senders choose their names: shown as they are, never as markup.
            table.add_row(
                escape(line.terminal_id),
                registered,
                line.kind,
                line.reason,
                str(line.messages),
                str(line.times),
                first,
                last,
            )
        Terminal().print(table)
