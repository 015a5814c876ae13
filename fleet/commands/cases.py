"""`lifecert-fleet cases`: what operators took in at terminals, and its pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.cases.pictures import open_picture, save_picture
from fleet.commands.shared import CONFIG, EXIT_USAGE, AsJson, Config, fail, opened, print_json, say, table
from fleet.errors import NotFound
from fleet.keys import FieldCipher
from fleet.store import cases
from fleet.store.cases import StoredCase, View
from fleet.store.webhooks import tell_case_answered
from protocol.cases import Photo, PhotoRole

_MOST_LISTED = 1000

app = typer.Typer(help="Cases taken in at terminals, for a person to decide, and their pictures.", no_args_is_help=True)
RecordId = Annotated[str, typer.Argument(metavar="RECORD_ID", help="Id of the case record.")]


@app.command("list")
def list_cases(
    is_open: Annotated[bool, typer.Option("--open", help="Only those that are not closed.")] = False,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """List cases, the newest first."""
    with opened(config) as fleet:
        zone = fleet.settings.zone()
        with fleet.database.begin() as connection:
            found = cases.case_lines(connection, limit=_MOST_LISTED, is_open_only=is_open)
    rows: list[dict[str, Any]] = [
        {
            "record_id": line.record_id,
            "kind": line.kind,
            "reason": line.reason,
            "terminal_id": line.terminal_id,
            "subject_id": line.subject_id,
            "operator": line.operator,
            "opened": f"{line.event_at.astimezone(zone):%Y-%m-%d %H:%M}",
            "pictures": f"{line.pictures} of {line.photos}",
            "state": "open" if line.closed_at is None else "closed",
            "flags": line.flags,
        }
        for line in found
    ]
    if as_json:
        print_json({"cases": rows})
        return
    shown = table("record", "kind", "reason", "terminal", "subject", "operator", "opened", "pictures", "state", "flags")
    for row in rows:
        shown.add_row(
            *(escape(", ".join(cell) if isinstance(cell, list) else str(cell or "")) for cell in row.values())
        )
    Terminal().print(shown)


@app.command("show")
def show_case(record_id: RecordId, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Show one case: what was recorded, the machine's checks of its pictures, and who looked at them."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            found = cases.find_case(connection, record_id)
            views = cases.views_of(connection, record_id)
        if found is None:
            raise NotFound(f"case {record_id}: there is none of this id")
        seen = [_view(view, fleet.keys.cipher, record_id) for view in views]
    if as_json:
        print_json({**_facts(found), "pictures": [_picture(p, found) for p in found.case.photos], "views": seen})
        return
    facts = table("field", "value")
    for name, value in _facts(found).items():
        facts.add_row(name, escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    Terminal().print(facts)
    pictures = table("picture", "here", "size", "check", "passed", "found", "asked")
    for photo in found.case.photos:
        here = "yes" if photo.attachment in found.here else "no"
        first = (photo.role.value, here, f"{photo.width_px} x {photo.height_px}")
        for number, check in enumerate(photo.checks or (None,)):
            start = first if number == 0 else ("", "", "")
            rest = (
                ("", "", "", "")
                if check is None
                else (check.name, "yes" if check.passed else "NO", f"{check.found:g}", f"{check.asked:g}")
            )
            pictures.add_row(*start, *rest)
    Terminal().print(pictures)
    if seen:
        ledger = table("looked at", "by", "why", "at")
        for row in seen:
            ledger.add_row(*(escape(cell) for cell in row.values()))
        Terminal().print(ledger)


@app.command("photo")
def open_photo(
    record_id: RecordId,
    role: Annotated[PhotoRole, typer.Argument(metavar="ROLE", help=", ".join(PhotoRole))],
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
            fleet.database, fleet.keys, record_id, role, reader=reader, reason=reason, now=fleet.clock()
        )
        save_picture(picture, out)
        say(f"picture {role} of case {record_id} written to {out}; delete it when you are done")


@app.command("close")
def close_case(record_id: RecordId, config: Config = CONFIG) -> None:
    """Mark a case closed: its pictures are deleted some time after (settings, `cases.photo_days`)."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            if not cases.close_case(connection, record_id, now=fleet.clock()):
                raise NotFound(f"case {record_id}: none of this id is open")
            tell_case_answered(connection, record_id)
        say(f"case {record_id} is closed; its pictures are deleted in {fleet.settings.cases.photo_days} days")


def _facts(found: StoredCase) -> dict[str, Any]:
    fields = found.case.model_dump(mode="json", exclude={"photos", "reference", "type", "version", "previous"})
    known = {
        "received_at": found.received_at.isoformat(),
        "closed_at": None if found.closed_at is None else found.closed_at.isoformat(),
        "chain": found.chain,
        "flags": found.flags,
        "brings_reference": None if found.case.reference is None else found.case.reference.reference_id,
    }
    return {name: value for name, value in {**fields, **known}.items() if value is not None}


def _picture(photo: Photo, found: StoredCase) -> dict[str, Any]:
    return {**photo.model_dump(mode="json"), "here": photo.attachment in found.here}


def _view(view: View, cipher: FieldCipher, record_id: str) -> dict[str, str]:
    return {
        "role": view.role,
        "reader": cipher.decrypt(view.reader_sealed, subject_id=record_id, field_name="approver"),
        "reason": cipher.decrypt(view.reason_sealed, subject_id=record_id, field_name="view_reason"),
        "viewed_at": view.viewed_at.isoformat(timespec="seconds"),
    }
