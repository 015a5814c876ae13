"""`lifecert-fleet init`, `write-slip-page`, `serve` and `migrate`: a fleet is set up and run."""

from __future__ import annotations

import signal
import sys
import threading
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fleet.commands.shared import CONFIG, Config, opened, reporting, say
from fleet.errors import Refused, SettingsInvalid
from fleet.keys import load_keys, make_keys
from fleet.settings import Settings, load_settings
from fleet.store import policies
from protocol.registration import FleetIdentity


class Only(StrEnum):
    """Parts of the service that can run alone."""

    INGEST = "ingest"
    WEB = "web"


def init(
    config: Config = CONFIG,
    fleet_id: Annotated[str | None, typer.Option("--fleet-id", help="Write a settings file for a new fleet.")] = None,
    identity: Annotated[Path | None, typer.Option("--identity", help="Write the fleet identity here.")] = None,
) -> None:
    """Make the fleet's keys, and print the identity that terminals are provisioned with.

    Keys that exist are kept, so that this can be run again. With --fleet-id a missing settings file is written first.
    """
    with reporting():
        if fleet_id is not None and not config.exists():
            _write_settings(config, fleet_id)
        settings = load_settings(config)
        if fleet_id not in (None, settings.fleet_id):
            raise Refused(f"{config}: is for fleet {settings.fleet_id}, not {fleet_id}")
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        folder = settings.data_dir / "keys"
        make_keys(folder, key_domain=settings.references.key_domain)
        keys = load_keys(folder)
        message = FleetIdentity(
            fleet_id=settings.fleet_id, signing_key=keys.signing.public(), sealing_key=keys.sealing_key().public()
        )
        if identity is None:
            typer.echo(message.to_bytes().decode())
        else:
            identity.write_bytes(message.to_bytes() + b"\n")
            say(f"fleet identity written to {identity}")
        say(f"fingerprint {message.signing_key.key_id}")
        say(f"back this folder up, the fleet's keys are in it: {folder}")


def write_slip_page(
    file: Annotated[Path, typer.Argument(help="Where to write it; - writes it to standard output.")],
    config: Config = CONFIG,
) -> None:
    """Write the page that checks result slips, one file, for the agency's web site or for a computer without a network."""
    from fleet.web.slip_page import slip_page

    with reporting():
        settings = load_settings(config)
        keys = load_keys(settings.data_dir / "keys")
        page = slip_page(settings.fleet_id, keys.signing.public())
        if str(file) == "-":
            typer.echo(page.html, nl=False)
            return
        try:
            file.write_text(page.html, encoding="utf-8")
        except OSError as error:
            raise Refused(f"{file}: cannot be written: {error.strerror}") from error
        say(f"{file}: checks slips of fleet {settings.fleet_id}; serve it over https, or open it from disk")


def serve(
    config: Config = CONFIG,
    only: Annotated[Only | None, typer.Option("--only", help="Run one part alone.")] = None,
) -> None:
    """Run database (if embedded), broker (if embedded), ingest and console until Ctrl-C or SIGTERM."""
    # Loaded here, because web and MQTT libraries take longer to load than the other commands to run.
    from fleet.service import Part, Service

    part: Part = "all" if only is None else "ingest" if only is Only.INGEST else "web"
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            if policies.newest_policy(connection) is None:
                say("no policy is in force: terminals certify nobody until `lifecert-fleet publish-policy`")
        service = Service(fleet, part)
        service.start()
        try:
            if part != "ingest":
                typer.echo(f"console on {fleet.settings.console_url}")
            else:
                typer.echo("ingest runs")
            sys.stdout.flush()
            stopped.wait()
        finally:
            service.stop()


def migrate(config: Config = CONFIG) -> None:
    """Bring the database to the newest schema."""
    with opened(config):
        say("the database has the newest schema")


def _write_settings(path: Path, fleet_id: str) -> None:
    # Checked before anything is written.
    try:
        Settings.model_validate({"fleet_id": fleet_id, "data_dir": "fleet-data"})
    except ValueError as error:
        raise SettingsInvalid([f"--fleet-id {fleet_id}: lower-case letters, digits and dashes expected"]) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'fleet_id = "{fleet_id}"\ndata_dir = "fleet-data"\n', encoding="utf-8")
    say(f"settings written to {path}")
