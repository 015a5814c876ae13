"""`lifecert-fleet terminals`: which there are, swap a broken one, suspend a doubtful one, take the proof of one that erased itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console as Terminal
from rich.markup import escape
from sqlalchemy import Connection

from fleet.app import Fleet
from fleet.clock import day_of
from fleet.commands.pki import Again, say_claim, write_claim
from fleet.commands.shared import CONFIG, AsJson, Config, opened, print_json, say, table
from fleet.errors import Refused
from fleet.pki.joining import carried, make_claim
from fleet.store.terminals import StoredTerminal, find_terminals
from fleet.terminals.changing import TerminalChanges
from fleet.terminals.life import Life, lives
from protocol.decommissioning import proof_from_text
from protocol.errors import ProtocolError

Which = Annotated[str, typer.Argument(help="Id of the terminal.")]
By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; stands with the change.")]


def list_terminals(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List the terminals, also those to come: where each stands, until when its certificate or claim is good, whose place it has."""
    with opened(config) as fleet:
        zone = fleet.settings.zone()
        with fleet.database.begin() as connection:
            found = lives(connection, now=fleet.clock())
    if as_json:
        print_json({"terminals": [_row(life) for life in found]})
        return
    shown = table("terminal", "area", "state", "since", "until", "place")
    for life in found:
        days = (day_of(life.since, zone), "" if life.until is None else day_of(life.until, zone))
        ways = ((life.replaces, "from"), (life.replaced_by, "to"))
        place = ", ".join(f"{way} {other}" for other, way in ways if other is not None)
        cells = (life.terminal_id, life.area, life.state.value, *map(str, days), place)
        shown.add_row(*map(escape, cells))
    Terminal().print(shown)


def swap(
    terminal: Which,
    claim_out: Annotated[Path, typer.Option("--claim-out", help="Write the new terminal's claim here, for its card.")],
    by: By,
    new: Annotated[str | None, typer.Option("--new", help="Name of the new one; said on the spot without.")] = None,
    hours: Annotated[int | None, typer.Option("--hours", help="How long the claim is good for.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Let the new one in only after `pki approve`.")] = False,
    again: Again = False,
    config: Config = CONFIG,
) -> None:
    """Make a claim by which a new terminal takes this one's place: area, assignments and roster follow, and this one is retired with it."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            code, stored = make_claim(
                connection,
                fleet.keys.cipher,
                terminal_id=new,
                area="",
                has_people=True,
                needs_approval=wait,
                hours=fleet.settings.provisioning.claim_hours if hours is None else hours,
                by=by,
                now=fleet.clock(),
                replaces=terminal,
                again=again,
            )
            whole = carried(code, stored, fleet.settings)
            write_claim(claim_out, whole)
            old = find_terminals(connection, [terminal])[terminal]
        say_claim(claim_out, whole, fleet.settings.zone())
        say(_meanwhile(old))


def suspend(terminal: Which, reason: Reason, by: By, config: Config = CONFIG) -> None:
    """Believe a terminal nothing for now: off the broker within ten seconds, its records held until somebody decides."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            _changes(fleet, connection, by, reason).suspend(terminal)
        say(f"terminal {terminal} is suspended; what it sends is held")


def resume(terminal: Which, reason: Reason, by: By, config: Config = CONFIG) -> None:
    """Believe a suspended terminal again, and take in what was held of it."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            count = _changes(fleet, connection, by, reason).resume(terminal)
        said = "1 held message is" if count == 1 else f"{count} held messages are"
        say(f"terminal {terminal} is in service again; {said} taken in by the running service")


def judge(
    terminal: Which,
    reason: Reason,
    by: By,
    take_in: Annotated[
        bool, typer.Option("--take-in/--refuse", help="Whether what is held of it counts, or goes into quarantine.")
    ],
    config: Config = CONFIG,
) -> None:
    """Decide about what is held of a terminal, for good: of a suspended one, or of a retired one where nobody can say what came first."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            count = _changes(fleet, connection, by, reason).judge_held(terminal, take_in=take_in)
        messages, are = ("1 held message", "is") if count == 1 else (f"{count} held messages", "are")
        say(f"{messages} of terminal {terminal} {f'{are} taken in' if take_in else 'went into quarantine'}")


def decommissioned(
    file: Annotated[Path, typer.Argument(help="The proof, as file or as the text of its QR code.")],
    by: By,
    config: Config = CONFIG,
) -> None:
    """Take the proof that a terminal has erased itself: it is checked by the terminal's key, kept, and the terminal is out for good."""
    with opened(config) as fleet:
        try:
            token = proof_from_text(file.read_bytes())
        except OSError as error:
            raise Refused(f"{file}: cannot be read: {error.strerror}") from error
        except ProtocolError as error:
            raise Refused(f"{file}: {error}") from error
        with fleet.database.begin() as connection:
            proof = _changes(fleet, connection, by, None).decommission(token, fleet_id=fleet.settings.fleet_id)
        keys = sum(part.kind == "key" for part in proof.parts)
        say(f"terminal {proof.terminal_id} is decommissioned: {len(proof.parts)} files erased, {keys} keys among them")
        say(
            f"records lost {proof.records_lost}, pictures lost {proof.pictures_lost}; its chain ends at {proof.last_counter}"
        )


def _meanwhile(old: StoredTerminal) -> str:
    """Say what is so of a terminal until another one has its place."""
    if old.decommissioned_at is not None:
        return f"terminal {old.terminal_id} is decommissioned and serves nobody; its place waits for the new one"
    if old.retired_at is not None:
        return (
            f"terminal {old.terminal_id} is retired and nothing of it counts any more; its place waits for the new one"
        )
    if old.suspended_at is not None:
        return f"terminal {old.terminal_id} stays suspended until the new one joins, and is retired then"
    return f"terminal {old.terminal_id} serves until the new one joins; was it stolen, suspend it now"


def _changes(fleet: Fleet, connection: Connection, by: str, reason: str | None) -> TerminalChanges:
    return TerminalChanges(connection, fleet.keys.cipher, by=by, reason=reason, now=fleet.clock())


def _row(life: Life) -> dict[str, str | None]:
    return {
        "terminal": life.terminal_id,
        "area": life.area,
        "state": life.state.value,
        "since": life.since.isoformat(timespec="minutes"),
        "until": None if life.until is None else life.until.isoformat(timespec="minutes"),
        "replaced_by": life.replaced_by,
        "replaces": life.replaces,
    }
