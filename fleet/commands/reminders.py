"""`lifecert-fleet reminders`: who is told what, by which step, and what came of it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.audit.log import note
from fleet.clock import day_of
from fleet.commands.shared import (
    CONFIG,
    EXIT_FAILED,
    EXIT_USAGE,
    SUBJECT_HELP,
    AsJson,
    Config,
    fail,
    opened,
    print_json,
    say,
    table,
    whom,
)
from fleet.reminders.contacts_csv import import_contacts, read_contacts
from fleet.reminders.ladder import prove_steps
from fleet.reminders.lists import Wanted, make_list
from fleet.reminders.planner import plan_reminders
from fleet.reminders.receipts import apply_receipts, read_receipts
from fleet.reminders.results import take_results
from fleet.reminders.sending import Sender
from fleet.reminders.setup import open_channels
from fleet.store import contacts, reminder_deliveries, reminders
from fleet.store.contacts import NewContact

app = typer.Typer(
    help="Reminders: messages, and lists of people to call and to visit, each step with its proof.",
    no_args_is_help=True,
)
By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]


class Language(StrEnum):
    """Languages of lists."""

    ZH = "zh"
    EN = "en"


class Way(StrEnum):
    """Ways by which somebody can be told."""

    SMS = "sms"
    WECHAT = "wechat"
    EMAIL = "email"


@app.command("plan")
def plan(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Put into the outbox what is to be told today. Run it every day; no step is planned twice."""
    with opened(config) as fleet:
        done = plan_reminders(
            fleet.database, fleet.keys, fleet.settings.reminders, zone=fleet.settings.zone(), now=fleet.clock()
        )
        if as_json:
            print_json(asdict(done))
        else:
            say(
                f"{done.planned} steps planned, {done.cancelled} not needed any more,"
                f" {done.unheard} messages given up of which nobody said that they arrived"
            )


@app.command("send")
def send(
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many messages.")] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Send the messages that wait, people with no data first. Can be killed and run again, or run twice at once."""
    with opened(config) as fleet, open_channels(fleet.settings, clock=fleet.clock) as channels:
        zone = fleet.settings.zone()
        sender = Sender(fleet.database, fleet.keys, channels, fleet.settings.reminders, zone=zone, clock=fleet.clock)
        done = sender.send(limit=limit)
        quiet = None if done.quiet_until is None else f"{done.quiet_until.astimezone(zone):%Y-%m-%d %H:%M}"
        if as_json:
            print_json({**asdict(done), "quiet_until": quiet, "codes": dict(done.codes)})
            return
        say(
            f"{done.accepted} accepted, {done.delivered} delivered, {done.failed} failed, {done.later} to be tried again,"
            f" {done.next_channel} go on to another channel, {done.cancelled} not needed any more"
        )
        for code, times in sorted(done.codes.items()):
            say(f"{code}: {times}")
        if done.parts:
            say(f"{done.parts} short messages paid, {done.cost / 100:.2f}")
        if quiet is not None:
            kept = fleet.settings.reminders
            say(
                f"quiet hours from {kept.quiet_from:%H:%M} to {kept.quiet_until:%H:%M}: what waits is sent from {quiet} on,"
                " by the next `reminders send` then"
            )


@app.command("list")
def make(
    by: By,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write the table here; fill it in and read it back.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the page for print here.")] = None,
    area: Annotated[str | None, typer.Option("--area", help="Only people of this area and those below it.")] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="Only people whom this unit manages.")] = None,
    is_again: Annotated[
        bool, typer.Option("--again", help="Those on earlier lists, too, of whom no result came.")
    ] = False,
    language: Annotated[Language, typer.Option("--language")] = Language.ZH,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Write whom to call and to visit, for the staff of a unit or a village. Names and telephones are in it; who asks is written down."""
    if csv is None and html is None:
        fail("nothing to write: give --csv FILE, --html FILE or both", EXIT_USAGE)
    chosen: Literal["zh", "en"] = "zh" if language is Language.ZH else "en"
    with opened(config) as fleet:
        done = make_list(
            fleet.database,
            fleet.keys,
            fleet.settings.reminders,
            Wanted(area, unit, is_again, chosen),
            csv_path=csv,
            html_path=html,
            by=by,
            zone=fleet.settings.zone(),
            now=fleet.clock(),
        )
    if as_json:
        print_json(asdict(done))
    else:
        say(f"list {done.list_id}: {done.people} people; delete the files when the results are in")


@app.command("results")
def results(
    file: Annotated[Path, typer.Argument(help="A list that was filled in: CSV with code, result, worker, day.")],
    by: By,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Read back what came of calls and visits. All or nothing; again without harm."""
    with opened(config) as fleet:
        now, zone = fleet.clock(), fleet.settings.zone()
        done = take_results(fleet.database, fleet.keys, file, by=by, zone=zone, now=now)
        proven = prove_steps(fleet.database, fleet.keys.cipher, now=now, zone=zone)
    if as_json:
        print_json({**asdict(done), "steps": proven})
    else:
        say(
            f"{done.new} results new, {done.unchanged} known, {done.empty} rows without a result,"
            f" {done.phones} new telephone numbers; {proven} steps of proposed stops are proven by them"
        )


