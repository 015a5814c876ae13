"""`lifecert-fleet operator`: who may sign in on terminals."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.audit.log import UNNAMED
from fleet.clock import day_of
from fleet.commands.shared import CONFIG, EXIT_USAGE, AsJson, By, Config, fail, noted, opened, print_json, say, table
from fleet.staff import registry
from fleet.staff.registry import Given
from fleet.store.operators import all_operators
from protocol.rules.days import add_months
from protocol.staff import Role

_VALID_MONTHS = 12
"""How long an operator is in service unless somebody says otherwise: the list of operators is looked through once a year."""

app = typer.Typer(
    help="Operators: who may sign in on terminals, and what they may do there.",
    no_args_is_help=True,
)
PinFromStdin = Annotated[
    bool,
    typer.Option(
        "--pin-from-stdin", help="Take the PIN from the first line of input; without it one is made and printed."
    ),
]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="As it is shown to whoever has signed in.")],
    role: Annotated[list[Role], typer.Option("--role", help="What the operator may do; may be given several times.")],
    area: Annotated[str, typer.Option("--area", help="Whose terminals, with all parts of it; empty for all.")],
    operator_id: Annotated[
        str | None, typer.Option("--id", help="The agency's own id of the operator; without it a random one.")
    ] = None,
    valid_until: Annotated[
        datetime | None, typer.Option("--valid-until", formats=["%Y-%m-%d"], help="Last day; a year without it.")
    ] = None,
    pin_from_stdin: PinFromStdin = False,
    code_png: Annotated[
        Path | None, typer.Option("--code-png", help="Make an operator code, too, and write its QR code here.")
    ] = None,
    by: By = UNNAMED,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Add an operator and have the terminals of the area told. PIN and code are given here once and can be shown by nobody again."""
    if code_png is not None and code_png.exists():
        fail(f"{code_png}: exists already; a code is never written over another file", EXIT_USAGE)
    with opened(config) as fleet:
        now = fleet.clock()
        today = day_of(now, fleet.settings.zone())
        given = registry.add_operator(
            fleet.database,
            fleet.keys,
            name,
            roles=role,
            area=area,
            valid_until=add_months(today, _VALID_MONTHS) if valid_until is None else valid_until.date(),
            now=now,
            operator_id=operator_id,
            pin=_pin() if pin_from_stdin else None,
            with_code=code_png is not None,
            by=by,
        )
        # Before anything else can fail: the PIN is nowhere else.
        _show(given, as_json=as_json, done="is added; the terminals get their lists anew")
        if given.code is not None and code_png is not None:
            # Loaded here, because the other commands need no pictures.
            from fleet.references.card_picture import card_code, save_code

            save_code(card_code(given.code.text()), code_png)


@app.command("list")
def list_operators(by: By = UNNAMED, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List all operators, in service or not."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            found = all_operators(connection)
            noted(fleet, connection, by, "operators.listed", "operators", "all", rows=len(found))
        today = day_of(fleet.clock(), fleet.settings.zone())
        rows: list[dict[str, Any]] = [
            {
                "operator_id": known.operator_id,
                "name": fleet.keys.cipher.decrypt(
                    known.name_sealed, subject_id=known.operator_id, field_name="operator"
                ),
                "roles": [role.value for role in known.roles],
                "area": known.area,
                "has_pin": known.pin_sealed is not None,
                "has_code": known.code_sha256 is not None,
                "valid_until": known.valid_until.isoformat(),
                "state": _state(known.retired_at, known.valid_until, today),
            }
            for known in found
        ]
    if as_json:
        print_json({"operators": rows})
        return
    shown = table("id", "name", "roles", "area", "signs in by", "valid until", "state")
    for row in rows:
        ways = [way for way, has in (("PIN", row["has_pin"]), ("code", row["has_code"])) if has]
        cells = (row["operator_id"], row["name"], ", ".join(row["roles"]), row["area"] or "all", ", ".join(ways))
        shown.add_row(*(escape(str(cell)) for cell in (*cells, row["valid_until"], row["state"])))
    Terminal().print(shown)


@app.command("retire")
def retire(
    operator_id: Annotated[str, typer.Argument(metavar="ID")], by: By = UNNAMED, config: Config = CONFIG
) -> None:
    """Take an operator out of service; terminals in touch learn it at once, the others lose their list within a month."""
    with opened(config) as fleet:
        registry.retire_operator(fleet.database, fleet.keys, operator_id, by=by, now=fleet.clock())
        say(f"operator {operator_id} is retired; what he does on a terminal that has not heard of it does not count")


@app.command("new-pin")
def new_pin(
    operator_id: Annotated[str, typer.Argument(metavar="ID")],
    pin_from_stdin: PinFromStdin = False,
    by: By = UNNAMED,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Give an operator another PIN."""
    with opened(config) as fleet:
        given = registry.new_pin(
            fleet.database,
            fleet.keys,
            operator_id,
            pin=_pin() if pin_from_stdin else None,
            by=by,
            now=fleet.clock(),
        )
        _show(given, as_json=as_json, done="has a new PIN; the terminals get their lists anew")


def _show(given: Given, *, as_json: bool, done: str) -> None:
    if as_json:
        print_json({"operator_id": given.operator_id, "pin": given.pin})
        return
    if given.pin is not None:
        typer.echo(f"operator {given.operator_id} PIN {given.pin}")
    say(f"operator {given.operator_id} {done}")


def _pin() -> str:
    return sys.stdin.readline().strip()


def _state(retired_at: datetime | None, valid_until: date, today: date) -> str:
    if retired_at is not None:
        return "retired"
    return "expired" if valid_until < today else "in service"
