#!/usr/bin/env python3
"""Write `docs/openapi.json`, what the fleet serves at `/openapi.json`: for whoever makes a client before there is a fleet to ask."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from fastapi import FastAPI

from fleet.api.access import Office
from fleet.api.interface import add_interface
from fleet.clock import system_clock
from fleet.keys import load_keys, make_keys
from fleet.settings import Settings
from fleet.store.database import Database

PAGE = Path(__file__).resolve().parent / "openapi.json"


def page() -> str:
    """Return the whole description; no database is asked for it."""
    with tempfile.TemporaryDirectory() as folder:
        make_keys(Path(folder), key_domain="d1")
        settings = Settings(fleet_id="north", data_dir=Path(folder))
        office = Office(
            Database("postgresql://nowhere/none"), load_keys(Path(folder)), settings, system_clock, after_reports=id
        )
        app = FastAPI(title="Lifecert fleet")
        add_interface(app, office, broker_state=str, ingest_state=str)
        return json.dumps(app.openapi(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
