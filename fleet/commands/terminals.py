"""`lifecert-fleet register-terminal`, `retire-terminal` and `assign`: which terminals there are, and whom each of them knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from fleet.admission import ROSTER_VALIDITY
from fleet.app import Fleet
from fleet.audit.log import UNNAMED
from fleet.commands.shared import CONFIG, EXIT_USAGE, By, Config, fail, named, opened, say
from fleet.errors import Refused
from fleet.references.enrol import find_subject
from fleet.store import rosters
from fleet.terminals.changing import TerminalChanges, registration_in
from protocol.keys import short_key_id


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
        try:
            registration = registration_in(token)
            with fleet.database.begin() as connection:
                _changes(fleet, connection, by).register(registration, area, fleet_id=fleet.settings.fleet_id)
        except Refused as error:
            raise Refused(f"{file}: {error}") from error
        say(f"terminal {registration.terminal_id} is registered in area {area}")
        say(f"fingerprint {registration.signing_key.key_id}")
        say(f"short {short_key_id(registration.signing_key.key_id)}")


def retire_terminal(terminal: Annotated[str, typer.Argument()], by: By = UNNAMED, config: Config = CONFIG) -> None:
    """Take a terminal out of service: what it sends from now on has no effect, and it gets nothing more."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            _changes(fleet, connection, by).retire(terminal)
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
            changes = _changes(fleet, connection, by)
            kind: rosters.AssignmentKind = "all" if everybody else "area" if area is not None else "subject"
            value = area or ""
            if subject is not None:
                value = find_subject(connection, named(subject), fleet.keys)
            change = changes.unassign if remove else changes.assign
            changed = change(terminal, kind, value)
        say(f"{changed} roster entries of terminal {terminal} changed")


def _changes(fleet: Fleet, connection: Connection, by: str) -> TerminalChanges:
    """Return what changes terminals, in somebody's name."""
    return TerminalChanges(connection, fleet.keys.cipher, by=by, reason=None, now=fleet.clock())
