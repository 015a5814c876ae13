"""Certificates: what each says, what is refused, and that another program takes them for what they are."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleet.errors import KeysMissing, Refused
from fleet.pki.authority import (
    LIST_VALIDITY,
    TERMINAL_VALIDITY,
    Authority,
    RevocationList,
    is_ahead,
    issue_client,
    issue_server,
    list_moment,
    make_issuing,
    make_root,
    read_revocation_list,
    request_key,
    revocation_list,
)
from fleet.pki.files import ISSUING_KEY, REVOKED, ROOT_KEY, load_authority, make_authority, write_revoked
from fleet.store.certificates import Revoked

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def root() -> Authority:
    return make_root("north", ec.generate_private_key(ec.SECP256R1()), now=NOW)


@pytest.fixture(scope="module")
def issuing(root: Authority) -> Authority:
    return make_issuing("north", root, ec.generate_private_key(ec.SECP256R1()), now=NOW)


def request(name: str = "t-17", key: Any = KEY) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256()).public_bytes(Encoding.PEM)


def test_a_terminals_certificate_says_its_name_and_what_it_is_for(issuing: Authority) -> None:
    made = issue_client(issuing, "t-17", KEY.public_key(), now=NOW).certificate
    assert made.subject.rfc4514_string() == "CN=t-17"
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert made.not_valid_before_utc < NOW
    assert made.not_valid_after_utc == NOW + TERMINAL_VALIDITY
    made.verify_directly_issued_by(issuing.certificate)


def test_nothing_outlives_whoever_vouches_for_it(issuing: Authority) -> None:
    late = issuing.certificate.not_valid_after_utc - timedelta(days=1)
    made = issue_client(issuing, "t-17", KEY.public_key(), now=late).certificate
    assert made.not_valid_after_utc == issuing.certificate.not_valid_after_utc


def openssl(folder: Path, *arguments: str, purpose: str, at: datetime = NOW) -> str:
    done = subprocess.run(
        ["openssl", "verify", "-purpose", purpose, "-attime", str(int(at.timestamp())), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    return done.stdout + done.stderr


def test_openssl_takes_them_for_what_they_are(tmp_path: Path, root: Authority, issuing: Authority) -> None:
    client = issue_client(issuing, "t-17", KEY.public_key(), now=NOW)
    server = issue_server(issuing, ["broker.example", "10.0.0.1", "::1"], KEY.public_key(), now=NOW)
    files = {
        "root.pem": root.certificate.public_bytes(Encoding.PEM),
        "issuing.pem": issuing.certificate.public_bytes(Encoding.PEM),
        "client.pem": client.chain,
        "server.pem": server.chain,
        "none.pem": revocation_list(issuing, (), now=NOW),
        "hold.pem": revocation_list(issuing, [Revoked(client.serial, NOW, is_on_hold=True)], now=NOW),
        "one.pem": revocation_list(issuing, [Revoked(client.serial, NOW)], now=NOW),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    chain = ("-CAfile", "root.pem", "-untrusted", "issuing.pem", "-x509_strict")
    assert "client.pem: OK" in openssl(tmp_path, *chain, "client.pem", purpose="sslclient")
    assert "unsuitable certificate purpose" in openssl(tmp_path, *chain, "client.pem", purpose="sslserver")
    for host in ("-verify_hostname", "broker.example"), ("-verify_ip", "10.0.0.1"), ("-verify_ip", "::1"):
        assert "server.pem: OK" in openssl(tmp_path, *chain, *host, "server.pem", purpose="sslserver")
    assert "ostname mismatch" in openssl(
        tmp_path, *chain, "-verify_hostname", "x.example", "server.pem", purpose="sslserver"
    )
    listed = (*chain, "-crl_check", "-CRLfile")
    assert "client.pem: OK" in openssl(tmp_path, *listed, "none.pem", "client.pem", purpose="sslclient")
    assert "certificate revoked" in openssl(tmp_path, *listed, "one.pem", "client.pem", purpose="sslclient")
    assert "certificate revoked" in openssl(tmp_path, *listed, "hold.pem", "client.pem", purpose="sslclient")
    # A fleet that is down for weeks locks nobody out.
    later = NOW + timedelta(days=42)
    assert later < NOW + LIST_VALIDITY
    assert "client.pem: OK" in openssl(tmp_path, *listed, "none.pem", "client.pem", purpose="sslclient", at=later)


def test_a_request_gives_its_key_and_nothing_else() -> None:
    assert request_key(request("somebody-else")) == KEY.public_key()


def test_a_request_that_is_none_is_refused() -> None:
    good = request()
    other = request(key=ec.generate_private_key(ec.SECP384R1()))
    old = request(key=rsa.generate_private_key(65537, 2048))
    body = x509.load_pem_x509_csr(good).public_bytes(Encoding.DER)
    changed = bytearray(body)
    changed[-1] ^= 1
    forged = b"-----BEGIN CERTIFICATE REQUEST-----\n" + __import__("base64").encodebytes(bytes(changed))
    forged += b"-----END CERTIFICATE REQUEST-----\n"
    for wrong in (b"", b"x", good[:200], other, old, forged, good + b"x" * 9000):
        with pytest.raises(Refused):
            request_key(wrong)


@pytest.mark.parametrize("host", ["", "-x", "a b", "http://a", "a/b", "x" * 254, "*.example"])
def test_a_host_that_is_none_is_refused(issuing: Authority, host: str) -> None:
    with pytest.raises(Refused):
        issue_server(issuing, [host], KEY.public_key(), now=NOW)


def test_an_authority_is_made_once_and_read_again(tmp_path: Path) -> None:
    made = make_authority(tmp_path / "pki", "north", now=NOW)
    assert load_authority(tmp_path / "pki").certificate == made.certificate
    assert (tmp_path / "pki" / ROOT_KEY).stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeysMissing, match="nothing was changed"):
        make_authority(tmp_path / "pki", "north", now=NOW)
    # The root in a safe is missed by nothing that happens every day.
    (tmp_path / "pki" / ROOT_KEY).unlink()
    issuing = load_authority(tmp_path / "pki")
    write_revoked(tmp_path / "pki", issuing, [Revoked("abc", NOW)], now=NOW)
    found = x509.load_pem_x509_crl((tmp_path / "pki" / REVOKED).read_bytes())
    assert [each.serial_number for each in found] == [0xABC]


def test_a_list_says_again_what_was_put_on_it_and_anothers_says_nothing(issuing: Authority, tmp_path: Path) -> None:
    final, held = Revoked("abc", NOW), Revoked("def", NOW - timedelta(days=1), is_on_hold=True)
    made = revocation_list(issuing, [final, held], now=NOW)
    assert read_revocation_list(issuing, made) == RevocationList(NOW, [final], [held])
    other = make_authority(tmp_path, "north", now=NOW)
    for wrong in (revocation_list(other, [final], now=NOW), made[:200], b""):
        with pytest.raises(Refused, match="revocation list"):
            read_revocation_list(issuing, wrong)


def test_a_list_follows_the_last_one_as_long_as_it_holds_now() -> None:
    second, hour, day = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
    assert list_moment(NOW, None) == NOW
    assert list_moment(NOW, NOW - hour) == NOW
    # Within one second, or by a clock that was ahead and is set right.
    assert list_moment(NOW, NOW) == NOW + second
    assert list_moment(NOW, NOW + 8 * hour) == NOW + 8 * hour + second
    assert list_moment(NOW, NOW + day - second) == NOW + day
    # One of tomorrow is none today.
    assert list_moment(NOW, NOW + day) == NOW
    assert [is_ahead(NOW + each, now=NOW) for each in (day, day + second)] == [False, True]


def test_a_missing_or_wrong_key_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeysMissing, match="pki init"):
        load_authority(tmp_path)
    make_authority(tmp_path / "pki", "north", now=NOW)
    make_authority(tmp_path / "other", "north", now=NOW)
    (tmp_path / "other" / ISSUING_KEY).replace(tmp_path / "pki" / ISSUING_KEY)
    with pytest.raises(KeysMissing, match="one backup"):
        load_authority(tmp_path / "pki")