@app.command("receipts")
def receipts(
    file: Annotated[
        Path, typer.Argument(help="What the gateway says became of messages: CSV with message_id, state, code.")
    ],
    channel: Annotated[Way, typer.Option("--channel", help="Whose gateway.")] = Way.SMS,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Read delivery receipts from a file, where the gateway does not call back."""
    with opened(config) as fleet:
        found = read_receipts(file)
        done = apply_receipts(fleet.database, channel.value, found, zone=fleet.settings.zone(), now=fleet.clock())
    if as_json:
        print_json(asdict(done))
    else:
        say(
            f"{done.delivered} delivered, {done.failed} failed, {done.repeated} known, {done.unknown} of no message here"
        )
    if done.unknown:
        raise typer.Exit(EXIT_FAILED)


@app.command("contacts")
def take_contacts(
    file: Annotated[Path, typer.Argument(help="CSV or XLSX: document_number, and phone, wechat, email or opt_out.")],
    by: By,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Import where people can be told things, and what they do not want. All or nothing."""
    with opened(config) as fleet:
        found = read_contacts(file, fleet.keys)
        done = import_contacts(fleet.database, fleet.keys, found, by=by, now=fleet.clock())
    if as_json:
        print_json({"people": done.people, **asdict(done)})
        return
    say(f"{done.people} people: {done.new} new, {done.changed} changed, {done.unchanged} known; delete the file")
    for sentence in found.left_out:
        say(sentence)


@app.command("opt-out")
def opt_out(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT_ID", help=SUBJECT_HELP)],
    channel: Annotated[Way, typer.Option("--channel", help="By what they do not want to be told.")],
    by: By,
    is_undone: Annotated[bool, typer.Option("--undo", help="They want it again.")] = False,
    config: Config = CONFIG,
) -> None:
    """Write down that somebody does not want messages of one kind. Calls and visits before a stop are not messages."""
    with opened(config) as fleet:
        now, who = fleet.clock(), whom(fleet, subject)
        with fleet.database.begin() as connection:
            new = NewContact(who, channel.value, None, not is_undone)
            contacts.save_contacts(connection, [new], source="wish", now=now)
            note(
                connection,
                fleet.keys.cipher,
                actor=by,
                action="contacts.opted_in" if is_undone else "contacts.opted_out",
                object_kind="subject",
                object_id=who,
                detail={"channel": channel.value},
                now=now,
            )
        say(f"subject {who}: {'wants' if is_undone else 'does not want'} messages by {channel.value}")


@app.command("steps")
def steps(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT_ID", help=SUBJECT_HELP)],
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show the steps that were taken to reach somebody and are proven."""
    with opened(config) as fleet:
        since, who = day_of(fleet.clock(), fleet.settings.zone()) - timedelta(days=_STEP_DAYS), whom(fleet, subject)
        with fleet.database.begin() as connection:
            found = reminders.steps_proven(connection, who, since)
    rows: list[dict[str, Any]] = [{**asdict(step), "day": str(step.day)} for step in found]
    _show({"steps": rows}, rows, ("step", "day", "outcome", "proof_id"), as_json=as_json)


@app.command("status")
def status(
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="Of steps planned within so many days.")] = 90,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show how many steps stand where, what messages cost, and how many people cannot be reached."""
    with opened(config) as fleet:
        now, zone = fleet.clock(), fleet.settings.zone()
        with fleet.database.begin() as connection:
            found = reminder_deliveries.step_counts(connection, now - timedelta(days=days))
            costs = reminder_deliveries.channel_counts(connection, now - timedelta(days=days))
            reach = contacts.reach(connection, day_of(now, zone))
    kinds = ("kind", "step", "state", "code", "steps")
    rows: list[dict[str, Any]] = [
        {**{name: getattr(row, name) for name in kinds}, "oldest": str(day_of(row.oldest, zone))} for row in found
    ]
    paid: list[dict[str, Any]] = [
        {
            **{name: getattr(row, name) for name in ("channel", "state", "messages")},
            "parts": int(row.parts),
            "cost": int(row.cost) / 100,
        }
        for row in costs
    ]
    if as_json:
        print_json({"steps": rows, "messages": paid, "reach": asdict(reach)})
        return
    _show({}, rows, (*kinds, "oldest"), as_json=False)
    _show({}, paid, ("channel", "state", "messages", "parts", "cost"), as_json=False)
    say(
        f"{reach.asked} people are asked to come; {reach.no_address} of them have no address,"
        f" {reach.doubtful} one at which nobody was found, {reach.opted_out} do not want some kind of message"
    )


def _show(found: dict[str, Any], rows: list[dict[str, Any]], names: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    shown = table(*names)
    for row in rows:
        shown.add_row(*(escape(str(row[name])) for name in names))
    Terminal().print(shown)


_STEP_DAYS = 731
"""Two years: longer than any period."""
