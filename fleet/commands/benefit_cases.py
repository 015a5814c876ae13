"""`lifecert-fleet benefits i-am-here` and `recover`: what people decide about passes against reports, and what is claimed back."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal

from fleet.app import after_reports
from fleet.benefits.events import RecoveryOutcome, RecoveryReason
from fleet.benefits.i_am_here import resolve
from fleet.benefits.months import fine_bounds
from fleet.benefits.recovery import close_recovery, open_recovery
from fleet.benefits.standing import status_of_person
from fleet.clock import day_of
from fleet.commands.benefits import By, Scheme, SubjectId, Why
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
from fleet.exchange.resolving import close_with_case
from fleet.store import i_am_here
from fleet.store.packs import shelf_of

_MOST_LISTED = 1000


def decide(
    subject_id: Annotated[
        str | None, typer.Argument(metavar="SUBJECT_ID", help=f"{SUBJECT_HELP} Without it open ones are listed.")
    ] = None,
    is_alive: Annotated[
        bool | None,
        typer.Option("--alive/--report-stands", help="Which of the two is right; two persons must say the same."),
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why, recorded encrypted.")] = "",
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """List live passes of people reported dead, missing or imprisoned, or decide about one."""
    if subject_id is None:
        _list(config, as_json=as_json)
        return
    if is_alive is None or not by or not reason:
        fail("a decision needs --alive or --report-stands, --by and --reason", EXIT_USAGE)
    with opened(config) as fleet:
        now, zone = fleet.clock(), fleet.settings.zone()
        who = whom(fleet, subject_id)
        with fleet.database.begin() as connection:
            found = resolve(
                connection,
                fleet.keys.cipher,
                who,
                "alive" if is_alive else "report_stands",
                by=by,
                why=reason,
                judging=after_reports(fleet, now),
                now=now,
                zone=zone,
                # Nobody is asked the same a second time by `feeds contradictions`.
                also=lambda connection, case, _: close_with_case(connection, case, now=now),
            )
        if as_json:
            print_json(
                {
                    "case_id": found.case_id,
                    "approvals_missing": found.approvals_missing,
                    "paid_back": {
                        scheme: [f"{month:%Y-%m}" for month in months] for scheme, months in found.paid_back.items()
                    },
                }
            )
        elif found.approvals_missing:
            say(f"case {found.case_id}: noted; a second person must say the same")
        else:
            done = f"{found.withdrawn} reports taken back, the pass counts" if is_alive else "the stop can go on"
            say(f"case {found.case_id} is decided: {done}")
            for scheme, months in found.paid_back.items():
                said = ", ".join(f"{month:%Y-%m}" for month in months)
                say(f"{scheme} is paid again; {len(months)} months are paid back: {said or 'none'}")


def recover(
    subject_id: SubjectId,
    scheme: Scheme,
    because: Annotated[RecoveryReason, typer.Option("--because", help="Why something is claimed back.")],
    by: By,
    reason: Why,
    declared: Annotated[
        list[str] | None,
        typer.Option("--declared", help="With mismatch: what the papers say, as birth_date=1941-01-01."),
    ] = None,
    amount: Annotated[
        str | None, typer.Option("--amount", help="With false_claim: the sum, for the fine's range.")
    ] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Open a recovery, and say which months were paid without entitlement."""
    pairs = [each.partition("=") for each in declared or ()]
    if any(not sign or not name for name, sign, _ in pairs):
        fail("--declared: field=value expected", EXIT_USAGE)
    total = _amount(amount)
    with opened(config) as fleet:
        now, zone, who = fleet.clock(), fleet.settings.zone(), whom(fleet, subject_id)
        with fleet.database.begin() as connection:
            strictest = status_of_person(connection, who, day_of(now, zone)).strictest
            shelf = shelf_of(connection)
            rules = (shelf.find(strictest.pack_id, strictest.pack_version) or shelf.default).recovery
            found = open_recovery(
                connection,
                fleet.keys.cipher,
                who,
                scheme,
                reason=because,
                by=by,
                why=reason,
                declared={name: value for name, _, value in pairs},
                now=now,
                zone=zone,
            )
        months = [f"{month:%Y-%m}" for month in found.overpaid]
        fine = None if total is None else [str(bound) for bound in fine_bounds(total, rules)]
        if as_json:
            print_json(
                {"recovery_id": found.recovery_id, "overpaid": months, "fields": list(found.disagreeing), "fine": fine}
            )
            return
        say(
            f"recovery {found.recovery_id}: {len(months)} months were paid without entitlement: {', '.join(months) or 'none'}"
        )
        if found.disagreeing:
            say(f"what disagrees: {', '.join(found.disagreeing)}")
        if fine is not None:
            say(f"a fine lies between {fine[0]} and {fine[1]}")


def settle(
    recovery_id: Annotated[str, typer.Argument(metavar="RECOVERY_ID", help="Id of the recovery.")],
    outcome: Annotated[RecoveryOutcome, typer.Option("--outcome", help="returned, legal_action (refused) or dropped.")],
    by: By,
    reason: Why,
    config: Config = CONFIG,
) -> None:
    """Say what came of a recovery."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            close_recovery(
                connection,
                fleet.keys.cipher,
                recovery_id,
                outcome=outcome,
                by=by,
                why=reason,
                now=fleet.clock(),
                zone=fleet.settings.zone(),
            )
        say(f"recovery {recovery_id} is closed: {outcome.value}")


def _list(config: Config, *, as_json: bool) -> None:
    with opened(config) as fleet:
        zone = fleet.settings.zone()
        with fleet.database.begin() as connection:
            found = i_am_here.here_cases(connection, is_open_only=True, limit=_MOST_LISTED)
    rows: list[dict[str, Any]] = [
        {
            "case_id": case.case_id,
            "subject_id": case.subject_id,
            "pass_id": case.pass_id,
            "opened": f"{case.opened_at.astimezone(zone):%Y-%m-%d %H:%M}",
            "reports": len(case.event_ids),
        }
        for case in found
    ]
    if as_json:
        print_json({"cases": rows})
        return
    shown = table("case", "subject", "pass", "opened", "reports")
    for row in rows:
        shown.add_row(*map(str, row.values()))
    Terminal().print(shown)


def _amount(given: str | None) -> Decimal | None:
    if given is None:
        return None
    try:
        found = Decimal(given)
    except InvalidOperation:
        fail("--amount: a sum like 1200.50 expected", EXIT_USAGE)
    if not found.is_finite() or found <= 0:
        fail("--amount: a sum above 0 expected", EXIT_USAGE)
    return found
