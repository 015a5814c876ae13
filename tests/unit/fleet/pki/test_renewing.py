"""The fleet's own certificates: renewed at half of their time and not before, for the same key, and said where that cannot be."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from fleet.errors import NotRenewed
from fleet.pki.authority import SERVER_VALIDITY, TERMINAL_VALIDITY, Authority, issue_client
from fleet.pki.broker import FLEET_NAME, write_broker_files, write_server
from fleet.pki.files import make_authority, write
from fleet.pki.listed import NextList
from fleet.pki.renewing import Renewals, ending, renew_if_due

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
HALF = NOW - timedelta(days=1) + (SERVER_VALIDITY + timedelta(days=1)) / 2
MOMENT = timedelta(seconds=1)
NAMES = ("fleet", "broker", "door")


@pytest.fixture
def issuing(tmp_path: Path) -> Authority:
    made = make_authority(tmp_path / "pki", "north", now=NOW)
    write_broker_files(
        *(tmp_path, tmp_path / "pki", made),
        fleet_id="north",
        hosts=["broker.example", "10.0.0.1"],
        port=8883,
        revoked=NextList(NOW, []),
        now=NOW,
    )
    write_server(tmp_path, "door", made, ["fleet.example"], now=NOW)
    return made


def in_file(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def fits(folder: Path, name: str) -> bool:
    """Say whether key and certificate are a pair, as OpenSSL sees it."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return True


def says(certificate: x509.Certificate) -> tuple[object, ...]:
    """Return all that a certificate says but for its time and number."""
    told = {each.oid: each.value for each in certificate.extensions}
    return certificate.subject, certificate.issuer, certificate.public_key(), told


@pytest.mark.parametrize("name", NAMES)
def test_all_of_the_fleets_own_are_good_for_a_servers_time(issuing: Authority, tmp_path: Path, name: str) -> None:
    assert in_file(tmp_path / f"{name}.pem").not_valid_after_utc == NOW + SERVER_VALIDITY


@pytest.mark.parametrize("name", NAMES)
def test_at_half_of_its_time_one_is_renewed_and_not_before(issuing: Authority, tmp_path: Path, name: str) -> None:
    path, key = tmp_path / f"{name}.pem", (tmp_path / f"{name}.key").read_bytes()
    before = path.read_bytes()
    old = in_file(path)
    assert renew_if_due(path, issuing, now=HALF - MOMENT) == old
    assert path.read_bytes() == before
    new = renew_if_due(path, issuing, now=HALF)
    assert new == in_file(path)
    assert new.serial_number != old.serial_number
    assert says(new) == says(old)
    assert new.not_valid_after_utc == HALF + SERVER_VALIDITY
    new.verify_directly_issued_by(issuing.certificate)
    assert (tmp_path / f"{name}.key").read_bytes() == key
    assert fits(tmp_path, name)
    assert path.stat().st_mode & 0o777 == 0o644


def test_one_that_has_a_terminals_time_gets_a_servers(issuing: Authority, tmp_path: Path) -> None:
    path, key = tmp_path / "old.pem", ec.generate_private_key(ec.SECP256R1()).public_key()
    made = issue_client(issuing, FLEET_NAME, key, now=NOW)
    assert made.certificate.not_valid_after_utc == NOW + TERMINAL_VALIDITY
    write(path, made.chain)
    late = NOW + TERMINAL_VALIDITY + timedelta(days=30)
    renewed = renew_if_due(path, issuing, now=late)
    assert renewed.not_valid_after_utc == late + SERVER_VALIDITY
    assert list(renewed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]


def test_where_a_file_is_a_link_the_one_it_leads_to_is_renewed(issuing: Authority, tmp_path: Path) -> None:
    link = tmp_path / "link.pem"
    link.symlink_to(tmp_path / "fleet.pem")
    new = renew_if_due(link, issuing, now=HALF)
    assert link.is_symlink()
    assert in_file(tmp_path / "fleet.pem") == new


