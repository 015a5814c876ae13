"""`lifecert-fleet statistics`: counts, figures of fairness, snapshots and what changed between two."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.app import Fleet
from fleet.clock import day_of
from fleet.commands.shared import CONFIG, AsJson, Config, opened, print_json, say, table
from fleet.statistics.counts import Cut, Question, count, count_then
from fleet.statistics.export import Sheet, as_json, export
from fleet.statistics.fairness import fairness
from fleet.statistics.sheets import fairness_sheets, sheet_of, trend_sheet
from fleet.statistics.snapshots import take_snapshot, trend

app = typer.Typer(help="Counts by area, scheme, state, age, channel, device and day; fairness; snapshots.")
By = Annotated[Cut, typer.Option("--by", help=", ".join(Cut))]
Level = Annotated[
    int, typer.Option("--level", min=1, max=5, help="1 province, 2 city, 3 county, 4 township, 5 community.")
]
SchemeName = Annotated[str | None, typer.Option("--scheme", help="Only people of this scheme.")]
AreaCode = Annotated[str | None, typer.Option("--area", help="Only people of this area and those below it.")]
Out = Annotated[Path | None, typer.Option("--export", help="Write a file: .csv, .xlsx or .json.")]
Since = Annotated[datetime | None, typer.Option("--since", formats=["%Y-%m-%d"], help="First day of the span.")]
AsOf = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="The day; default: today.")]


@app.callback(invoke_without_command=True)
def statistics(
    context: typer.Context,
    by: By = Cut.AREA,
    level: Level = 3,
    scheme: SchemeName = None,
    area: AreaCode = None,
    since: Since = None,
    as_of: AsOf = None,
    out: Out = None,
    config: Config = CONFIG,
    as_json_: AsJson = False,
) -> None:
    """Count people by state, with the share of those due that came; or sessions by device or day.

    A day that is over is read from its snapshot. The span of coverage and sessions begins on 1 January unless --since says otherwise.
    """
    if context.invoked_subcommand is not None:
        return
    with opened(config) as fleet:
        today = _today(fleet)
        day = today if as_of is None else as_of.date()
        question = Question(by, day, date(day.year, 1, 1) if since is None else since.date(), level, scheme, area)
        with fleet.database.begin() as connection:
            is_over = day < today and by not in (Cut.DEVICE, Cut.DAY)
            answer = (
                count_then(connection, question) if is_over else count(connection, question, zone=fleet.settings.zone())
            )
        _give([sheet_of(answer)], out, is_json=as_json_)


@app.command("fairness")
def show_fairness(
    since: Since = None,
    as_of: AsOf = None,
    level: Level = 3,
    scheme: SchemeName = None,
    out: Out = None,
    config: Config = CONFIG,
    as_json_: AsJson = False,
) -> None:
    """Show how often sessions fail or are broken off, by age band, sex, region and device, with 95 % intervals."""
    with opened(config) as fleet:
        last = _today(fleet) if as_of is None else as_of.date()
        first = date(last.year, 1, 1) if since is None else since.date()
        with fleet.database.begin() as connection:
            found = fairness(
                connection,
                first,
                last,
                level=level,
                least=fleet.settings.statistics.min_cell,
                scheme=scheme,
                zone=fleet.settings.zone(),
            )
        _give(fairness_sheets(found), out, is_json=as_json_)


@app.command("snapshot")
def snapshot(config: Config = CONFIG, as_json_: AsJson = False) -> None:
    """Store today's counts by area, scheme and state; `serve` does it every night, and once a day is enough."""
    with opened(config) as fleet:
        keep = fleet.settings.statistics.snapshot_days
        is_new = take_snapshot(fleet.database, keep_days=keep, zone=fleet.settings.zone(), now=fleet.clock())
        today = _today(fleet)
    if as_json_:
        print_json({"day": str(today), "new": is_new})
    else:
        say(f"snapshot of {today} {'taken' if is_new else 'was there'}")


@app.command("trend")
def show_trend(
    first: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="A day of which there is a snapshot.")],
    last: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="A later one.")],
    by: By = Cut.AREA,
    level: Level = 3,
    scheme: SchemeName = None,
    area: AreaCode = None,
    out: Out = None,
    config: Config = CONFIG,
    as_json_: AsJson = False,
) -> None:
    """Show how the counts of two days differ, from their snapshots."""
    with opened(config) as fleet:
        then = Question(by, first.date(), first.date(), level, scheme, area)
        now = replace(then, as_of=last.date(), since=last.date())
        with fleet.database.begin() as connection:
            changes = trend(connection, then, now)
    _give([trend_sheet(changes)], out, is_json=as_json_)


def _today(fleet: Fleet) -> date:
    return day_of(fleet.clock(), fleet.settings.zone())


def _give(sheets: list[Sheet], out: Path | None, *, is_json: bool) -> None:
    if out is not None:
        export(out, sheets)
        say(f"written to {out}")
    if is_json:
        found: dict[str, Any] = as_json(sheets)
        print_json(found)
    elif out is None:
        for sheet in sheets:
            shown = table(*sheet.heading)
            for row in sheet.rows:
                shown.add_row(*("" if cell is None else escape(str(cell)) for cell in row))
            Terminal().print(shown)
