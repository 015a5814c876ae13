"""The open interface under whatever a client may send: described answers only, and never a fault of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis

from fleet.api.guard import TOKEN_PATH
from fleet.app import Fleet
from fleet.service import WebServer, make_web

pytestmark = pytest.mark.integration
EXAMPLES = 12
"""Drawn for each route and each kind of data, beside those that cover its parameters one by one: all routes take about a minute."""
PATIENT = {"failures_per_minute": 1000, "concurrent": 20}


@pytest.fixture
def served(
    database: Any, make_office: Callable[..., Any], make_fleet_terminal: Callable[..., Any], free_ports: Any
) -> Iterator[tuple[str, str]]:
    """Address of a fleet with people, records and a terminal, and a key that may do everything."""
    office = make_office(database, api=PATIENT)
    terminal = make_fleet_terminal()
    office.register(terminal)
    office.import_people(3)
    office.hold_references()
    subject_id, token = next(iter(office.people.items()))
    office.send(terminal, terminal.next(subject_id=subject_id, token=token))
    port = free_ports()
    whole = Fleet(office.settings, office.keys, office.database, office.clock)
    server = WebServer(make_web(whole, broker_state=lambda: "connected", ingest_state=lambda: "ok"), "127.0.0.1", port)
    server.start()
    yield f"http://127.0.0.1:{port}", office.give_key()
    server.stop()


CONFIG = schemathesis.Config.from_dict(
    {
        "generation": {"mode": "all", "max-examples": EXAMPLES, "deterministic": True, "database": "none"},
        "checks": {
            # A number whose check digit is wrong and a moment in the future fit every schema there is.
            "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]},
        },
        # Nobody is a partner by chance.
        "operations": [
            {"include-operation-id": "issue_token", "checks": {"positive_data_acceptance": {"enabled": False}}}
        ],
    }
)
schema = schemathesis.openapi.from_path(Path(__file__).parents[3] / "docs" / "openapi.json", config=CONFIG)


@schema.parametrize()
@hypothesis.settings(deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_r8_13_whatever_a_client_sends_is_answered_as_described(
    case: schemathesis.Case, served: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # It keeps a cache in the working directory.
    monkeypatch.chdir(tmp_path)
    address, key = served
    headers = {} if case.path == TOKEN_PATH else {"Authorization": f"Bearer {key}"}
    case.call_and_validate(base_url=address, headers=headers)
