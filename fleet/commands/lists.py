"""`lifecert-fleet lists`: lists as of key dates, lists that units and villages hand in, and lists that go out to them."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.commands.shared import CONFIG, EXIT_USAGE, AsJson, Config, fail, opened, print_json, say, table
from fleet.errors import Refused
from fleet.intake.handed_in import Body, Evidence, HandedIn
from fleet.intake.key_lists import compare_lists
from fleet.intake.outgoing_lists import Format, make_list
from fleet.intake.unit_lists import TO_REPORT, ListLine, approve_list, counted, look, take_in
from fleet.store import approvals, key_lists, unit_lists
from protocol.documents import parse_document

_MOST_LISTED = 1000

app = typer.Typer(
    help="Lists of people: as of a key date, handed in by units and villages, and for them.", no_args_is_help=True
)
ListId = Annotated[str, typer.Argument(metavar="LIST_ID", help="Id of the list.")]
By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]


@app.command("show")
def show(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Show the lists that are kept as of key dates (`import-subjects --as-of`), the newest day first."""
    with opened(config) as fleet, fleet.database.begin() as connection:
        rows = [
            {
                "list_id": found.list_id,
                "name": found.name,
                "as_of": found.as_of.isoformat(),
                "rows": found.rows,
                "taken_at": found.taken_at.isoformat(timespec="seconds"),
                "by": fleet.keys.cipher.decrypt(found.taken_by_sealed, subject_id=found.list_id, field_name="taken_by"),
                "sha256": found.sha256,
            }
            for found in key_lists.lists(connection)
        ]
    _print("lists", rows, as_json=as_json)


