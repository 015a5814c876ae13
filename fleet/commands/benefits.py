"""`lifecert-fleet benefits`: stops are proposed, stepped through, approved, carried out, and undone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.app import Fleet, after_reports
from fleet.audit.log import UNNAMED
from fleet.benefits import due
from fleet.benefits.events import LadderStep, RestoreReason, StepOutcome, StopEffect, StopReason
from fleet.benefits.files import repaid_stops
from fleet.benefits.guard import StopGuard
from fleet.benefits.machine import BenefitState
from fleet.benefits.months import RepaidStop
from fleet.benefits.standing import PersonStanding, status_of_person
from fleet.clock import day_of
from fleet.commands import shared
from fleet.commands.shared import (
    CONFIG,
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
from fleet.reminders.ladder import prove_steps
from fleet.store import benefits
from protocol.rules.days import FOREVER

_MOST_LISTED = 1000
_NOTHING_ASKED = "nothing is asked any more"
_STOPPED = [state.value for state in BenefitState if state is not BenefitState.PAYING]

app = typer.Typer(help="Benefits: stops with ladder and two persons, and the way back.", no_args_is_help=True)
StopId = Annotated[str, typer.Argument(metavar="STOP_ID", help="Id of the proposed stop.")]
SubjectId = Annotated[str, typer.Argument(metavar="SUBJECT_ID", help=SUBJECT_HELP)]
Scheme = Annotated[str, typer.Option("--scheme", help="Scheme of the benefit, as in the list of people.")]
By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]
Why = Annotated[str, typer.Option("--reason", help="Why, recorded encrypted.")]
Day = Annotated[datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="When; today without it.")]
FromMonth = Annotated[datetime | None, typer.Option("--from-month", formats=["%Y-%m"], help="The month, as 2026-12.")]


Repaid = Mapping[str, Sequence[RepaidStop]]
"""By scheme: the stops after which payment went on."""


@app.command("propose")
def propose(
    subject_id: Annotated[
        str | None,
        typer.Option("--subject", help="Propose one stop by hand, of this subject; id or document number, - reads it."),
    ] = None,
    scheme: Annotated[str, typer.Option("--scheme", help="Scheme of the benefit.")] = "",
    because: Annotated[StopReason, typer.Option("--because", help="By hand: why.")] = StopReason.OTHER_BY_LAW,
    effect: Annotated[StopEffect, typer.Option("--effect", help="By hand: pause or end.")] = StopEffect.PAUSE,
    from_month: FromMonth = None,
    by: Annotated[str, typer.Option("--by", help="By hand: your name, recorded as you give it.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="By hand: on what it rests, recorded encrypted.")] = "",
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Propose every stop that is due by the rule packs and by confirmed reports; with --subject one by hand. Nothing stops by it."""
    with opened(config) as fleet:
        if subject_id is None:
            now = fleet.clock()
            found = due.propose_due_stops(
                fleet.database,
                fleet.keys.cipher,
                judging=after_reports(fleet, now),
                now=now,
                zone=fleet.settings.zone(),
            )
            # What reminders have proven of the new stops as of the old ones.
            proven = prove_steps(fleet.database, fleet.keys.cipher, now=now, zone=fleet.settings.zone())
            counts = {**asdict(found), "steps": proven}
            if as_json:
                print_json(counts)
            else:
                say(
                    f"{found.overdue} stops proposed because nobody came, {found.losses} by confirmed reports;"
                    f" {found.withdrawn} proposals taken back; {found.recoveries} recoveries opened;"
                    f" {found.cases} frozen because a pass contradicts the report;"
                    f" {proven} steps of ladders proven by reminders"
                )
            return
        if from_month is None or not by or not reason:
            fail("by hand a stop needs --from-month, --by and --reason", EXIT_USAGE)
        who = whom(fleet, subject_id)
        with _guard(fleet) as guard:
            stop_id = guard.propose(
                who, scheme, reason=because, effect=effect, from_month=from_month.date(), by=by, why=reason
            )
        if as_json:
            print_json({"stop_id": stop_id})
        else:
            say(f"stop {stop_id} is proposed; next: message, call and visit, each with its proof, then two approvals")


