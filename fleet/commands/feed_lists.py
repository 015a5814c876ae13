"""Further commands of `lifecert-fleet feeds`: what follows from what was delivered."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.app import after_reports, look_at_reports_since
from fleet.clock import day_of
from fleet.commands.shared import CONFIG, AsJson, Config, opened, print_json, say, table
from fleet.exchange.cycles import parse_month
from fleet.exchange.effects import settle_all
from fleet.exchange.lists import loss_list, overdue_compared, people_abroad, register_checks
from fleet.exchange.resolving import Keep, open_contradictions, resolve
from fleet.exchange.results_csv import export_results
from fleet.status.contradictions import Contradiction, Side
from protocol.rules.days import first_of_month

_By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]
_Period = Annotated[str, typer.Option("--period", help="The month, like 2026-10.")]


def register(app: typer.Typer) -> None:
    """Add these commands to those of feeds."""
    app.command("contradictions")(list_contradictions)
    app.command("resolve")(resolve_contradiction)
    app.command("losses")(list_losses)
    app.command("abroad")(list_abroad)
    app.command("register-check")(check_register)
    app.command("compare")(compare_overdue)
    app.command("export")(export)
    app.command("settle")(settle)


def list_contradictions(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List what cannot both be so, until a person decides."""
    with opened(config) as fleet, fleet.database.begin() as connection:
        found = open_contradictions(connection)
    if as_json:
        print_json({"contradictions": [_contradiction(each) for each in found]})
        return
    shown = table("contradiction", "subject", "kind", "first", "second", "since")
    for each in found:
        cells = (each.subject_id, each.kind, _side(each.first), _side(each.second), each.since.isoformat())
        shown.add_row(each.contradiction_id, *(escape(cell) for cell in cells))
    Terminal().print(shown)


def resolve_contradiction(
    contradiction_id: Annotated[str, typer.Argument(metavar="CONTRADICTION_ID")],
    keep: Annotated[Keep, typer.Option("--keep", help="The side that is kept; the other is withdrawn. Or both.")],
    by: _By,
    reason: Annotated[str, typer.Option("--reason", help="Why, recorded as well.")],
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Decide a contradiction. What withdraws a death waits for a second person."""
    with opened(config) as fleet:
        now = fleet.clock()
        done = resolve(
            fleet.database,
            fleet.keys,
            contradiction_id,
            keep,
            name=by,
            reason=reason,
            judging=after_reports(fleet, now),
            now=now,
            zone=fleet.settings.zone(),
        )
        look_at_reports_since(fleet, now)
    if as_json:
        print_json(asdict(done))
    elif not done.is_done:
        say(f"contradiction {contradiction_id}: noted; a second person has to decide the same")
    else:
        said = "both sides are kept" if done.withdrawn is None else f"{done.withdrawn} is withdrawn"
        say(f"contradiction {contradiction_id} is resolved: {said}")
        if done.is_case_closed:
            say("the live pass that the report held up counts; its `benefits i-am-here` case is closed with it")


def list_losses(period: _Period, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List the confirmed losses of a month, and from which month on nothing is paid."""
    with opened(config) as fleet:
        begins = parse_month(period)
        with fleet.database.begin() as connection:
            found = loss_list(connection, begins, first_of_month(begins, 1), zone=fleet.settings.zone())
    rows = [
        {
            "subject_id": subject_id,
            "kind": loss.kind.value,
            "since": loss.since.isoformat(),
            "until": None if loss.until is None else loss.until.isoformat(),
            "first_unpaid_month": f"{loss.first_unpaid:%Y-%m}",
        }
        for subject_id, loss in found
    ]
    _print("losses", rows, as_json=as_json)


def list_abroad(
    everybody: Annotated[bool, typer.Option("--all", help="Also who does not need the form yet.")] = False,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """List people abroad who need the form for people abroad."""
    with opened(config) as fleet:
        today = day_of(fleet.clock(), fleet.settings.zone())
        with fleet.database.begin() as connection:
            found = people_abroad(connection, form_days=fleet.settings.exchange.form_days, today=today)
    rows = [
        {
            "subject_id": each.subject_id,
            "abroad_since": each.since.isoformat(),
            "due": each.due.isoformat(),
            "needs_form": each.needs_form,
        }
        for each in found
        if everybody or each.needs_form
    ]
    _print("abroad", rows, as_json=as_json)


def check_register(
    area: Annotated[str, typer.Option("--area", help="Code of the area, with all below it.")],
    everybody: Annotated[bool, typer.Option("--all", help="Also who is in the register.")] = False,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """List the people of an area beside the household register: whose registration ended, and who is still to be checked."""
    with opened(config) as fleet, fleet.database.begin() as connection:
        found = register_checks(connection, area)
    rows = [
        {
            "subject_id": each.state.subject_id,
            "finding": each.finding,
            "checked_on": None if each.state.checked_on is None else each.state.checked_on.isoformat(),
            "last_certified": None if each.state.last_certified is None else each.state.last_certified.isoformat(),
            "due": each.state.due.isoformat(),
            "declaration": each.declaration,
        }
        for each in found
        if everybody or each.finding != "registered"
    ]
    _print("people", rows, as_json=as_json)


def compare_overdue(
    area: Annotated[str, typer.Option("--area", help="Code of the area, with all below it.")],
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """List who did not come in time where the rules ask the data first, with what the data of other bodies say."""
    with opened(config) as fleet:
        zone = fleet.settings.zone()
        with fleet.database.begin() as connection:
            found = overdue_compared(connection, area, zone=zone, today=day_of(fleet.clock(), zone))
    rows = [
        {
            "subject_id": each.subject_id,
            "pack": each.pack_id,
            "overdue": each.overdue.isoformat(),
            "finding": each.finding.value,
        }
        for each in found
    ]
    _print("people", rows, as_json=as_json)


def export(
    period: _Period,
    out: Annotated[Path, typer.Option("--out", help="CSV file to write, with names and numbers.")],
    by: _By,
    config: Config = CONFIG,
) -> None:
    """Write the certifications of a month for other bodies; who takes them is written down."""
    with opened(config) as fleet:
        rows = export_results(
            fleet.database,
            fleet.keys,
            parse_month(period),
            out,
            actor=by,
            now=fleet.clock(),
            zone=fleet.settings.zone(),
        )
        say(f"{rows} certifications of {period} written to {out}; delete it when it has been handed over")


def settle(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Work out anew whom data certify: after a rule pack came into force or ended."""
    with opened(config) as fleet:
        done = settle_all(fleet.database, zone=fleet.settings.zone(), now=fleet.clock())
    if as_json:
        print_json(asdict(done))
    else:
        say(f"{done.certified} certified by data, {done.withdrawn} such certifications withdrawn")


def _print(name: str, rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({name: rows})
        return
    if not rows:
        say("nobody")
        return
    shown = table(*rows[0])
    for row in rows:
        shown.add_row(*(escape(_cell(value)) for value in row.values()))
    Terminal().print(shown)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _contradiction(each: Contradiction) -> dict[str, Any]:
    return {
        "contradiction_id": each.contradiction_id,
        "subject_id": each.subject_id,
        "kind": each.kind.value,
        "first": _side_json(each.first),
        "second": _side_json(each.second),
        "since": each.since.isoformat(),
    }


def _side_json(side: Side) -> dict[str, Any]:
    return {
        "ref": side.ref,
        "what": side.what,
        "day": None if side.day is None else side.day.isoformat(),
        "source": side.source,
    }


def _side(side: Side) -> str:
    return f"{side.what} {side.day or ''} ({side.source})"
