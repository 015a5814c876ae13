"""`lifecert-fleet pki`: the authority, the broker's files, claims for new terminals, and certificates taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console as Terminal
from rich.markup import escape
from sqlalchemy import Connection

from fleet.app import Fleet
from fleet.audit.log import UNNAMED
from fleet.clock import told_in, zone_told
from fleet.commands.shared import CONFIG, AsJson, By, Config, noted, opened, print_json, say, table
from fleet.errors import NotFound, Refused
from fleet.intake.terminal_list import ListedTerminal, read_terminal_list
from fleet.pki.broker import CONFIGURATION, write_broker_files
from fleet.pki.files import ROOT_KEY, TRUSTED, load_authority, make_authority, renew_authority
from fleet.pki.joining import approve_claim, carried, demand_no_claim, make_claims, take_back_claim, trusted_root
from fleet.pki.listed import next_list
from fleet.store.areas import has_areas, parents_above
from fleet.store.claims import ClaimState, StoredClaim, claims_named, newest_claims
from fleet.store.terminals import find_terminals
from fleet.terminals.changing import TerminalChanges
from protocol.errors import Problem
from protocol.provisioning import ProvisioningClaim, shown
from protocol.trust import root_fingerprint, root_in

_LISTED = 200
_LEAST = 8
"""Characters by which a claim is named at least, of the 32 of its id."""
WhichClaim = Annotated[
    str,
    typer.Argument(
        metavar="CLAIM",
        help=f"The terminal's name, or the first characters of the claim's id ({_LEAST} at least); `pki claims` lists both.",
    ),
]
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
        say(f"fingerprint of the root: {shown(root_fingerprint(root_in(trusted_root(fleet.settings))))}")
        say(
            f"then take {ROOT_KEY} away and lock it up: nothing asks for it for four years and a half (`pki renew-issuing`)"
        )


@app.command("renew-issuing")
def renew_issuing(
    root_key: Annotated[Path, typer.Option("--root-key", help=f"The {ROOT_KEY} from the safe.")],
    by: By = UNNAMED,
    config: Config = CONFIG,
) -> None:
    """Give the authority that issues five years more, signed by the root; name and key stay, and all that it issued."""
    with opened(config) as fleet:
        folder, beside = authority_folder(fleet), fleet.settings.provisioning.broker_dir
        with fleet.database.begin() as connection:
            try:
                made = renew_authority(
                    folder, root_key, elsewhere=() if beside is None else (beside,), now=fleet.clock()
                )
            except OSError as error:
                raise Refused(f"{error.filename or folder}: {error.strerror}; mend that and run it again") from error
            noted(fleet, connection, by, "pki.renewed", "fleet", fleet.settings.fleet_id)
        say(
            f"the issuing authority is good until {made.not_valid_after_utc:%Y-%m-%d}; back {folder} up, and lock {ROOT_KEY} up again"
        )
        say(f"wherever else a {TRUSTED} lies, of the broker or as ca_file: put {folder / TRUSTED} in its place")
        say("then restart the broker and `serve` once")


@app.command("broker-config")
def broker_config(
    host: Annotated[
        list[str], typer.Option("--host", help="Name or address of the broker; may be given several times.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the broker's files.")],
    by: By = UNNAMED,
    config: Config = CONFIG,
) -> None:
    """Write a Mosquitto's configuration, keys, certificates and access list; `serve` renews the certificates."""
    with opened(config) as fleet:
        folder, now = authority_folder(fleet), fleet.clock()
        issuing = load_authority(folder)
        with fleet.database.begin() as connection:
            try:
                following = next_list(connection, issuing, out, now=now)
                write_broker_files(
                    out,
                    folder,
                    issuing,
                    fleet_id=fleet.settings.fleet_id,
                    hosts=host,
                    port=fleet.settings.provisioning.broker_port,
                    revoked=following,
                    now=now,
                )
            except OSError as error:
                raise Refused(f"{error.filename or out}: {error.strerror}") from error
            noted(fleet, connection, by, "pki.broker_written", "fleet", fleet.settings.fleet_id)
        say(f"{out}: have mosquitto.conf include {CONFIGURATION}, and let the broker's user read the folder")
        say(
            f"then, in the fleet's settings: ca_file, certificate_file and key_file of [broker] name trusted.pem, fleet.pem and fleet.key"
            f' in that folder; [provisioning] has broker_dir = "{out}"'
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

        def made(connection: Connection, wanted: Sequence[tuple[str | None, str]]) -> list[tuple[str, StoredClaim]]:
            return make_claims(
                connection,
                fleet.keys.cipher,
                wanted,
                has_people=not no_people,
                needs_approval=wait,
                hours=fleet.settings.provisioning.claim_hours if hours is None else hours,
                by=by,
                now=fleet.clock(),
                again=again,
            )

        with fleet.database.begin() as connection:
            if listed is not None:
                terminals = _listed(connection, listed, again=again, now=fleet.clock())
                several = made(connection, [(each.terminal_id, each.area) for each in terminals])
                _write_claims(out, [carried(code, stored, fleet.settings) for code, stored in several])
                until = several[0][1].expires_at
                claims = "1 claim, good once" if len(several) == 1 else f"{len(several)} claims, each good once"
                say(f"{out}: {claims}, until {told_in(until, fleet.settings.zone())}")
                say("give them to nobody but the technician")
                return
            if area is None:
                raise Refused("name the area that the terminal is to serve with --area")
            if not _is_area(connection, area):
                raise NotFound(f"area {area}: none of this code; look with `lifecert-fleet areas list`")
            ((code, stored),) = made(connection, [(terminal, area)])
            whole = carried(code, stored, fleet.settings)
            write_claim(out, whole)
        say_claim(out, whole, fleet.settings.zone())


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
        typer.echo(f"times of {zone_told(now, zone)}")


@app.command("approve")
def approve(claim: WhichClaim, by: By = UNNAMED, config: Config = CONFIG) -> None:
    """Let the terminal in that waits with a claim."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            found = _the_claim(connection, claim, ("waits",), "with which a terminal waits", now=fleet.clock())
            approve_claim(connection, fleet.keys.cipher, found.claim_id, by=by, now=fleet.clock())
        say(f"terminal {found.asked_as} is approved; it is let in when it asks again")


@app.command("take-back")
def take_back(claim: WhichClaim, by: By = UNNAMED, config: Config = CONFIG) -> None:
    """Take a claim back that was not used."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            found = _the_claim(connection, claim, _GOOD, "that could still be used", now=fleet.clock())
            take_back_claim(connection, fleet.keys.cipher, found.claim_id, by=by, now=fleet.clock())
        say(f"claim {found.claim_id} is taken back")


@app.command("revoke")
def revoke(terminal: Annotated[str, typer.Argument()], by: By = UNNAMED, config: Config = CONFIG) -> None:
    """Take all certificates of a terminal back; in service it gets a new one when it renews: `terminals suspend` keeps it out.

    A running `serve` puts it off the broker within ten seconds.
    """
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            changes = TerminalChanges(connection, fleet.keys.cipher, by=by, reason=None, now=fleet.clock())
            count = changes.revoke_certificates(terminal)
            known = find_terminals(connection, [terminal])[terminal]
        told = (
            "1 certificate of terminal {} holds no more"
            if count == 1
            else f"{count} certificates of terminal {{}} hold no more"
        )
        say(told.format(terminal))
        if known.is_in_service:
            say(
                "it gets a new one when it renews: at once by `lifecert-provision renew --out /etc/lifecert` on it, else within a month"
            )
            say(f"to keep it out: `terminals suspend {terminal}`")


_GOOD: tuple[ClaimState, ...] = ("open", "waits", "approved")


def _the_claim(
    connection: Connection, word: str, states: tuple[ClaimState, ...], which: str, *, now: datetime
) -> StoredClaim:
    """Return the claim that somebody means, by its terminal's name or by its id.

    Args:
        connection: where to look.
        word: what was typed.
        states: in which of these it must stand.
        which: that, in words.
        now: the time.

    Raises:
        NotFound: if there is none; says what was expected.
        Refused: if there are several.
    """
    named = claims_named(connection, word, least=_LEAST)
    found = [each for each in named if each.state(now) in states]
    if len(found) > 1:
        ids = ", ".join(each.claim_id for each in found)
        raise Refused(f"claim {word}: several are named so; say which by its id: {ids}")
    if not found:
        there = f" (it is {named[0].state(now).replace('_', ' ')})" if len(named) == 1 else ""
        raise NotFound(
            f"claim {word}: none {which}{there}; the terminal's name or {_LEAST} characters of the claim's id at least are expected,"
            " `pki claims` lists both"
        )
    return found[0]


def say_claim(path: Path, claim: ProvisioningClaim, zone: tzinfo) -> None:
    """Tell what to do with a claim that was written."""
    say(f"{path}: good once, until {told_in(claim.expires_at, zone)}; give it to nobody but the technician")
    say(f"to be typed: code {shown(claim.code)}")
    say(f"  door {claim.url}")
    say(f"  root {shown(root_fingerprint(root_in(claim.root)))}")


def _is_area(connection: Connection, area: str) -> bool:
    """Say whether there is an area of this code; where none were taken in, any word is one."""
    return not has_areas(connection) or area in parents_above(connection, [area])


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
