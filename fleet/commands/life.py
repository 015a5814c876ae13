"""`lifecert-fleet life`: reports of deaths, disappearances and prison terms that a person takes in, ends or takes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from fleet.app import Fleet, after_reports
from fleet.benefits.reporting import Report, ReportDesk
from fleet.commands.shared import CONFIG, SUBJECT_HELP, AsJson, Config, opened, print_json, say, whom
from protocol.rules.life import LifeEventKind

app = typer.Typer(help="Reports about people's lives, as families, units and villages make them.", no_args_is_help=True)
By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]
EventId = Annotated[str, typer.Argument(metavar="REPORT_ID", help="Id of the report.")]
Why = Annotated[str, typer.Option("--reason", help="Why, recorded encrypted.")]
_DAY = ["%Y-%m-%d"]
_SECOND = "noted; the report is a confirmed one: a second person must say the same"


class Source(StrEnum):
    """Who brought the report."""

    FAMILY = "family"
    UNIT = "unit"
    VILLAGE = "village"


@app.command("report")
def report(
    subject_id: Annotated[str, typer.Argument(metavar="SUBJECT_ID", help=SUBJECT_HELP)],
    kind: Annotated[LifeEventKind, typer.Option("--kind", help="What happened.")],
    since: Annotated[datetime, typer.Option("--since", formats=_DAY, help="On which day it happened or began.")],
    source: Annotated[Source, typer.Option("--source", help="Who brought the report to the agency.")],
    reported_on: Annotated[
        datetime,
        typer.Option("--reported-on", formats=_DAY, help="When the family told the unit, the village or the agency."),
    ],
    by: By,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=_DAY, help="The day on which it was over.")
    ] = None,
    paper: Annotated[
        str | None, typer.Option("--paper", help="Number under which the form (annex 4) is filed.")
    ] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Take in a report, and say whether family and unit were in time (7 and 3 days, or what the rule pack says)."""
    with opened(config) as fleet:
        said = Report(
            whom(fleet, subject_id),
            kind,
            since.date(),
            None if until is None else until.date(),
            source.value,
            reported_on.date(),
            paper,
        )
        with _desk(fleet) as desk:
            taken = desk.take(said, by=by, is_sure=True)
        clocks = taken.clocks
        if as_json:
            print_json(
                {
                    "report_id": taken.event_id,
                    "family_late_days": clocks.family.late_days,
                    "unit_late_days": None if clocks.unit is None else clocks.unit.late_days,
                    "claim_late": taken.is_claim_late,
                    "i_am_here": taken.opened_cases,
                }
            )
            return
        say("this report is here already" if taken.event_id is None else f"report {taken.event_id} is taken in")
        say(f"family: {clocks.family}")
        if clocks.unit is not None:
            say(f"{source}: {clocks.unit}")
        if taken.is_claim_late:
            say("declared after the month of death: see with `benefits recover` what was paid since")
        if taken.opened_cases:
            say("a live pass contradicts it: every stop is frozen until `benefits i-am-here` is decided")


@app.command("over")
def over(
    event_id: EventId,
    on: Annotated[datetime, typer.Option("--on", formats=_DAY, help="The day on which it was over.")],
    by: By,
    reason: Why,
    config: Config = CONFIG,
) -> None:
    """Say that somebody was found, released or registered again."""
    with opened(config) as fleet:
        with _desk(fleet) as desk:
            new_id = desk.end(event_id, on=on.date(), by=by, why=reason)
        say(_SECOND if new_id is None else f"report {event_id} is over; it stands as {new_id}")


@app.command("withdraw")
def withdraw(event_id: EventId, by: By, reason: Why, config: Config = CONFIG) -> None:
    """Take a report back that was wrong."""
    with opened(config) as fleet:
        with _desk(fleet) as desk:
            is_done = desk.withdraw(event_id, by=by, why=reason)
        say(f"report {event_id} is withdrawn" if is_done else _SECOND)


@contextmanager
def _desk(fleet: Fleet) -> Iterator[ReportDesk]:
    now = fleet.clock()
    with fleet.database.begin() as connection:
        yield ReportDesk(
            connection,
            fleet.keys.cipher,
            judging=after_reports(fleet, now),
            now=now,
            zone=fleet.settings.zone(),
        )