class _CutError(BaseException):
    """The power goes."""


@pytest.mark.parametrize("step", ["open", "fchmod", "fsync", "replace"])
def test_a_cut_leaves_the_old_pair_and_the_next_start_renews(
    issuing: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = {name: in_file(tmp_path / f"{name}.pem") for name in NAMES}
    count = 0

    def cut(real: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            if step == "open" and "rb" in (*arguments, *named.values()):
                return real(*arguments, **named)
            count += 1
            # The first certificate is written whole, the second is cut off.
            if count == 2:
                raise _CutError
            return real(*arguments, **named)

        return called

    where: Any = os if step in ("fchmod", "fsync") else Path
    renewals = Renewals({tmp_path / f"{name}.pem": lambda: None for name in NAMES}, issuing, clock=lambda: HALF)
    with monkeypatch.context() as patched:
        patched.setattr(where, step, cut(getattr(where, step)))
        with pytest.raises(_CutError):
            renewals.start()
    assert [in_file(tmp_path / f"{name}.pem") == before[name] for name in NAMES] == [False, True, True]
    assert all(fits(tmp_path, name) for name in NAMES)
    again = Renewals({tmp_path / f"{name}.pem": lambda: None for name in NAMES}, issuing, clock=lambda: HALF)
    again.start()
    again.stop()
    assert [in_file(tmp_path / f"{name}.pem") == before[name] for name in NAMES] == [False] * 3
    assert all(fits(tmp_path, name) for name in NAMES)


def test_whoever_uses_one_is_told_when_another_one_lies_there(
    issuing: Authority, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    moment, told = [HALF - timedelta(days=1)], []
    kept = {tmp_path / f"{name}.pem": lambda name=name: told.append(name) for name in NAMES}
    renewals = Renewals(kept, issuing, clock=lambda: moment[0])
    renewals.start()
    try:
        assert told == []
        moment[0] = HALF
        eventually(lambda: sorted(told) == sorted(NAMES), "all are renewed")
        # By hand, with `pki broker-config`: nobody has to have the broker reloaded.
        write_server(tmp_path, "broker", issuing, ["broker.example"], now=HALF)
        moment[0] += timedelta(hours=1)
        eventually(lambda: told[3:] == ["broker"], "the one that was written by hand is taken")
    finally:
        renewals.stop()


def test_whoever_uses_one_that_could_not_be_renewed_is_told_of_the_next(
    issuing: Authority, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    moment, told = [HALF], []
    path, other = tmp_path / "broker.pem", make_authority(tmp_path / "other", "north", now=NOW)
    renewals = Renewals({path: lambda: told.append("broker")}, other, clock=lambda: moment[0])
    renewals.start()
    try:
        assert told == []
        write_server(tmp_path, "broker", issuing, ["broker.example"], now=HALF)
        moment[0] += timedelta(hours=1)
        eventually(lambda: told == ["broker"], "the one that was brought is taken")
    finally:
        renewals.stop()


def _without_key(tmp_path: Path, issuing: Authority) -> Authority | None:
    return None


def _of_another(tmp_path: Path, issuing: Authority) -> Authority | None:
    return make_authority(tmp_path / "other", "north", now=NOW)


def _ends_itself(tmp_path: Path, issuing: Authority) -> Authority | None:
    path = tmp_path / "fleet.pem"
    late = issuing.certificate.not_valid_after_utc - timedelta(days=20)
    key = in_file(path).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    write(path, issue_client(issuing, FLEET_NAME, key, now=late, validity=SERVER_VALIDITY).chain)
    return issuing


@pytest.mark.parametrize(
    ("made", "why", "begins"),
    [
        (_without_key, "the key that issues certificates is not here", NOW),
        (_of_another, "another authority issued it", NOW),
        (
            _ends_itself,
            "the issuing authority ends on 2031-11-19: `lifecert-fleet pki renew-issuing`",
            NOW + timedelta(days=5 * 365 - 20),
        ),
    ],
)
def test_what_cannot_be_renewed_stays_and_is_said_once_a_day_from_half_time_on(
    issuing: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture, made: Any, why: str, begins: datetime
) -> None:
    path, by = tmp_path / "fleet.pem", made(tmp_path, issuing)
    before = path.read_bytes()
    found = in_file(path)
    half = found.not_valid_before_utc + (found.not_valid_after_utc - found.not_valid_before_utc) / 2
    with caplog.at_level(logging.WARNING):
        for moment in (half - MOMENT, half, half + MOMENT):
            with_it = Renewals({path: lambda: None}, by, clock=lambda moment=moment: moment)
            with_it.start()
            with_it.stop()
    assert path.read_bytes() == before
    left = (found.not_valid_after_utc - half).days
    assert f"certificate not renewed file=fleet.pem days_left={left}: {why}" in caplog.text
    assert len(caplog.records) == 2
    with pytest.raises(NotRenewed, match=why):
        renew_if_due(path, by, now=half)


def test_a_day_passes_before_the_same_is_said_again(
    issuing: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture, eventually: Callable[..., None]
) -> None:
    moment = [HALF]
    looked: list[datetime] = []

    def clock() -> datetime:
        looked.append(moment[0])
        return moment[0]

    renewals = Renewals({tmp_path / "fleet.pem": lambda: None}, None, clock=clock)
    with caplog.at_level(logging.WARNING):
        renewals.start()
        try:
            moment[0] += timedelta(hours=1)
            eventually(lambda: looked.count(moment[0]) >= 3, "it has looked again")
            assert len(caplog.records) == 1
            moment[0] += timedelta(days=1)
            eventually(lambda: len(caplog.records) == 2, "it says so again")
        finally:
            renewals.stop()


def test_one_that_cannot_be_written_does_not_keep_the_others(
    issuing: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "broken.pem", b"nothing")
    names = ("broken", "gone", "fleet")
    with caplog.at_level(logging.WARNING):
        renewals = Renewals({tmp_path / f"{name}.pem": lambda: None for name in names}, issuing, clock=lambda: HALF)
        renewals.start()
        renewals.stop()
    assert in_file(tmp_path / "fleet.pem").not_valid_after_utc == HALF + SERVER_VALIDITY
    assert [each.getMessage() for each in caplog.records] == [
        "certificate not renewed file=broken.pem: not a certificate in PEM"
    ]


def test_a_clock_before_the_authority_renews_nothing(issuing: Authority, tmp_path: Path) -> None:
    before = (tmp_path / "fleet.pem").read_bytes()
    with pytest.raises(NotRenewed, match="before the authority was made"):
        renew_if_due(tmp_path / "fleet.pem", issuing, now=datetime(1970, 1, 2, tzinfo=UTC))
    assert (tmp_path / "fleet.pem").read_bytes() == before


def test_one_of_a_clock_that_was_ahead_is_renewed_when_it_is_right_again(issuing: Authority, tmp_path: Path) -> None:
    write_server(tmp_path, "door", issuing, ["fleet.example"], now=NOW + timedelta(days=1000))
    renewed = renew_if_due(tmp_path / "door.pem", issuing, now=NOW)
    assert renewed.not_valid_after_utc == NOW + SERVER_VALIDITY


def test_the_office_is_shown_what_nobody_renewed(issuing: Authority, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.pem" for name in ("fleet", "gone")]
    assert ending(paths, now=HALF) == [], "a running fleet has not had its ten minutes yet"
    (found,) = ending(paths, now=HALF + timedelta(hours=1))
    assert (found.name, found.days_left, found.ends_at) == ("fleet.pem", 182, NOW + SERVER_VALIDITY)
    (over,) = ending(paths, now=NOW + timedelta(days=400))
    assert over.days_left == 0
    renew_if_due(paths[0], issuing, now=HALF)
    assert ending(paths, now=HALF + timedelta(hours=1)) == []
