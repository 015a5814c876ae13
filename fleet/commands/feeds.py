"""`lifecert-fleet feeds`: what other bodies deliver about people's lives, and what is missing of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.app import look_at_reports_since
from fleet.clock import day_of
from fleet.commands import feed_lists
from fleet.commands.shared import (
    CONFIG,
    EXIT_FAILED,
    EXIT_USAGE,
    AsJson,
    Config,
    fail,
    opened,
    print_json,
    say,
    table,
)
from fleet.errors import ImportRefused
from fleet.exchange import taking_up
from fleet.exchange.cycles import month_text, parse_month
from fleet.exchange.definitions import FeedDefinition, catalogue, read_definition
from fleet.exchange.deliveries import Report, definition_of, take_in, zero_report
from fleet.exchange.delivery_csv import Place, read_delivery
from fleet.exchange.lists import FeedStanding, feed_standings, is_anything_missing
from fleet.store import feeds as store

app = typer.Typer(help="Feeds of life events from other bodies, and what follows from them.", no_args_is_help=True)
feed_lists.register(app)
FeedName = Annotated[str, typer.Argument(metavar="FEED", help="Name of the feed.")]
Period = Annotated[str, typer.Option("--period", help="The month it is for, like 2026-10.")]
By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]
Corrects = Annotated[
    int | None, typer.Option("--corrects", min=0, help="Number of the delivery of this month whose place it takes.")
]
AreaCode = Annotated[str, typer.Option("--area", help="Code of the area that reports, where areas report.")]


@app.command("add")
def add_feed(
    name: FeedName,
    by: By,
    definition: Annotated[
        Path | None, typer.Option("--definition", help="TOML file of a feed of your own; without it a shipped one.")
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="First month that is wanted; this month without it.")
    ] = None,
    due_day: Annotated[
        int | None, typer.Option("--due-day", min=1, max=28, help="Day of the next month by which a month is due.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with your name.")] = "",
    config: Config = CONFIG,
) -> None:
    """Take up a feed, or give one another definition. What it delivered stays."""
    with opened(config) as fleet:
        found = _definition(name, definition)
        if due_day is not None:
            found = found.model_copy(update={"due_day": due_day})
        feed = taking_up.take_up(
            fleet.database,
            fleet.keys,
            name,
            found,
            first=parse_month(first) if first else None,
            by=by,
            reason=reason,
            now=fleet.clock(),
            zone=fleet.settings.zone(),
        )
        say(f"feed {name} is in use from {month_text(feed.first_period)} on")


@app.command("end")
def end_feed(
    name: FeedName,
    by: By,
    last: Annotated[str, typer.Option("--last", help="The last month that is wanted, like 2026-12.")],
    config: Config = CONFIG,
) -> None:
    """Want no more months of a feed; what it delivered stays, and late deliveries are still taken in."""
    with opened(config) as fleet:
        taking_up.end(fleet.database, fleet.keys, name, last=parse_month(last), by=by, now=fleet.clock())
        say(f"feed {name}: {last} is the last month that is wanted")


@app.command("list")
def list_feeds(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List the feeds in use and those that come with the program."""
    with opened(config) as fleet, fleet.database.begin() as connection:
        used = {feed.name: definition_of(connection, feed.name) for feed in store.feeds(connection)}
    known = {**catalogue().feeds, **used}
    rows = [{"name": name, "in_use": name in used, **known[name].model_dump(mode="json")} for name in sorted(known)]
    if as_json:
        print_json({"feeds": rows})
        return
    shown = table("feed", "in use", "title", "body", "kinds", "confirms", "cycle", "due day", "by area")
    for name in sorted(known):
        each = known[name]
        shown.add_row(
            name,
            "yes" if name in used else "no",
            escape(f"{each.title.zh} / {each.title.en}"),
            each.body,
            ", ".join(each.kinds),
            "yes" if each.confirms else "no",
            each.cycle,
            str(each.due_day) if each.cycle == "monthly" else "",
            "" if each.area_level is None else f"level {each.area_level}",
        )
    Terminal().print(shown)


