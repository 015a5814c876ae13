"""`lifecert-fleet cases`: what persons decide, how it is listed and shown, and its pictures. Steps of a case stand in `case_steps`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.app import picture_rules
from fleet.cases.deciding import close
from fleet.cases.machine import Kind, State
from fleet.cases.opening import Registry
from fleet.cases.pictures import open_picture
from fleet.cases.views import look_at
from fleet.clock import day_of
from fleet.commands import case_steps, case_visits
from fleet.commands.case_look import print_look, words
from fleet.commands.shared import (
    CONFIG,
    EXIT_USAGE,
    SUBJECT_HELP,
    AsJson,
    Config,
    fail,
    named,
    opened,
    print_json,
    say,
    table,
)
from fleet.references.enrol import find_subject
from fleet.store.case_lists import CaseRow, Wanted, rows_of, waiting_elsewhere
from fleet.tables.writing import write_new

_MOST_LISTED = 1000

app = typer.Typer(
    help="Cases, which persons decide: appeals, special certifications, forms, visits.", no_args_is_help=True
)
case_steps.register(app)
app.add_typer(case_visits.app, name="visits")
CaseId = Annotated[
    str, typer.Argument(metavar="CASE_ID", help="Id of the case; of a terminal's case that of its record.")
]


@app.command("list")
def list_cases(
    is_open: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    kind: Annotated[
        list[Kind] | None, typer.Option("--kind", help="Only of this kind; may be given several times.")
    ] = None,
    state: Annotated[
        list[State] | None, typer.Option("--state", help="Only in this state; may be given several times.")
    ] = None,
    is_late: Annotated[bool, typer.Option("--late", help="Only those whose answer is late (R6-2).")] = False,
    person: Annotated[str | None, typer.Option("--person", help=f"Only of one person. {SUBJECT_HELP}")] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """List cases: attack alarms first, then by the day on which the answer is due; what is over last, the newest first."""
    with opened(config) as fleet:
        zone = fleet.settings.zone()
        today = day_of(fleet.clock(), zone)
        with fleet.database.begin() as connection:
            wanted = Wanted(
                is_open_only=is_open,
                kinds=tuple(kind or ()),
                states=tuple(state or ()),
                due_before=today if is_late else None,
                subject_id=None if person is None else find_subject(connection, named(person), fleet.keys),
            )
            rows = [_line(row, zone, today) for row in rows_of(connection, wanted, limit=_MOST_LISTED)]
            waits = waiting_elsewhere(connection, wanted.subject_id)
    if as_json:
        print_json({"cases": rows, "elsewhere": asdict(waits)})
        return
    shown = table(*(rows[0] if rows else ("case_id",)))
    for row in rows:
        shown.add_row(*(escape(", ".join(cell) if isinstance(cell, list) else words(cell)) for cell in row.values()))
    Terminal().print(shown)
    if waits.i_am_here:
        say(f"and {waits.i_am_here} live passes against reports wait for two persons: see `benefits i-am-here`")
    if waits.duplicates:
        say(f"and {waits.duplicates} suspected duplicates wait for two persons: see `duplicates list`")


@app.command("show")
def show_case(
    case_id: CaseId,
    by: Annotated[
        str | None,
        typer.Option("--by", help="Your name; with it names and notes are shown, and that you saw them recorded."),
    ] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show one case: what was recorded, the machine's checks of its pictures, its history, and who looked at pictures."""
    with opened(config) as fleet:
        office = Registry(fleet.keys.cipher, fleet.settings.zone())
        kept = picture_rules(fleet.settings).kept
        with fleet.database.begin() as connection:
            found = look_at(connection, office, case_id, by=by, kept=kept, now=fleet.clock())
    if as_json:
        print_json({**found.facts, "pictures": found.pictures, "views": found.views, "history": found.history})
        return
    print_look(found)


@app.command("photo")
def open_photo(
    case_id: CaseId,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="What the picture or scan shows, as `show` names it.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write the picture.")],
    reader: Annotated[str, typer.Option("--reader", help="Your name, recorded as you give it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why you look at it, recorded as well.")],
    config: Config = CONFIG,
) -> None:
    """Open one picture of a case; who looks and why is written down before."""
    if out.exists():
        fail(f"{out}: exists already; a picture is never written over another file", EXIT_USAGE)
    with opened(config) as fleet:
        picture = open_picture(
            fleet.database, fleet.keys, case_id, role, reader=reader, reason=reason, now=fleet.clock()
        )
        write_new(out, picture)
        say(f"picture {role} of case {case_id} written to {out}; delete it when you are done")


@app.command("close")
def close_case(
    case_id: CaseId,
    by: Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")],
    reason: Annotated[str, typer.Option("--reason", help="finished, withdrawn or mistake.")] = "finished",
    config: Config = CONFIG,
) -> None:
    """Mark a case closed, by two persons if it was not decided: its pictures are deleted after `cases.photo_days`."""
    with opened(config) as fleet:
        office = Registry(fleet.keys.cipher, fleet.settings.zone())
        case = close(fleet.database, office, case_id, by=by, reason=reason, now=fleet.clock())
        if case.state is not State.CLOSED:
            say(f"case {case_id} is not decided: it is closed once a second person says the same")
            return
        kept = fleet.settings.cases.photo_days
        say(f"case {case_id} is closed; its pictures are deleted {kept} days after it was decided or closed")


def _line(row: CaseRow, zone: tzinfo, today: date) -> dict[str, Any]:
    is_over = row.state in (State.PASSED, State.REFUSED, State.CLOSED)
    return {
        "number": row.number,
        "case_id": row.case_id,
        "kind": row.kind,
        "reason": row.reason,
        "terminal_id": row.terminal_id,
        "subject_id": row.subject_id,
        "operator": row.operator,
        "opened": _written(row.asked_at, zone),
        "due_on": row.due_on.isoformat(),
        "late": not is_over and row.due_on < today,
        "pictures": f"{row.pictures_here} of {row.pictures}",
        "state": row.state,
        "planned": None if row.planned_on is None else f"{row.planned_on} {row.planned_for}",
        "flags": row.flags,
    }


def _written(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"
