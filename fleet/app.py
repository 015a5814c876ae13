"""Composition of what every command needs: keys and a database with the newest schema."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fleet.clock import Clock, system_clock
from fleet.ingest.handler import Handler
from fleet.keys import FleetKeys, load_keys
from fleet.settings import Settings
from fleet.store.database import Database
from fleet.store.embedded import EmbeddedDatabase
from fleet.store.migrate import migrate


@dataclass(frozen=True, slots=True)
class Fleet:
    """What every command works with."""

    settings: Settings
    keys: FleetKeys
    database: Database
    clock: Clock


@contextmanager
def open_fleet(settings: Settings, *, clock: Clock = system_clock) -> Iterator[Fleet]:
    """Give keys and a database with the newest schema; an embedded one is started if nobody else did.

    Raises:
        KeysMissing: before `init`.
        DatabaseUnavailable: if it cannot be reached.
    """
    keys = load_keys(settings.data_dir / "keys")
    url = settings.database.get_secret_value()
    embedded = EmbeddedDatabase(settings.data_dir) if url == "embedded" else None
    try:
        database = Database(embedded.start() if embedded else url)
        try:
            migrate(database)
            yield Fleet(settings, keys, database, clock)
        finally:
            database.close()
    finally:
        if embedded:
            embedded.stop()


def make_handler(fleet: Fleet) -> Handler:
    """Return what takes in messages of terminals, whichever way they come."""
    return Handler(
        fleet.database,
        fleet.keys,
        fleet_id=fleet.settings.fleet_id,
        zone=fleet.settings.zone(),
        accept_simulated=fleet.settings.accept_simulated,
        statement_months=fleet.settings.slips.statement_months,
        clock=fleet.clock,
    )