@app.command("import")
def import_delivery(
    name: FeedName,
    file: Annotated[Path, typer.Argument(help="CSV or XLSX with a heading line.")],
    period: Period,
    number: Annotated[int, typer.Option("--number", min=1, max=9999, help="Number of the delivery in its month.")],
    by: By,
    corrects: Corrects = None,
    area: AreaCode = "",
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Take in a delivery: all of it or nothing, and again without harm."""
    with opened(config) as fleet:
        place = Place(parse_month(period), number, corrects, area)
        with fleet.database.begin() as connection:
            definition = definition_of(connection, name)
        read = read_delivery(file, name, definition, place)
        now = fleet.clock()
        done = take_in(
            fleet.database,
            fleet.keys,
            read.delivery,
            actor=by,
            now=now,
            zone=fleet.settings.zone(),
            unknown_days=fleet.settings.exchange.unknown_days,
            places=read.places,
            problems=read.problems,
        )
        look_at_reports_since(fleet, now)
    if as_json:
        print_json(asdict(done))
    else:
        say(_told(done))


@app.command("zero-report")
def report_zero(
    name: FeedName, period: Period, by: By, area: AreaCode = "", corrects: Corrects = None, config: Config = CONFIG
) -> None:
    """Note that there is nothing to report for a month: zero is a report, silence is none."""
    with opened(config) as fleet:
        month = parse_month(period)
        is_new = zero_report(
            fleet.database,
            fleet.keys,
            name,
            month,
            area=area,
            corrects=corrects,
            actor=by,
            now=fleet.clock(),
            zone=fleet.settings.zone(),
        )
        say(f"feed {name}: nothing to report for {period}" + ("" if is_new else "; that was said before"))


@app.command("status")
def show_status(
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if a delivery is not here by its day.")] = False,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show of each feed the last month, when the next is due, and what is missing."""
    with opened(config) as fleet:
        today = day_of(fleet.clock(), fleet.settings.zone())
        with fleet.database.begin() as connection:
            found = feed_standings(connection, today)
    if as_json:
        print_json({"feeds": [_row(each) for each in found]})
    else:
        shown = table("feed", "body", "last", "next is due", "missing", "areas that did not report")
        for each in found:
            shown.add_row(
                each.name,
                each.definition.body,
                "" if each.last is None else month_text(each.last),
                "" if each.due is None else each.due.isoformat(),
                ", ".join(map(month_text, each.missing)),
                "; ".join(
                    f"{month_text(month)}: {escape(', '.join(codes))}"
                    for month, codes in each.missing_areas.items()
                    if codes
                ),
            )
        Terminal().print(shown)
    if is_anything_missing(found):
        late = [each.name for each in found if each.missing]
        say(f"deliveries that are not here by their day: {', '.join(late)}")
        if check:
            raise typer.Exit(EXIT_FAILED)


def _definition(name: str, path: Path | None) -> FeedDefinition:
    if path is None:
        return taking_up.shipped(name)
    taking_up.demand_name(name)
    try:
        raw = path.read_bytes()
    except OSError as error:
        fail(f"{path}: cannot be read: {error.strerror}", EXIT_USAGE)
    try:
        return read_definition(raw)
    except ImportRefused as error:
        raise ImportRefused([problem.at(path) for problem in error.problems]) from error


def _told(done: Report) -> str:
    if done.is_repeated:
        return "this delivery came before; nothing was changed"
    told = (
        f"{done.rows} rows ({done.repeated} repeated): {done.known} about people here, {done.unknown} about others;"
        f" {done.certified} certified by data, {done.withdrawn} such certifications withdrawn"
    )
    if done.names_differ:
        told += (
            f"\n{done.names_differ} rows have another name than the person's and no effect: see feeds contradictions"
        )
    if done.awaits is not None:
        told += (
            f"\nit corrects delivery {done.awaits}, which is not here yet; when it comes, it will count as corrected"
        )
    return told


def _row(each: FeedStanding) -> dict[str, Any]:
    return {
        "name": each.name,
        "body": each.definition.body.value,
        "last": None if each.last is None else month_text(each.last),
        "due": None if each.due is None else each.due.isoformat(),
        "missing": [
            {"period": month_text(month), "areas": list(each.missing_areas.get(month, ()))} for month in each.missing
        ],
    }
