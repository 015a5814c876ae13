"""`lifecert-fleet card`: reference cards, their ledger and their keys."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.table import Table

from fleet.app import Fleet
from fleet.audit.log import UNNAMED
from fleet.clock import day_of
from fleet.commands.shared import (
    CONFIG,
    EXIT_USAGE,
    AsJson,
    By,
    Config,
    Yes,
    fail,
    make_sure,
    named,
    opened,
    print_json,
    say,
)
from fleet.references import cards
from fleet.references import enrol as enrolment
from fleet.store import cards as card_store
from protocol.references import CaptureKind, LegalBasis

app = typer.Typer(
    help="Reference cards: a QR code that a person carries, with which a terminal needs neither roster nor network.",
    no_args_is_help=True,
)
_MOST_LISTED = 1000


@app.command("issue")
def issue_card(
    subject: Annotated[str, typer.Argument(help="Subject id or document number; - reads it from input.")],
    png: Annotated[Path | None, typer.Option("--png", help="Write the QR code as a picture.")] = None,
    text: Annotated[bool, typer.Option("--text", help="Print the text of the QR code.")] = False,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", help="Make it of a confirmed photo; neither photo nor features are kept."),
    ] = None,
    legal_basis: Annotated[
        LegalBasis, typer.Option("--legal-basis", help="With --picture: why the card may be made.")
    ] = LegalBasis.CONSENT,
    officer: Annotated[str | None, typer.Option("--officer", help="With --picture: who confirmed the photo.")] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Erase the stored references: only the card has one.")
    ] = False,
    by: By = UNNAMED,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Make a reference card of a stored reference, or of a confirmed photo. The card is nowhere but in what this command gives."""
    if png is None and not text:
        fail("say where the card goes: --png FILE, --text or both", EXIT_USAGE)
    if picture is not None and (officer is None or forget):
        fail("--picture needs --officer NAME and does not go with --forget: nothing is stored", EXIT_USAGE)
    if png is not None and png.exists():
        fail(f"{png}: exists already; a card is never written over another file", EXIT_USAGE)
    # The QR library is loaded here, because the other commands need none.
    from fleet.references.card_picture import card_code, save_code

    with opened(config) as fleet:
        who, now = named(subject), fleet.clock()
        if picture is None:
            issued = cards.issue_from_store(
                fleet.database,
                fleet.keys,
                who,
                fleet_id=fleet.settings.fleet_id,
                forget=forget,
                now=now,
                zone=fleet.settings.zone(),
                by=by,
            )
        else:
            how = enrolment.Enrolment(CaptureKind.PHOTO_CONFIRMED, legal_basis, officer)
            issued = _of_picture(fleet, who, picture, how, by=by, now=now)
        code = card_code(issued.text)
        if png is not None:
            save_code(code, png)
        if as_json:
            print_json(_line(issued, code.version, with_text=text))
            return
        if text:
            typer.echo(issued.text)
        card = issued.card
        say(
            f"card {card.card_id} of subject {card.subject_id}, valid until {card.reference.valid_until}, QR {code.designator}"
        )
        if forget:
            say(f"{issued.forgotten} stored references erased")


@app.command("revoke")
def revoke_card(
    card: Annotated[str, typer.Argument(help="Card id.")], by: By = UNNAMED, config: Config = CONFIG
) -> None:
    """Have a card refused by every terminal that hears of it: a lost one, or at the person's wish."""
    with opened(config) as fleet:
        subject_id = cards.revoke(
            fleet.database, fleet.keys, card, now=fleet.clock(), zone=fleet.settings.zone(), by=by
        )
        say(f"card {card} of subject {subject_id} is revoked")


@app.command("list")
def list_cards(
    subject: Annotated[
        str | None, typer.Option("--subject", help="Only those of one subject, by id or document number; - reads it.")
    ] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """List the ledger of cards and the card keys, newest first."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            who = None if subject is None else enrolment.find_subject(connection, named(subject), fleet.keys)
            found = card_store.find_cards(connection, who, limit=_MOST_LISTED)
            keys = card_store.keys_in_use(connection)
        if as_json:
            typer.echo(
                json.dumps(
                    {
                        "cards": [asdict(card) for card in found],
                        "keys": [{"key_id": key.key_id, "made_at": key.made_at} for key in keys],
                    },
                    default=lambda moment: moment.isoformat(),
                )
            )
            return
        in_use = {key.key_id for key in keys}
        _print_cards(found, in_use, today=day_of(fleet.clock(), fleet.settings.zone()), zone=fleet.settings.zone())


@app.command("rotate-key")
def rotate_card_key(by: By = UNNAMED, config: Config = CONFIG) -> None:
    """Make new card keys and send them to every terminal; the first time, too. Cards of older ones stay good."""
    with opened(config) as fleet:
        say(f"card key {cards.rotate_key(fleet.database, fleet.keys, now=fleet.clock(), by=by)} is in use")


@app.command("retire-key")
def retire_card_key(
    key: Annotated[str, typer.Argument(help="Id of the card key.")],
    yes: Yes = False,
    by: By = UNNAMED,
    config: Config = CONFIG,
) -> None:
    """Give card keys up and erase their secret: no card made with them can be opened any more."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            number = card_store.count_valid(connection, key, today=day_of(fleet.clock(), fleet.settings.zone()))
        make_sure(f"{number} cards of key {key} are in use and will not be taken any more.", yes=yes)
        cards.retire_key(fleet.database, fleet.keys, key, now=fleet.clock(), by=by)
        say(f"card key {key} is given up")


def _of_picture(
    fleet: Fleet, who: str, picture: Path, how: enrolment.Enrolment, *, by: str, now: datetime
) -> cards.IssuedCard:
    return cards.issue_from_picture(
        fleet.database,
        fleet.keys,
        who,
        enrolment.features_of_file(picture, fleet.settings),
        how,
        fleet_id=fleet.settings.fleet_id,
        validity_months=fleet.settings.references.validity_months,
        now=now,
        zone=fleet.settings.zone(),
        by=by,
    )


def _line(issued: cards.IssuedCard, qr_version: str | int, *, with_text: bool) -> dict[str, Any]:
    return {
        "card_id": issued.card.card_id,
        "subject_id": issued.card.subject_id,
        "key_id": issued.key_id,
        "valid_until": issued.card.reference.valid_until.isoformat(),
        "qr_version": qr_version,
        "forgotten": issued.forgotten,
        **({"text": issued.text} if with_text else {}),
    }


def _print_cards(found: Sequence[card_store.StoredCard], in_use: set[str], *, today: date, zone: tzinfo) -> None:
    table = Table("card", "subject", "made of", "issued", "valid until", "card key", "state")
    for card in found:
        is_revoked = card.revoked_at is not None or card.subject_id is None
        state = "revoked" if is_revoked else "expired" if card.valid_until < today else "in use"
        table.add_row(
            card.card_id,
            card.subject_id or "",
            card.capture,
            f"{card.issued_at.astimezone(zone):%Y-%m-%d}",
            card.valid_until.isoformat(),
            card.key_id,
            state if card.key_id in in_use else "key given up",
        )
    Terminal().print(table)
