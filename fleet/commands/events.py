"""`lifecert-fleet events`: what happened at terminals."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.commands.shared import CONFIG, AsJson, Config, opened, print_json, table
from fleet.store.events import event_lines

_MOST_LISTED = 1000


def events(
    terminal: Annotated[str | None, typer.Option("--terminal", help="Only of this terminal.")] = None,
    since: Annotated[
        datetime | None, typer.Option("--since", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="Only from then on.")
    ] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """List events of terminals, the newest first."""
    with opened(config) as fleet:
        zone = fleet.settings.zone()
        with fleet.database.begin() as connection:
            found = event_lines(
                connection,
                limit=_MOST_LISTED,
                terminal_id=terminal,
                since=None if since is None else since.replace(tzinfo=zone),
            )
    rows = [
        {
            "at": f"{(line.earliest or line.latest).astimezone(zone):%Y-%m-%d %H:%M:%S}",
            "terminal_id": line.terminal_id,
            "counter": line.counter,
            "kind": line.kind,
            "detail": " ".join(f"{name}={value}" for name, value in sorted(line.detail.items())),
            "operator": line.operator or "",
            "received": f"{line.received_at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            "flags": ", ".join(line.flags),
        }
        for line in found
    ]
    if as_json:
        print_json({"events": rows})
        return
    shown = table("at", "terminal", "counter", "event", "detail", "operator", "received", "flags")
    for row in rows:
        shown.add_row(*(escape(str(cell)) for cell in row.values()))
    Terminal().print(shown)
