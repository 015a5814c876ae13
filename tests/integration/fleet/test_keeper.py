"""Who is taken back is in the broker's list and put off it, also while another one is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from fleet.pki.authority import TERMINAL_VALIDITY, Authority
from fleet.pki.files import REVOKED, make_authority, write_revoked
from fleet.pki.keeper import Keeper
from fleet.pki.listed import next_list
from fleet.store.certificates import (
    Revoked,
    StoredCertificate,
    add_certificate,
    restore_certificates,
    revoke_certificates,
)
from tests.integration.authority import listed

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
    looking = threading.Lock()

    def listed_now() -> set[int]:
        with looking:
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


def test_a_list_is_none_of_the_future_when_a_clock_that_was_ahead_is_set_right(
    office: Any, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    issuing = make_authority(tmp_path, "north", now=office.now)
    moment = [office.now + timedelta(days=30)]

    def begins() -> datetime:
        return x509.load_pem_x509_crl((tmp_path / REVOKED).read_bytes()).last_update_utc

    keeper = Keeper(office.database, issuing, tmp_path, expel=lambda _: None, clock=lambda: moment[0])
    keeper.start()
    try:
        eventually(lambda: begins() > office.now, "a list of the future")
        moment[0] = office.now
        eventually(lambda: begins() <= office.now, "a list that holds now")
    finally:
        keeper.stop()


def test_a_list_follows_the_one_of_a_clock_that_was_ahead_by_hours(
    office: Any, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    issuing = make_authority(tmp_path, "north", now=office.now)
    ahead = office.now + timedelta(hours=8)
    write_revoked(tmp_path, issuing, [], now=ahead)
    keep(office, issuing, tmp_path, eventually)
    begins = x509.load_pem_x509_crl((tmp_path / REVOKED).read_bytes()).last_update_utc
    assert begins == ahead.replace(microsecond=0) - timedelta(days=1) + timedelta(seconds=1)


def test_a_list_that_cannot_be_read_keeps_nobody_from_being_taken_back(
    office: Any, tmp_path: Path, make_fleet_terminal: Any, caplog: pytest.LogCaptureFixture
) -> None:
    issuing = make_authority(tmp_path, "north", now=office.now)
    office.register(make_fleet_terminal(terminal_id="t-1"))
    (tmp_path / REVOKED).unlink()
    (tmp_path / REVOKED).mkdir()
    with office.database.begin() as connection:
        end = office.now + timedelta(days=50)
        add_certificate(connection, StoredCertificate("a1", "t-1", "a1", office.now, end))
        revoke_certificates(connection, "t-1", now=office.now)
        assert [each.serial for each in next_list(connection, issuing, tmp_path, now=office.now).revoked] == ["a1"]
    assert "not read" in caplog.text


def keep(office: Any, issuing: Authority, folder: Path, eventually: Callable[..., None]) -> None:
    """Have a keeper write its list anew, as at a start of the fleet."""
    before = (folder / REVOKED).read_bytes()
    keeper = Keeper(office.database, issuing, folder, expel=lambda _: None, clock=office.clock)
    keeper.start()
    try:
        eventually(lambda: (folder / REVOKED).read_bytes() != before, "a new list")
    finally:
        keeper.stop()


def test_what_was_taken_back_after_the_backup_stays_so_in_the_restored_fleet(
    office: Any, tmp_path: Path, make_fleet_terminal: Any, eventually: Callable[..., None]
) -> None:
    issuing = make_authority(tmp_path, "north", now=office.now)
    for serial, name in (("a1", "t-1"), ("b2", "t-2"), ("c3", "t-3")):
        office.register(make_fleet_terminal(terminal_id=name))
        with office.database.begin() as connection:
            end = office.now + timedelta(days=50)
            add_certificate(connection, StoredCertificate(serial, name, serial, office.now, end))
    with office.database.begin() as connection:
        revoke_certificates(connection, "t-2", now=office.now, on_hold=True)
    # As the list was: a1 and b2 taken back since, c3 put on hold; d4 and e5 not even issued yet, and f6 ended long ago.
    day, old = timedelta(days=1), office.now - TERMINAL_VALIDITY
    lost = [Revoked("a1", office.now), Revoked("b2", office.now), Revoked("d4", office.now - day)]
    held = [Revoked("c3", office.now, is_on_hold=True), Revoked("e5", office.now, is_on_hold=True)]
    write_revoked(tmp_path, issuing, [*lost, *held, Revoked("f6", old)], now=office.now)
    keep(office, issuing, tmp_path, eventually)
    assert listed(tmp_path) == {0xA1, 0xB2, 0xD4, 0xE5}, "whether c3 may hold again is this database's to say"
    # From now on the database knows, whatever becomes of the file; b2 was on hold there, and is not any more.
    (tmp_path / REVOKED).write_bytes(b"not a list")
    keep(office, issuing, tmp_path, eventually)
    with office.database.begin() as connection:
        restore_certificates(connection, "t-2")
    (tmp_path / REVOKED).unlink()
    with office.database.begin() as connection:
        found = next_list(connection, issuing, tmp_path, now=office.now).revoked
        assert {each.serial: each.is_on_hold for each in found} == dict.fromkeys(("a1", "b2", "d4", "e5"), False)
        # Whatever it was: what was taken back has ended one validity later. Nothing is forgotten: a clock may be ahead, and set right.
        later = next_list(connection, issuing, tmp_path, now=office.now + TERMINAL_VALIDITY - day).revoked
        assert {each.serial for each in later} == {"e5"}
        again = next_list(connection, issuing, tmp_path, now=office.now).revoked
        assert {each.serial for each in again} == {"a1", "b2", "d4", "e5"}


def test_the_list_of_another_authority_takes_nothing_back(
    office: Any, tmp_path: Path, make_fleet_terminal: Any
) -> None:
    issuing = make_authority(tmp_path / "own", "north", now=office.now)
    other = make_authority(tmp_path / "other", "north", now=office.now)
    office.register(make_fleet_terminal(terminal_id="t-1"))
    with office.database.begin() as connection:
        add_certificate(connection, StoredCertificate("a1", "t-1", "a1", office.now, office.now + timedelta(days=50)))
        write_revoked(tmp_path / "own", other, [Revoked("a1", office.now), Revoked("d4", office.now)], now=office.now)
        assert next_list(connection, issuing, tmp_path / "own", now=office.now).revoked == []
