"""The first page says when a certificate of the fleet's own is in its second half and nobody renewed it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from fleet.pki.authority import Authority, issue_client
from fleet.pki.broker import FLEET_NAME
from fleet.pki.files import make_authority, write
from fleet.store.database import Database
from tests.integration.fleet.conftest import NOW

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]
SAID = re.compile(r'<p class="notice warn" role="status">(.*fleet\.pem.*)</p>')


@pytest.fixture
def elsewhere(tmp_path: Path) -> Authority:
    """Somebody else's authority, whose certificate the fleet connects with."""
    return make_authority(tmp_path / "elsewhere", "north", now=NOW - timedelta(days=400))


@pytest.fixture
def office(database: Database, make_office: Callable[..., Any], elsewhere: Authority, tmp_path: Path) -> Any:
    made = NOW - timedelta(days=40)
    issue(tmp_path, elsewhere, made)
    files = {"ca_file": "trusted.pem", "certificate_file": "fleet.pem", "key_file": "fleet.key"}
    broker = {"mode": "external", "host": "broker.example", "port": 8883}
    return make_office(database, broker={**broker, **{name: tmp_path / file for name, file in files.items()}})


def issue(folder: Path, by: Authority, made: Any) -> None:
    """Write what the fleet connects with, good for 60 days."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    write(folder / "fleet.pem", issue_client(by, FLEET_NAME, key, now=made).chain)


def test_it_is_said_with_the_days_that_are_left_until_somebody_has_brought_the_next_one(
    office: Any, sign_in: Callable[..., Any], elsewhere: Authority, tmp_path: Path
) -> None:
    client = sign_in("auditor")
    (said,) = SAID.findall(client.get("/").text)
    assert "days left: 20" in said
    assert "2026-12-10" in said
    (said,) = SAID.findall(sign_in("auditor", language="zh").get("/").text)
    assert "剩余 20 天" in said
    live = client.get("/overview/live?poll=1")
    assert SAID.search(live.text)
    seen = re.search(r"seen=(\w+)", live.text)
    assert seen
    assert client.get(f"/overview/live?poll=1&seen={seen[1]}").status_code == 204
    issue(tmp_path, elsewhere, office.now)
    renewed = client.get(f"/overview/live?poll=1&seen={seen[1]}")
    assert renewed.status_code == 200
    assert not SAID.search(renewed.text)


def test_whoever_looks_after_one_area_is_not_told(office: Any, sign_in: Callable[..., Any]) -> None:
    assert not SAID.search(sign_in("viewer", area="east").get("/").text)
