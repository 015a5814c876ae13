"""Shows the made-up agency: a fresh one in an embedded database, and its console in a browser. Nothing is sent anywhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import text

from demo.agency.build import Built, build, settings_for
from fleet.app import Fleet
from fleet.clock import Clock, system_clock
from fleet.keys import load_keys, make_keys
from fleet.service import WebServer, make_web
from fleet.settings import WebSettings
from fleet.store.database import Database
from fleet.store.embedded import EmbeddedDatabase
from fleet.store.migrate import migrate

_EVERY_S = 30.0
_ALIVE = timedelta(minutes=5)
"""Terminals that were heard so shortly before the agency's moment go on saying that they are there."""


@contextmanager
def fresh_agency(
    folder: Path,
    *,
    today: date,
    now: datetime | None = None,
    people: int = 20_000,
    terminals: int = 200,
    seed: int = 1,
    say: Callable[[str], object] = lambda _: None,
) -> Iterator[Built]:
    """Give the made-up agency in an embedded database of a folder; the server ends with the block, the folder stays.

    Raises:
        DatabaseUnavailable: if the embedded server does not start.
    """
    make_keys(folder / "keys", key_domain="d1")
    server = EmbeddedDatabase(folder)
    url = server.start()
    try:
        database = Database(url)
        migrate(database)
        database.close()
        settings = settings_for(data_dir=folder, database=SecretStr(url), accounts={"link_minutes": 60})
        yield build(
            url,
            load_keys(folder / "keys"),
            settings,
            today=today,
            now=now,
            people=people,
            terminals=terminals,
            seed=seed,
            say=say,
        )
    finally:
        server.stop()


@contextmanager
def shown(
    built: Built, *, port: int, host: str = "127.0.0.1", clock: Clock | None = None
) -> Iterator[tuple[str, Fleet]]:
    """Serve the console and the open interface of a made-up agency; give the address, and the fleet to make links for its staff.

    Args:
        built: the agency.
        port: where.
        host: of which address.
        clock: what time it is there; without it the agency's, going on from its moment.

    Raises:
        FleetError: if the address is taken.
    """
    database = Database(built.url)
    try:
        own = built.settings.model_copy(update={"web": WebSettings(host=host, port=port)})
        fleet = Fleet(own, built.keys, database, clock or clock_from(built.now))
        app = make_web(fleet, broker_state=lambda: "not run here", ingest_state=lambda: "not run here")
        server = WebServer(app, host, port)
        server.start()
        ended = threading.Event()
        saying = threading.Thread(target=_say_on, args=(fleet, built.now, ended), daemon=True)
        saying.start()
        try:
            # The name that links have, so that a session is one.
            yield f"http://localhost:{port}/", fleet
        finally:
            ended.set()
            saying.join()
            server.stop()
    finally:
        database.close()


def clock_from(moment: datetime, *, clock: Clock = system_clock) -> Clock:
    """Return a clock that shows a moment now and goes on from there."""
    ahead = moment - clock()
    return lambda: clock() + ahead


def _say_on(fleet: Fleet, moment: datetime, ended: threading.Event) -> None:
    """Have the terminals that are there go on saying so, as no program of theirs runs; without it all would be silent in a while."""
    with fleet.database.begin() as connection:
        alive = connection.execute(
            text("SELECT terminal_id FROM terminals WHERE presence_state = 'online' AND presence_received_at > :since"),
            {"since": moment - _ALIVE},
        ).scalars()
        ids = list(alive)
    while True:
        with fleet.database.begin() as connection:
            connection.execute(
                text(
                    "UPDATE terminals SET presence_said_at = :now, presence_received_at = :now, last_word_at = :now"
                    " WHERE terminal_id = ANY(:ids)"
                ),
                {"now": fleet.clock(), "ids": ids},
            )
        if ended.wait(_EVERY_S):
            return
