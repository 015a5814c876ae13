"""Brings the schema to the newest version; programs that start at the same time wait for each other."""

from __future__ import annotations

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from fleet.store.database import Database

_LOCK = 0x6C636572
"""Advisory lock number of this program's migrations: "lcer" in ASCII."""


def migrate(database: Database, *, to: str = "head") -> None:
    """Run what is missing of the migrations, in one transaction.

    Raises:
        DatabaseUnavailable: if the database cannot be reached.
    """
    with as_file(files("fleet.store").joinpath("migrations")) as folder, database.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, to)
