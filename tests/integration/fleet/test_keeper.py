"""Who is taken back is in the broker's list and put off it, also while another one is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from fleet.pki.files import REVOKED, make_authority
from fleet.pki.keeper import Keeper
from fleet.store.certificates import (
    StoredCertificate,
    add_certificate,
    restore_certificates,
    revoke_certificates,
)

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]


def test_nobody_who_is_taken_back_waits_for_another_one(
    office: Any, tmp_path: Path, make_fleet_terminal: Any, eventually: Callable[..., None]
) -> None:
    issuing = make_authority(tmp_path, "north", now=office.now)
    for serial, name in (("a1", "t-1"), ("b2", "t-2"), ("c3", "t-3")):
        office.register(make_fleet_terminal(terminal_id=name))
        with office.database.begin() as connection:
            end = office.now + timedelta(days=60)
            add_certificate(connection, StoredCertificate(serial, name, serial, office.now, end))
    put_off: list[tuple[str, set[int]]] = []
    heard = threading.Condition()

    made_at: list[datetime] = []

    def listed_now() -> set[int]:
        found = x509.load_pem_x509_crl((tmp_path / REVOKED).read_bytes())
        made_at.append(found.last_update_utc)
        return {each.serial_number for each in found}

    def expel(name: str) -> None:
        listed = listed_now()
        with heard:
            put_off.append((name, listed))
            heard.notify_all()

    def wait_for(name: str, times: int) -> None:
        with heard:
            assert heard.wait_for(lambda: [each for each, _ in put_off].count(name) >= times, 30)

    keeper = Keeper(office.database, issuing, tmp_path, expel=expel, clock=office.clock)
    keeper.start()
    try:
        with office.database.begin() as connection:
            assert revoke_certificates(connection, "t-1", now=office.now) == 1
        wait_for("t-1", 1)
        with office.database.begin() as connection:
            assert revoke_certificates(connection, "t-2", now=office.now) == 1
        wait_for("t-2", 2)
        with office.database.begin() as connection:
            assert revoke_certificates(connection, "t-3", now=office.now, on_hold=True) == 1
        wait_for("t-3", 1)
        with office.database.begin() as connection:
            assert restore_certificates(connection, "t-3") == 1
        eventually(lambda: listed_now() == {0xA1, 0xB2}, "who is believed again is on no list")
    finally:
        keeper.stop()
    names = [name for name, _ in put_off]
    assert "t-1" in names[names.index("t-2") :], "the first one is put off still"
    assert put_off[0] == ("t-1", {0xA1})
    assert put_off[names.index("t-2")][1] == {0xA1, 0xB2}
    assert put_off[names.index("t-3")][1] == {0xA1, 0xB2, 0xC3}
    assert "" not in names
    # A broker takes no list for newer that says the same second, and the clock stood still here.
    assert len(set(made_at)) == 4
    assert made_at == sorted(made_at)
