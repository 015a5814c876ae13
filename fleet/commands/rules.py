"""`lifecert-fleet rules` and `what-if`: the rule packs of the regions, from a draft until they are in force."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.markup import escape
from sqlalchemy import Connection

from fleet.app import Fleet
from fleet.clock import day_of
from fleet.commands.shared import CONFIG, AsJson, Config, opened, print_json, say, table
from fleet.errors import CheckFailed, ImportRefused, NotFound, Refused
from fleet.exchange.effects import settle_all
from fleet.rules import publishing
from fleet.status.projection import reproject_outdated
from fleet.status.trials import note_trial
from fleet.status.what_if import WhatIf, what_if, why_nobody
from fleet.store import approvals, packs
from fleet.store.packs import StoredPack
from fleet.tables.writing import to_csv, write_new
from protocol.errors import ProtocolError
from protocol.keys import PublicJwk
from protocol.registration import FleetIdentity
from protocol.rules.pack import RulePack
from protocol.shipped_packs import SHIPPED, default_pack

app = typer.Typer(help="Rule packs: what a region asks of whom. Two persons put one in force.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="PACK/VERSION", help="Such as LZ-2019/1.")]
Source = Annotated[
    str, typer.Argument(metavar="FILE", help="A pack as TOML, or the id of a shipped one such as LZ-2019.")
]
By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]
SignedBy = Annotated[
    Path | None,
    typer.Option("--signed-by", help="Identity of the other fleet that signed the file; it must be its signature."),
]


@app.command("list")
def list_packs(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List packs in force and proposals, and those that are shipped and not proposed yet."""
    with opened(config) as fleet:
        today = day_of(fleet.clock(), fleet.settings.zone())
        with fleet.database.begin() as connection:
            stored = packs.packs(connection)
            held = {publishing.name_of(pack) for pack in packs.shelf_of(connection).on(today)}
    rows = [_row(each, held) for each in stored]
    if as_json:
        print_json({"packs": rows, "shipped": list(SHIPPED), "default": publishing.name_of(default_pack())})
        return
    shown = table("pack", "title", "region", "from", "until", "cycle", "state")
    for row in rows:
        shown.add_row(*(escape(str(cell or "")) for cell in row.values()))
    Terminal().print(shown)
    known = {each.pack.pack_id for each in stored}
    say(f"shipped and not proposed: {', '.join(name for name in SHIPPED if name not in known) or 'none'}")
    say(f"where no pack in force holds: {publishing.name_of(default_pack())}")


@app.command("check")
def check_pack(source: Source, signed_by: SignedBy = None, config: Config = CONFIG) -> None:
    """Check a pack: by itself, and against those in force. Nothing is stored."""
    with opened(config) as fleet:
        draft = publishing.read_draft(source, signed_by=_key(signed_by))
        with fleet.database.begin() as connection:
            publishing.check(connection, draft)
        say(f"rule pack {publishing.name_of(draft.pack)}: fits those in force")
        _warn(fleet, draft.pack)


@app.command("propose")
def propose_pack(source: Source, by: By, signed_by: SignedBy = None, config: Config = CONFIG) -> None:
    """Propose a pack: it is stored, and holds for nobody yet."""
    with opened(config) as fleet:
        draft = publishing.read_draft(source, signed_by=_key(signed_by))
        name = publishing.propose(fleet.database, fleet.keys, draft, by=by, now=fleet.clock())
        say(f"rule pack {name} is proposed; `lifecert-fleet what-if {name}` shows whom it would change")
        _warn(fleet, draft.pack)


@app.command("approve")
def approve_pack(
    name: Name,
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="Why, recorded as well.")],
    is_for_nobody: Annotated[
        bool,
        typer.Option("--although-nobody", help="Although the last what-if showed that it would hold for nobody."),
    ] = False,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Approve a proposal; with the second person's approval it is signed and in force, and everybody is looked at again."""
    with opened(config) as fleet:
        now = fleet.clock()
        done = publishing.approve(
            fleet.database, fleet.keys, name, by=by, reason=reason, now=now, although_nobody=is_for_nobody
        )
        projected = 0
        if done.in_force:
            zone = fleet.settings.zone()
            settling = partial(settle_all, fleet.database, zone=zone, now=now)
            projected = reproject_outdated(fleet.database, zone=zone, clock=fleet.clock, then=settling)
        if as_json:
            print_json(
                {"name": done.name, "approvals": done.approvals, "in_force": done.in_force, "statuses": projected}
            )
        elif done.in_force:
            say(f"rule pack {name} is in force; {projected} statuses were worked out anew")
        else:
            say(f"rule pack {name}: approved by one, another person must approve it")


@app.command("show")
def show_pack(name: Name, config: Config = CONFIG) -> None:
    """Print a pack as it was written, and who approved it."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            stored = _find(connection, name)
            approved = approvals.approvals_of(connection, fleet.keys.cipher, publishing.OBJECT, name)
        typer.echo(stored.text, nl=False)
        for each in approved:
            say(f"approved by {each.name} on {each.approved_at:%Y-%m-%d}: {each.reason}")


@app.command("export")
def export_pack(
    name: Name,
    file: Annotated[Path, typer.Argument(help="Where to write it.")],
    config: Config = CONFIG,
) -> None:
    """Write a pack in force as a signed file, for other fleets."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            stored = _find(connection, name)
        if stored.envelope is None:
            raise Refused(f"rule pack {name}: is a proposal; only what is in force is signed")
        try:
            file.write_bytes(stored.envelope + b"\n")
        except OSError as error:
            raise Refused(f"{file}: cannot be written: {error.strerror}") from error
        say(f"rule pack {name}, signed by {fleet.keys.signing.public().key_id}, written to {file}")


