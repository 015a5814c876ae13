"""`lifecert-fleet pki`: the authority, the broker's files, claims for new terminals, and certificates taken back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console as Terminal
from rich.markup import escape
from sqlalchemy import Connection

from fleet.app import Fleet
from fleet.audit.log import UNNAMED
from fleet.commands.shared import CONFIG, AsJson, By, Config, noted, opened, print_json, say, table
from fleet.errors import NotFound, Refused
from fleet.intake.terminal_list import ListedTerminal, read_terminal_list
from fleet.pki.broker import CONFIGURATION, write_broker_files
from fleet.pki.files import ROOT_KEY, load_authority, make_authority
from fleet.pki.joining import approve_claim, carried, demand_no_claim, make_claim, take_back_claim, trusted_root
from fleet.store.areas import chain_above, has_areas
from fleet.store.certificates import revoked_certificates
from fleet.store.claims import StoredClaim, newest_claims
from fleet.store.terminals import find_terminals
from fleet.terminals.changing import TerminalChanges
from protocol.errors import Problem
from protocol.provisioning import ProvisioningClaim, shown
from protocol.trust import root_fingerprint

_LISTED = 200
Again = Annotated[
    bool,
    typer.Option("--again", help="Take back a claim for the same terminal that nobody came with, and make another."),
]

app = typer.Typer(help="Certificates: the authority, the broker, and new terminals.", no_args_is_help=True)


def authority_folder(fleet: Fleet) -> Path:
    """Return where the authority's files are."""
    return fleet.settings.data_dir / "pki"


@app.command("init")
def init(by: By = UNNAMED, config: Config = CONFIG) -> None:
    """Make the fleet's authority: a root for the safe, and the one that issues below it."""
    with opened(config) as fleet:
        folder = authority_folder(fleet)
        make_authority(folder, fleet.settings.fleet_id, now=fleet.clock())
        with fleet.database.begin() as connection:
            noted(fleet, connection, by, "pki.made", "fleet", fleet.settings.fleet_id)
        say(f"made in {folder}; back it up")
        say(f"fingerprint of the root: {shown(root_fingerprint(trusted_root(fleet.settings)))}")
        say(f"then take {ROOT_KEY} away and lock it up: nothing asks for it for five years")


@app.command("broker-config")
def broker_config(
    host: Annotated[
        list[str], typer.Option("--host", help="Name or address of the broker; may be given several times.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the broker's files.")],
    by: By = UNNAMED,
    config: Config = CONFIG,
) -> None:
    """Write a Mosquitto's configuration, keys, certificates and access list; once more renews the certificates."""
    with opened(config) as fleet:
        folder, now = authority_folder(fleet), fleet.clock()
        issuing = load_authority(folder)
        with fleet.database.begin() as connection:
            revoked = revoked_certificates(connection, now=now)
            try:
                write_broker_files(
                    out,
                    folder,
                    issuing,
                    fleet_id=fleet.settings.fleet_id,
                    hosts=host,
                    port=fleet.settings.provisioning.broker_port,
                    revoked=revoked,
                    now=now,
                )
            except OSError as error:
                raise Refused(f"{error.filename or out}: {error.strerror}") from error
            noted(fleet, connection, by, "pki.broker_written", "fleet", fleet.settings.fleet_id)
        say(f"{out}: have mosquitto.conf include {CONFIGURATION}, and let the broker's user read the folder")
        say(
            "settings of the fleet: [broker] ca_file, certificate_file, key_file from it; [provisioning] broker_dir is it"
        )


@app.command("claim")
def claim(
    out: Annotated[
        Path, typer.Option("--out", help="Write the claim here, for the terminal's card; with --list a folder.")
    ],
    area: Annotated[str | None, typer.Option("--area", help="Area the terminal will serve.")] = None,
    terminal: Annotated[str | None, typer.Option("--terminal", help="Its name; said on the spot without.")] = None,
    listed: Annotated[
        Path | None, typer.Option("--list", help="CSV or XLSX with terminal_id and area: a claim for each.")
    ] = None,
    hours: Annotated[int | None, typer.Option("--hours", help="How long it is good for.")] = None,
    no_people: Annotated[bool, typer.Option("--no-people", help="Do not put the area's people on its roster.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Let the terminal in only after `pki approve`.")] = False,
    again: Again = False,
    by: By = UNNAMED,
    config: Config = CONFIG,
) -> None:
    """Make a claim for one new terminal, or for each of a list: good once, and for hours."""
    if (area is None) == (listed is None) or (listed is not None and terminal is not None):
        raise typer.BadParameter("either --area, with or without --terminal, or --list")
    with opened(config) as fleet:

        def made(connection: Connection, name: str | None, serves: str) -> tuple[str, StoredClaim]:
            return make_claim(
                connection,
                fleet.keys.cipher,
                terminal_id=name,
                area=serves,
                has_people=not no_people,
                needs_approval=wait,
                hours=hours or fleet.settings.provisioning.claim_hours,
                by=by,
                now=fleet.clock(),
                again=again,
            )

        with fleet.database.begin() as connection:
            if listed is not None:
                terminals = _listed(connection, listed, again=again, now=fleet.clock())
                several = [made(connection, each.terminal_id, each.area) for each in terminals]
                _write_claims(out, [carried(code, stored, fleet.settings) for code, stored in several])
                until = several[0][1].expires_at
                say(f"{out}: {len(several)} claims, each good once, until {until:%Y-%m-%d %H:%M} UTC")
                say("give them to nobody but the technician")
                return
            if area is None or not _is_area(connection, area):
                raise NotFound(f"area {area}: none of this code; look with `lifecert-fleet areas list`")
            code, stored = made(connection, terminal, area)
            whole = carried(code, stored, fleet.settings)
            write_claim(out, whole)
        say_claim(out, whole)


