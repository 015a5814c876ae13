"""`lifecert-fleet cases visits`: visits at home, and the file of special persons."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console as Terminal

from fleet.app import Fleet
from fleet.cases import visits
from fleet.cases.opening import Registry
from fleet.cases.visits import VisitRequest
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
from fleet.store import special_persons
from fleet.store.areas import codes_below
from fleet.tables.writing import write_new

app = typer.Typer(
    help="Visits at home: asked for, planned, listed; and who is visited as a rule.", no_args_is_help=True
)
By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]
Person = Annotated[str, typer.Option("--person", help=SUBJECT_HELP)]
Reason = Annotated[
    str, typer.Option("--reason", help="age, bedridden, disability, mental_illness, hospital, distance or round.")
]
Where = Annotated[str, typer.Option("--place", help="Where to go; kept encrypted.")]
AreaCode = Annotated[str | None, typer.Option("--area", help="Only this area and those below it.")]


class Form(StrEnum):
    """What a list is written as."""

    CSV = "csv"
    HTML = "html"


@app.command("request")
def request(
    person: Person, reason: Reason, place: Where, by: By, config: Config = CONFIG, as_json: AsJson = False
) -> None:
    """Ask for a visit to somebody who cannot come (R4-14, R6-7)."""
    with opened(config) as fleet, fleet.database.begin() as connection:
        asked = VisitRequest(find_subject(connection, named(person), fleet.keys), reason, place)
        case_id = visits.request_visit(connection, _office(fleet), asked, by=by, now=fleet.clock())
    _tell([case_id], as_json=as_json)


@app.command("plan")
def plan(
    case_id: Annotated[str, typer.Argument(metavar="CASE_ID")],
    on: Annotated[datetime, typer.Option("--on", formats=["%Y-%m-%d"], help="Day of the visit.")],
    worker: Annotated[str, typer.Option("--worker", help="Number of the operator, or id of the terminal that goes.")],
    by: By,
    config: Config = CONFIG,
) -> None:
    """Say on which day who makes a visit; planning it again replaces the plan."""
    with opened(config) as fleet:
        visits.plan(fleet.database, _office(fleet), case_id, day=on.date(), worker=worker, by=by, now=fleet.clock())
        say(f"case {case_id}: planned for {on.date()}, {worker}")


@app.command("not-met")
def note_not_met(
    case_id: Annotated[str, typer.Argument(metavar="CASE_ID")],
    on: Annotated[datetime, typer.Option("--on", formats=["%Y-%m-%d"], help="Day for which the visit was planned.")],
    note: Annotated[str, typer.Option("--note", help="What was found there; kept encrypted.")],
    by: By,
    config: Config = CONFIG,
) -> None:
    """Write down that somebody went and met nobody; the visit waits for another day."""
    with opened(config) as fleet:
        visits.not_met(fleet.database, _office(fleet), case_id, day=on.date(), note=note, by=by, now=fleet.clock())
        say(f"case {case_id}: nobody was met on {on.date()}; plan it again")


@app.command("list")
def write_list(
    worker: Annotated[str, typer.Option("--worker", help="Number of the operator, or id of the terminal that goes.")],
    on: Annotated[datetime, typer.Option("--on", formats=["%Y-%m-%d"], help="Day of the visits.")],
    out: Annotated[Path, typer.Option("--out", help="File to write; it has names and places in it.")],
    by: By,
    form: Annotated[Form, typer.Option("--form", help="csv, or html for printing.")] = Form.HTML,
    language: Annotated[str, typer.Option("--language", help="zh or en.")] = "zh",
    config: Config = CONFIG,
) -> None:
    """Write the list of a worker's or terminal's visits on a day, by area; that you have it is recorded."""
    if out.exists():
        fail(f"{out}: exists already; a list is never written over another file", EXIT_USAGE)
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            found = visits.visits_of(connection, _office(fleet), worker=worker, day=on.date(), by=by, now=fleet.clock())
            is_csv = form is Form.CSV
            written = visits.as_csv(found, language) if is_csv else visits.as_html(found, language).encode()
        write_new(out, written)
        say(f"{len(found)} visits written to {out}; delete it when they are made")


@app.command("mark")
def mark(
    person: Person,
    reason: Reason,
    place: Where,
    review_on: Annotated[
        datetime,
        typer.Option("--review-on", formats=["%Y-%m-%d"], help="Day on which somebody looks whether it is still so."),
    ],
    by: By,
    config: Config = CONFIG,
) -> None:
    """Put somebody into the file of special persons, who are visited at home as a rule (R6-9)."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            asked = VisitRequest(find_subject(connection, named(person), fleet.keys), reason, place)
            visits.mark(connection, _office(fleet), asked, review_on=review_on.date(), by=by, now=fleet.clock())
        say(f"subject {asked.subject_id}: in the file of special persons until somebody takes them out")


@app.command("unmark")
def unmark(person: Person, by: By, config: Config = CONFIG) -> None:
    """Take somebody out of the file of special persons."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            subject_id = find_subject(connection, named(person), fleet.keys)
            visits.unmark(connection, _office(fleet), subject_id, by=by, now=fleet.clock())
        say(f"subject {subject_id}: no longer in the file of special persons")


@app.command("special")
def special(area: AreaCode = None, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List the file of special persons, those who are to be looked at again first."""
    with opened(config) as fleet, fleet.database.begin() as connection:
        areas = None if area is None else codes_below(connection, area)
        found = special_persons.special_persons(connection, areas=areas)
    rows = [
        {"subject_id": each.subject_id, "reason": each.reason, "review_on": each.review_on.isoformat()}
        for each in found
    ]
    if as_json:
        print_json({"special_persons": rows})
        return
    shown = table("subject", "reason", "review on")
    for row in rows:
        shown.add_row(*row.values())
    Terminal().print(shown)


@app.command("round")
def make_round(
    until: Annotated[
        datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="Whoever is asked to certify by this day.")
    ],
    by: By,
    area: AreaCode = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Ask for a visit to every special person who is to certify by a day and has none coming (R6-9)."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            areas = None if area is None else codes_below(connection, area)
        made = visits.request_round(
            fleet.database, _office(fleet), until=until.date(), areas=areas, by=by, now=fleet.clock()
        )
    _tell(made, as_json=as_json)


def _office(fleet: Fleet) -> Registry:
    return Registry(fleet.keys.cipher, fleet.settings.zone())


def _tell(case_ids: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"cases": case_ids})
        return
    for case_id in case_ids:
        typer.echo(case_id)
    say(f"{len(case_ids)} visits asked for")