@app.command("verify")
def verify_packs(config: Config = CONFIG) -> None:
    """Check that every pack in force is the text that was signed."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            problems = publishing.verify_stored(connection, fleet.keys.signing.public())
            count = sum(each.envelope is not None for each in packs.packs(connection))
        if problems:
            raise ImportRefused(problems)
        say(f"{count} rule packs in force, each as it was signed")


def run_what_if(
    source: Annotated[
        str, typer.Argument(metavar="PACK", help="A proposal such as LZ-2019/2, a TOML file, or a shipped id.")
    ],
    by: By,
    on: Annotated[datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Another day than today.")] = None,
    listing: Annotated[
        Path | None, typer.Option("--list", help="Write who would change, by opaque id and area, as CSV.")
    ] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show whose state a rule pack would change, with counts by area, before it goes live. Nothing is changed."""
    with opened(config) as fleet:
        now, zone = fleet.clock(), fleet.settings.zone()
        day = day_of(now, zone) if on is None else on.date()
        with fleet.database.begin() as connection:
            stored = _proposal(connection, source)
        draft = publishing.Draft(stored.pack, stored.text) if stored else publishing.read_draft(source)
        done = what_if(fleet.database, draft.pack, on=day, zone=zone, keeps_changes=listing is not None)
        nobody = why_nobody(draft.pack, done, day)
        if listing is not None:
            _write_listing(listing, done)
        with fleet.database.begin() as connection:
            note_trial(connection, fleet.keys.cipher, draft, done, nobody, on=day, by=by, now=now)
    if as_json:
        print_json(_what_if_json(draft.pack, done, str(day), nobody))
        return
    _print_what_if(draft.pack, done, str(day))
    if nobody is not None:
        say(f"it holds for nobody: {nobody}")


def _warn(fleet: Fleet, pack: RulePack) -> None:
    warning = publishing.warning_of(pack, day_of(fleet.clock(), fleet.settings.zone()))
    if warning is not None:
        say(f"warning: {warning}")


def _print_what_if(pack: RulePack, done: WhatIf, day: str) -> None:
    shown = table("area", "from", "to", "people")
    for area, counts in sorted(done.by_area.items()):
        for (before, after), count in sorted(counts.items()):
            shown.add_row(escape(area), before, after, str(count))
    for area, moved in sorted(done.moved.items()):
        for move, count in sorted(moved.items()):
            shown.add_row(escape(area), "same state", move, str(count))
    Terminal().print(shown)
    say(
        f"rule pack {publishing.name_of(pack)} on {day}: holds for {done.covered} of {done.people} people,"
        f" {done.changed} would change in state or days, {done.newly_stoppable} of them so that a stop could be proposed"
    )


def _what_if_json(pack: RulePack, done: WhatIf, day: str, nobody: str | None) -> dict[str, Any]:
    return {
        "pack": publishing.name_of(pack),
        "on": day,
        "people": done.people,
        "covered": done.covered,
        "why_nobody": nobody,
        "changed": done.changed,
        "newly_stoppable": done.newly_stoppable,
        "by_area": [
            {"area": area, "from": before, "to": after, "people": count}
            for area, counts in sorted(done.by_area.items())
            for (before, after), count in sorted(counts.items())
        ],
        "moved": [
            {"area": area, "what": move, "people": count}
            for area, moved in sorted(done.moved.items())
            for move, count in sorted(moved.items())
        ],
    }


def _write_listing(path: Path, done: WhatIf) -> None:
    columns = ("subject_id", "area", "before", "after", "due_before", "due_after", "stop_before", "stop_after")
    heading = ("subject_id", "area", "from", "to", *columns[4:])
    rows = ([getattr(change, column) for column in columns] for change in done.changes)
    write_new(path, to_csv((heading, rows)))


def _row(stored: StoredPack, held: set[str]) -> dict[str, Any]:
    pack = stored.pack
    name = publishing.name_of(pack)
    state = "proposed" if stored.in_force_at is None else "holds today" if name in held else "does not hold today"
    return {
        "pack": name,
        "title": pack.title.zh,
        "region": pack.region,
        "valid_from": str(pack.valid_from),
        "valid_until": None if pack.valid_until is None else str(pack.valid_until),
        "cycle": pack.cycle.kind,
        "state": state,
    }


def _find(connection: Connection, name: str) -> StoredPack:
    stored = packs.find_pack(connection, *publishing.parse_name(name))
    if stored is None:
        raise NotFound(f"rule pack {name}: there is none; `lifecert-fleet rules list` shows those there are")
    return stored


def _proposal(connection: Connection, source: str) -> StoredPack | None:
    if "/" not in source or Path(source).exists():
        return None
    pack_id, _, version = source.partition("/")
    return packs.find_pack(connection, pack_id, int(version)) if version.isascii() and version.isdigit() else None


def _key(identity: Path | None) -> PublicJwk | None:
    if identity is None:
        return None
    try:
        return FleetIdentity.parse(identity.read_bytes()).signing_key
    except OSError as error:
        raise CheckFailed(f"{identity}: cannot be read: {error.strerror}") from error
    except ProtocolError as error:
        raise CheckFailed(f"{identity}: is no fleet identity") from error