@app.command("list")
def list_benefits(
    states: Annotated[
        list[BenefitState] | None, typer.Option("--state", help="Only these; without it all that are not simply paid.")
    ] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """List benefits with a stop that is proposed or carried out, the oldest proposal first."""
    wanted = _STOPPED if not states else [state.value for state in states]
    with opened(config) as fleet, fleet.database.begin() as connection:
        today = day_of(fleet.clock(), fleet.settings.zone())
        found = benefits.files_in(connection, wanted, today=today, limit=_MOST_LISTED)
    rows = [
        {
            "subject_id": file.subject_id,
            "scheme": file.scheme,
            "state": file.state,
            "stop_id": file.stop_id,
            "reason": file.reason,
            "from_month": None if file.from_month is None else f"{file.from_month:%Y-%m}",
            "stopped_from": None if file.stopped_from is None else f"{file.stopped_from:%Y-%m}",
            "missing": file.missing,
            "approvals": file.approvals,
            "frozen_by": file.frozen_by,
        }
        for file in found
    ]
    if as_json:
        print_json({"benefits": rows})
        return
    shown = table(
        "subject", "scheme", "state", "stop", "because", "from", "unpaid from", "missing", "approvals", "frozen by"
    )
    for row in rows:
        shown.add_row(*(escape(_cell(cell)) for cell in row.values()))
    Terminal().print(shown)


@app.command("show")
def show(subject_id: SubjectId, by: shared.By = UNNAMED, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Show where somebody stands today: by every rule pack, and with every benefit."""
    with opened(config) as fleet:
        who = whom(fleet, subject_id)
        with fleet.database.begin() as connection:
            found = status_of_person(connection, who, day_of(fleet.clock(), fleet.settings.zone()))
            repaid = repaid_stops(connection, who)
            shared.noted(fleet, connection, by, "benefits.viewed", "subject", who)
    if as_json:
        print_json(standing_facts(found, repaid))
        return
    print_standing(found, repaid)


@app.command("step")
def step(
    stop_id: StopId,
    step: Annotated[LadderStep, typer.Option("--step", help="message, call or visit, in this order.")],
    outcome: Annotated[StepOutcome, typer.Option("--outcome", help="reached, not_reached or not_possible.")],
    proof: Annotated[
        str, typer.Option("--proof", help="What proves it; of one not possible, why. Recorded encrypted.")
    ],
    by: By,
    day: Day = None,
    config: Config = CONFIG,
) -> None:
    """Record a step of the ladder with its proof."""
    with opened(config) as fleet:
        when = day_of(fleet.clock(), fleet.settings.zone()) if day is None else day.date()
        with _guard(fleet) as guard:
            file = guard.record_step(stop_id, step, outcome, day=when, by=by, proof=proof)
        _say_next(file.proposal.missing() if file.proposal else ())


@app.command("compare")
def compare(
    stop_id: StopId,
    is_sign_found: Annotated[
        bool, typer.Option("--sign-found/--nothing-found", help="Whether the data show a sign of life.")
    ],
    proof: Annotated[
        str, typer.Option("--proof", help="Which data of which bodies were compared. Recorded encrypted.")
    ],
    by: By,
    day: Day = None,
    config: Config = CONFIG,
) -> None:
    """Record that the data of other bodies were compared, where a pack asks for it before a stop."""
    with opened(config) as fleet:
        when = day_of(fleet.clock(), fleet.settings.zone()) if day is None else day.date()
        with _guard(fleet) as guard:
            file = guard.record_comparison(stop_id, is_sign_found=is_sign_found, day=when, by=by, proof=proof)
        if is_sign_found:
            say("a sign of life was found: withdraw the stop")
        else:
            _say_next(file.proposal.missing() if file.proposal else ())


@app.command("approve")
def approve(stop_id: StopId, by: By, reason: Why, config: Config = CONFIG) -> None:
    """Approve a stop as it stands; two different persons must."""
    with opened(config) as fleet:
        with _guard(fleet) as guard:
            given = guard.approve(stop_id, by=by, why=reason)
        say(f"stop {stop_id}: {given} of 2 persons have approved it")


@app.command("carry-out")
def carry_out(stop_id: StopId, by: By, from_month: FromMonth = None, config: Config = CONFIG) -> None:
    """Stop the payment; without --from-month from the month that was proposed, or the present one where that is later."""
    with opened(config) as fleet:
        with _guard(fleet) as guard:
            file = guard.carry_out(stop_id, by=by, from_month=_month(from_month))
        say(f"the benefit is {file.state.value}; the first unpaid month is {file.stopped_from:%Y-%m}")


@app.command("withdraw")
def withdraw(stop_id: StopId, by: By, reason: Why, config: Config = CONFIG) -> None:
    """Take a proposed stop back."""
    with opened(config) as fleet:
        with _guard(fleet) as guard:
            file = guard.withdraw(stop_id, by=by, why=reason)
        say(f"stop {stop_id} is withdrawn; the benefit is {file.state.value}")


@app.command("restore")
def restore(
    subject_id: SubjectId,
    scheme: Scheme,
    because: Annotated[RestoreReason, typer.Option("--because", help="Why; certified needs one person, the rest two.")],
    by: By,
    reason: Why,
    from_month: FromMonth = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Let payment go on, from the next month or --from-month, and say which months are paid back."""
    with opened(config) as fleet:
        who = whom(fleet, subject_id)
        with _guard(fleet) as guard:
            found = guard.restore(who, scheme, because=because, by=by, why=reason, first_paid_month=_month(from_month))
        months = [f"{month:%Y-%m}" for month in found.paid_back]
        if as_json:
            print_json(
                {
                    "state": found.file.state.value,
                    "paid_back": months,
                    "approvals_missing": found.approvals_missing,
                }
            )
            return
        if found.approvals_missing:
            say("approved; a second person must say the same before payment goes on")
            return
        say(f"the benefit is paid again; {len(months)} months are paid back: {', '.join(months) or 'none'}")


@app.command("freeze")
def freeze(
    subject_id: SubjectId,
    scheme: Scheme,
    case_id: Annotated[str, typer.Option("--case", help="Id of the case that holds the stops up.")],
    by: By,
    reason: Why,
    lift: Annotated[bool, typer.Option("--lift", help="The case no longer holds them up.")] = False,
    config: Config = CONFIG,
) -> None:
    """Let a case hold up every stop of a benefit, or no longer with --lift."""
    with opened(config) as fleet:
        who = whom(fleet, subject_id)
        with _guard(fleet) as guard:
            act = guard.unfreeze if lift else guard.freeze
            file = act(who, scheme, case_id, by=by, why=reason)
        say(f"held up by {len(file.frozen_by)} cases")


def standing_facts(found: PersonStanding, repaid: Repaid) -> dict[str, Any]:
    """Return where somebody stands, for a program."""
    return {
        "subject_id": found.subject_id,
        "state": found.state.value,
        "open_cases": found.open_cases,
        "reasons": [
            {
                "scheme": reason.scheme,
                "pack": f"{reason.pack_id}/{reason.pack_version}",
                "state": reason.state.value,
                "last": None if reason.last_day is None else reason.last_day.isoformat(),
                "opens": _asked(reason.opens),
                "due": _asked(reason.due),
                "stop_from": _asked(reason.stop_from),
            }
            for reason in found.reasons
        ],
        "benefits": [
            {
                "scheme": line.scheme,
                "state": line.state.value,
                "stopped_from": None if line.stopped_from is None else f"{line.stopped_from:%Y-%m}",
                "frozen": line.is_frozen,
                "repaid": [
                    {
                        "unpaid_from": f"{stop.first_unpaid:%Y-%m}",
                        "paid_again_from": f"{stop.paid_again:%Y-%m}",
                        "paid_back": [f"{month:%Y-%m}" for month in stop.paid_back],
                    }
                    for stop in repaid.get(line.scheme, ())
                ],
            }
            for line in found.benefits
        ],
    }


def print_standing(found: PersonStanding, repaid: Repaid) -> None:
    """Print where somebody stands, for a person."""
    facts = standing_facts(found, repaid)
    asked = table("scheme", "pack", "state", "last", "opens", "due", "stop from")
    for reason in facts["reasons"]:
        shown = reason | ({} if reason["due"] else {"due": _NOTHING_ASKED, "opens": "-", "stop_from": "-"})
        asked.add_row(*(escape(_cell(cell)) for cell in shown.values()))
    Terminal().print(asked)
    paid = table("scheme", "benefit", "unpaid from", "frozen")
    for line in facts["benefits"]:
        paid.add_row(*(escape(_cell(cell)) for name, cell in line.items() if name != "repaid"))
    Terminal().print(paid)
    for line in facts["benefits"]:
        for stop in line["repaid"]:
            months = ", ".join(stop["paid_back"]) or "none"
            say(
                f"{line['scheme']} was not paid from {stop['unpaid_from']} and is paid again from {stop['paid_again_from']};"
                f" months paid back: {months}"
            )
    if found.open_cases:
        say(f"{found.open_cases} open cases")


@contextmanager
def _guard(fleet: Fleet) -> Iterator[StopGuard]:
    with fleet.database.begin() as connection:
        yield StopGuard(connection, fleet.keys.cipher, now=fleet.clock(), zone=fleet.settings.zone())


def _month(given: datetime | None) -> date | None:
    return None if given is None else given.date()


def _asked(day: date) -> str | None:
    """Return a day on which something is asked; None if nothing is, as of a benefit that has ended."""
    return None if day == FOREVER else day.isoformat()


def _cell(cell: object) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return ", ".join(map(str, cell)) if isinstance(cell, list) else str("" if cell is None else cell)


def _say_next(missing: tuple[str, ...]) -> None:
    say(f"still missing: {', '.join(missing)}" if missing else "complete: two persons can approve")