@app.command("claims")
def claims(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List the newest claims, who waits, and whose place each is for."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            found = newest_claims(connection, limit=_LISTED)
        now, zone = fleet.clock(), fleet.settings.zone()
        if as_json:
            rows = [
                {
                    "claim": each.claim_id,
                    "terminal": each.asked_as or each.terminal_id or "",
                    "area": each.area,
                    "state": each.state(now),
                    "replaces": each.replaces or "",
                    "until": each.expires_at.isoformat(),
                }
                for each in found
            ]
            print_json({"claims": rows})
            return
        listed = table("claim", "terminal", "area", "state", "until")
        for each in found:
            terminal = each.asked_as or each.terminal_id or ""
            replaces = "" if each.replaces is None else f"for {each.replaces}"
            until = f"{each.expires_at.astimezone(zone):%Y-%m-%d %H:%M}"
            cells = (each.claim_id, f"{terminal} {replaces}".strip(), each.area, each.state(now), until)
            listed.add_row(*map(escape, cells))
        Terminal().print(listed)


@app.command("approve")
def approve(claim_id: Annotated[str, typer.Argument()], by: By = UNNAMED, config: Config = CONFIG) -> None:
    """Let the terminal in that waits with a claim."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            approve_claim(connection, fleet.keys.cipher, claim_id, by=by, now=fleet.clock())
        say("approved; it is let in when it asks again")


@app.command("take-back")
def take_back(claim_id: Annotated[str, typer.Argument()], by: By = UNNAMED, config: Config = CONFIG) -> None:
    """Take a claim back that was not used."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            take_back_claim(connection, fleet.keys.cipher, claim_id, by=by, now=fleet.clock())
        say("taken back")


@app.command("revoke")
def revoke(terminal: Annotated[str, typer.Argument()], by: By = UNNAMED, config: Config = CONFIG) -> None:
    """Take all certificates of a terminal back; a running `serve` puts it off the broker within ten seconds."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            changes = TerminalChanges(connection, fleet.keys.cipher, by=by, reason=None, now=fleet.clock())
            count = changes.revoke_certificates(terminal)
        say(f"{count} certificates of terminal {terminal} hold no more")


def say_claim(path: Path, claim: ProvisioningClaim) -> None:
    """Tell what to do with a claim that was written."""
    say(f"{path}: good once, until {claim.expires_at:%Y-%m-%d %H:%M} UTC; give it to nobody but the technician")
    say(f"to be typed: code {shown(claim.code)}")
    say(f"  door {claim.url}")
    say(f"  root {shown(root_fingerprint(claim.root))}")


def _is_area(connection: Connection, area: str) -> bool:
    """Say whether there is an area of this code; where none were taken in, any word is one."""
    return not has_areas(connection) or bool(chain_above(connection, area))


def _listed(connection: Connection, path: Path, *, again: bool, now: datetime) -> list[ListedTerminal]:
    def claimed(terminal: str) -> Problem | None:
        try:
            demand_no_claim(connection, terminal, again=again, now=now)
        except Refused as error:
            return error.problem
        return None

    return read_terminal_list(
        path,
        registered=find_terminals(connection),
        is_area=lambda area: _is_area(connection, area),
        claimed=claimed,
    )


def _write_claims(folder: Path, claims: list[ProvisioningClaim]) -> None:
    """Write a file for each claim, or none: what was not written whole is no claim, because nothing was stored."""
    paths = {folder / f"{each.terminal_id}.claim": each for each in claims}
    if there := sorted(path.name for path in paths if path.exists()):
        raise Refused(f"{folder}: holds {', '.join(there[:3])} already; a claim is never written over another file")
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, each in paths.items():
            write_claim(path, each)
            written.append(path)
    except (OSError, Refused) as error:
        for path in written:
            path.unlink()
        raise Refused(f"{folder}: the claims cannot be written: {error}") from error


def write_claim(path: Path, claim: ProvisioningClaim) -> None:
    """Write a claim where nobody else reads it.

    Raises:
        Refused: if there is a file already, or it cannot be written.
    """
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(claim.to_bytes() + b"\n")
    except FileExistsError as error:
        raise Refused(f"{path}: exists already; a claim is never written over another file") from error
    except OSError as error:
        raise Refused(f"{path}: cannot be written: {error.strerror}") from error