@app.command("compare")
def compare(
    earlier: Annotated[str, typer.Argument(metavar="EARLIER", help="Id of a list.")],
    later: Annotated[str, typer.Argument(metavar="LATER", help="Id of another one.")],
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Say who joined, who left and whose region, category or first day changed between two lists, by subject id."""
    with opened(config) as fleet, fleet.database.begin() as connection:
        found = compare_lists(connection, earlier, later)
    rows = [
        {"what": what, "subject_id": subject_id, "scheme": scheme}
        for what, keys in (("joined", found.joined), ("left", found.left), ("changed", found.changed))
        for subject_id, scheme in keys
    ]
    if as_json:
        print_json({**asdict(found)})
        return
    _print("changes", rows, as_json=False)
    say(f"{len(found.joined)} joined, {len(found.left)} left, {len(found.changed)} changed, {found.same} are the same")


@app.command("take-in")
def take_in_list(
    file: Annotated[
        Path, typer.Argument(help="CSV or XLSX: document_number, name; document_kind, document_issuer, verified.")
    ],
    unit: Annotated[
        str, typer.Option("--unit", help="Who hands it in, as benefits name the unit; of a village its area.")
    ],
    handler: Annotated[str, typer.Option("--handler", help="Name of the unit's handler.")],
    handler_document: Annotated[
        str, typer.Option("--handler-document", help="The handler's document number; - reads it from input.")
    ],
    verified_on: Annotated[
        datetime, typer.Option("--verified-on", formats=["%Y-%m-%d"], help="Day on which all were verified.")
    ],
    by: By,
    sealed: Annotated[bool, typer.Option("--sealed", help="The list has the unit's seal.")] = False,
    matches_originals: Annotated[
        bool, typer.Option("--matches-originals", help="与原件相符 stands on the copies.")
    ] = False,
    register_copies: Annotated[
        int, typer.Option("--register-copies", min=0, help="How many copies of household registers came along.")
    ] = 0,
    body: Annotated[Body, typer.Option("--body", help="Who hands it in.")] = Body.UNIT,
    evidence: Annotated[Evidence, typer.Option("--evidence", help="What came along.")] = Evidence.LIST,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Take in a list of verified persons; it certifies them once two persons have approved it. All or nothing.

    A column `verified` (核验结果) says what was found of each person: only who was verified is certified. Without the column everybody is.
    """
    written = sys.stdin.readline().strip() if handler_document == "-" else handler_document
    with opened(config) as fleet:
        papers = HandedIn(
            body=body,
            unit=unit,
            evidence=evidence,
            is_sealed=sealed,
            matches_originals=matches_originals,
            register_copies=register_copies,
            verified_on=verified_on.date(),
            handler=handler,
            handler_document=parse_document(written),
        )
        now, zone = fleet.clock(), fleet.settings.zone()
        list_id, lines = take_in(fleet.database, fleet.keys, file, papers, by=by, now=now, zone=zone)
    _report(list_id, 0, lines, as_json=as_json)


@app.command("look")
def look_at_list(list_id: ListId, by: By, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Show who is on a list that was handed in, with names and results, before you approve it; the look is recorded."""
    with opened(config) as fleet:
        now, zone = fleet.clock(), fleet.settings.zone()
        place, lines = look(fleet.database, fleet.keys, list_id, by=by, now=now, zone=zone)
    _report(list_id, place, lines, as_json=as_json, has_names=True)


@app.command("approve")
def approve(
    list_id: ListId,
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="Why you approve it, recorded as well.")],
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Approve a list that was handed in; the second person's approval certifies everybody whose rules take it."""
    with opened(config) as fleet:
        now, zone = fleet.clock(), fleet.settings.zone()
        place, lines = approve_list(fleet.database, fleet.keys, list_id, by=by, reason=reason, now=now, zone=zone)
    _report(list_id, place, lines, as_json=as_json, has_names=True)


@app.command("handed-in")
def handed_in(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List what units and villages handed in, the newest first."""
    with opened(config) as fleet, fleet.database.begin() as connection:
        rows = [
            {
                "list_id": found.list_id,
                "body": found.body,
                "unit": found.unit,
                "evidence": found.evidence,
                "verified_on": found.verified_on.isoformat(),
                "persons": persons,
                "register_copies": found.register_copies,
                "taken_at": found.taken_at.isoformat(timespec="seconds"),
                "approvals": f"{approved} of {approvals.NEEDED}",
                "state": "waits" if found.decided_at is None else "done",
            }
            for found, persons, approved in unit_lists.unit_lists(connection, limit=_MOST_LISTED)
        ]
    _print("lists", rows, as_json=as_json)


@app.command("make")
def make(
    out: Annotated[Path, typer.Option("--out", help="Where to write it; it shows who people are.")],
    by: By,
    unit: Annotated[str | None, typer.Option("--unit", help="For a unit, as benefits name it.")] = None,
    area: Annotated[str | None, typer.Option("--area", help="For an area and all below, by code or name.")] = None,
    kind: Annotated[Format | None, typer.Option("--format", help="Default: by the name of the file.")] = None,
    language: Annotated[str, typer.Option("--language", help="zh or en.")] = "zh",
    config: Config = CONFIG,
) -> None:
    """Write a list of who is to be certified: CSV or XLSX to be filled in and handed in again, HTML to be printed."""
    if (unit is None) == (area is None):
        fail("give exactly one of --unit and --area", EXIT_USAGE)
    if language not in {"zh", "en"}:
        fail(f"--language {language}: zh or en expected", EXIT_USAGE)
    wanted = kind or next((each for each in Format if out.suffix == f".{each}"), None)
    if wanted is None:
        fail(f"{out}: name it .csv, .xlsx or .html, or say --format", EXIT_USAGE)
    if out.exists():
        fail(f"{out}: exists already; a list is never written over another file", EXIT_USAGE)
    with opened(config) as fleet:
        now, zone = fleet.clock(), fleet.settings.zone()
        made = make_list(
            fleet.database,
            fleet.keys,
            unit=unit,
            area=area,
            kind=wanted,
            language=language,
            by=by,
            now=now,
            zone=zone,
        )
        _write(out, made.content)
    say(f"{made.persons} persons are to be certified; the list is in {out}")


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        raise Refused(f"{path}: cannot be written: {error.strerror}") from error


def _report(list_id: str, place: int, lines: list[ListLine], *, as_json: bool, has_names: bool = False) -> None:
    rows = [
        {"line": one.line, "subject_id": one.subject_id}
        | ({"name": one.name} if has_names else {})
        | {"result": one.result.value}
        for one in lines
    ]
    counts = counted(lines)
    if as_json:
        print_json({"list_id": list_id, "approvals": place, "counts": counts, "persons": rows})
        return
    _print("persons", rows, as_json=False)
    waits = (
        "" if place == approvals.NEEDED else "; it waits for approval by two persons (`lifecert-fleet lists approve`)"
    )
    say(f"list {list_id}: {len(rows)} persons, {place} of {approvals.NEEDED} approvals{waits}")
    say(", ".join(f"{many} {result}" for result, many in counts.items()))
    for line in lines:
        if line.result in TO_REPORT:
            say(f"line {line.line}: {line.result}: report it with `lifecert-fleet life report {line.subject_id}`")


def _print(name: str, rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({name: rows})
        return
    if not rows:
        say(f"no {name}")
        return
    shown = table(*rows[0])
    for row in rows:
        shown.add_row(*(escape(str(cell)) for cell in row.values()))
    Terminal().print(shown)
