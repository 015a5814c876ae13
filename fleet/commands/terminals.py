"""`lifecert-fleet register-terminal`, `retire-terminal` and `assign`: which terminals there are, and whom each of them knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from fleet.admission import ROSTER_VALIDITY
from fleet.app import Fleet
from fleet.audit.log import UNNAMED
from fleet.commands.shared import CONFIG, EXIT_USAGE, By, Config, fail, named, noted, opened, say
from fleet.errors import NotFound, Refused
from fleet.references.enrol import find_subject
from fleet.store import policies, rosters, terminals
from fleet.store.database import notify
from protocol.registration import TerminalRegistration, read_registration


def register_terminal(
    file: Annotated[Path, typer.Argument(help="Registration the terminal printed.")],
    area: Annotated[str, typer.Option("--area", help="Area the terminal serves.")],
    by: By = UNNAMED,
    config: Config = CONFIG,
) -> None:
    """Register a terminal by its self-signed registration; once more only changes its area."""
    with opened(config) as fleet:
        try:
            token = file.read_bytes().strip()
        except OSError as error:
            raise Refused(f"{file}: cannot be read: {error.strerror}") from error
        registration = read_registration(token)
        if registration.fleet_id != fleet.settings.fleet_id:
            raise Refused(f"{file}: made for fleet {registration.fleet_id}, this is {fleet.settings.fleet_id}")
        # A key that is no point on the curve would fail at the first record instead of here.
        registration.sealing_key.key()
        with fleet.database.begin() as connection:
            is_new = _register(connection, fleet, area, registration)
            rosters.refresh(connection, [registration.terminal_id])
            # Whoever hears this sends all that the broker keeps for a terminal.
            notify(connection, policies.POLICY_CHANNEL, registration.terminal_id)
            terminal_id = registration.terminal_id
            noted(fleet, connection, by, "terminal.registered", "terminal", terminal_id, area=area, new=is_new)
        say(f"terminal {registration.terminal_id} is registered in area {area}")
        say(f"fingerprint {registration.signing_key.key_id}")


def retire_terminal(terminal: Annotated[str, typer.Argument()], by: By = UNNAMED, config: Config = CONFIG) -> None:
    """Take a terminal out of service: what it sends from now on has no effect, and it gets nothing more."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            if not terminals.retire(connection, terminal, now=fleet.clock()):
                raise NotFound(f"terminal {terminal}: none of this name is in service")
            noted(fleet, connection, by, "terminal.retired", "terminal", terminal)
        say(f"terminal {terminal} is retired; its roster expires within {ROSTER_VALIDITY.days} days")


def assign(
    terminal: Annotated[str, typer.Option("--terminal", help="Whose roster.")],
    everybody: Annotated[bool, typer.Option("--all", help="Everybody, now and later.")] = False,
    area: Annotated[str | None, typer.Option("--area", help="Everybody of an area, now and later.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="One subject, by id or document number; - reads it from input.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the assignment back.")] = False,
    by: By = UNNAMED,
    config: Config = CONFIG,
) -> None:
    """Assign subjects to a terminal: they come on its roster, and stay as people and areas change."""
    if (everybody, area is not None, subject is not None).count(True) != 1:
        fail("give exactly one of --all, --area and --subject", EXIT_USAGE)
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            if terminal not in terminals.find_terminals(connection, [terminal], lock=True):
                raise NotFound(f"terminal {terminal}: not registered")
            kind: rosters.AssignmentKind = "all" if everybody else "area" if area is not None else "subject"
            value = area or ""
            if subject is not None:
                value = find_subject(connection, named(subject), fleet.keys)
            with rosters.renewing(connection, terminal):
                if not remove:
                    rosters.assign(connection, terminal, kind, value)
                elif not rosters.unassign(connection, terminal, kind, value):
                    raise NotFound(f"terminal {terminal}: has no such assignment")
            changed = rosters.refresh(connection, [terminal])
            action = "terminal.unassigned" if remove else "terminal.assigned"
            noted(fleet, connection, by, action, "terminal", terminal, who=kind, value=value, entries=changed)
        say(f"{changed} roster entries of terminal {terminal} changed")


def _register(connection: Connection, fleet: Fleet, area: str, registration: TerminalRegistration) -> bool:
    """Store a terminal, or the area of one that is there; say whether it is new."""
    terminal_id = registration.terminal_id
    added = terminals.add_terminal(
        connection,
        terminal_id,
        area=area,
        signing_key=registration.signing_key,
        sealing_key=registration.sealing_key,
        now=fleet.clock(),
    )
    if added:
        return True
    known = terminals.find_terminals(connection, [terminal_id], lock=True)[terminal_id]
    if (known.signing_key, known.sealing_key) != (registration.signing_key, registration.sealing_key):
        raise Refused(
            f"terminal {terminal_id}: registered with other keys; retire it and give the new one another name"
        )
    if known.retired_at is not None:
        raise Refused(f"terminal {terminal_id}: was retired; give it new keys and another name")
    terminals.set_area(connection, terminal_id, area, now=fleet.clock())
    return False
