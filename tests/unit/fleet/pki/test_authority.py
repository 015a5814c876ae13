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
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleet.errors import AuthorityEnded, KeysMissing, Refused
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
    renew_issuing,
    request_key,
    revocation_list,
)
from fleet.pki.files import (
    ISSUING_KEY,
    REVOKED,
    ROOT_KEY,
    TRUSTED,
    load_authority,
    make_authority,
    renew_authority,
    write_revoked,
)
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
    for after in (timedelta(0), timedelta(hours=1), timedelta(days=400)):
        with pytest.raises(AuthorityEnded, match="ended on 2031-11-19"):
            issue_client(issuing, "t-17", KEY.public_key(), now=issuing.certificate.not_valid_after_utc + after)


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


def test_what_was_issued_goes_on_holding_below_the_next_certificate(
    tmp_path: Path, root: Authority, issuing: Authority
) -> None:
    end = issuing.certificate.not_valid_after_utc
    late, after = end - timedelta(days=30), end + timedelta(days=20)
    renewed = Authority(renew_issuing(root, issuing.certificate, now=late), issuing.key)
    assert renewed.certificate.not_valid_after_utc == late + timedelta(days=5 * 365)
    before, later = (issue_client(each, "t-17", KEY.public_key(), now=late) for each in (issuing, renewed))
    files = {
        "root.pem": root.certificate.public_bytes(Encoding.PEM),
        "old.pem": issuing.certificate.public_bytes(Encoding.PEM),
        "new.pem": renewed.certificate.public_bytes(Encoding.PEM),
        "before.pem": before.chain,
        "later.pem": later.chain,
        "none.pem": revocation_list(issuing, (), now=late),
        "both.pem": revocation_list(issuing, [Revoked(each.serial, late) for each in (before, later)], now=late),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)

    def verified(issued: str, *, by: str, listed: str, at: datetime) -> str:
        chain = ("-CAfile", "root.pem", "-untrusted", by, "-x509_strict", "-crl_check", "-CRLfile", listed)
        return openssl(tmp_path, *chain, issued, purpose="sslclient", at=at)

    # Each below either, while both hold; a list of before says of both what it said.
    for issued in ("before.pem", "later.pem"):
        for by in ("old.pem", "new.pem"):
            assert f"{issued}: OK" in verified(issued, by=by, listed="none.pem", at=late)
            assert "certificate revoked" in verified(issued, by=by, listed="both.pem", at=late)
    assert "later.pem: OK" in verified("later.pem", by="new.pem", listed="none.pem", at=after)
    assert "expired" in verified("later.pem", by="old.pem", listed="none.pem", at=after)


def test_an_authority_is_given_no_years_that_the_root_has_not(root: Authority, issuing: Authority) -> None:
    root_end, end = root.certificate.not_valid_after_utc, issuing.certificate.not_valid_after_utc
    late = root_end - timedelta(days=365)
    renewed = renew_issuing(root, issuing.certificate, now=late)
    assert renewed.not_valid_after_utc == root_end
    with pytest.raises(Refused, match="nothing outlives that"):
        renew_issuing(root, renewed, now=late)
    later = renew_issuing(root, issuing.certificate, now=NOW + timedelta(hours=20))
    with pytest.raises(Refused, match="set the clock right"):
        renew_issuing(root, later, now=NOW + timedelta(hours=19))
    # In the same second, after a cut.
    assert renew_issuing(root, later, now=NOW + timedelta(hours=20)).not_valid_after_utc == later.not_valid_after_utc
    # Made by a clock that was ahead, and put right; a clock before the root is none to go by.
    for days in (4000, 19 * 365):
        ahead = renew_issuing(root, issuing.certificate, now=NOW + timedelta(days=days))
        right = renew_issuing(root, ahead, now=NOW + timedelta(days=30))
        assert right.not_valid_after_utc == NOW + timedelta(days=30 + 5 * 365) < ahead.not_valid_after_utc
    with pytest.raises(Refused, match="clock stands before the root"):
        renew_issuing(root, issuing.certificate, now=NOW - timedelta(days=9))
    other = make_root("north", ec.generate_private_key(ec.SECP256R1()), now=NOW)
    with pytest.raises(Refused, match="another root made it"):
        renew_issuing(other, issuing.certificate, now=end)


def test_an_authority_is_renewed_with_the_key_from_the_safe(tmp_path: Path) -> None:
    folder, safe, beside = tmp_path / "pki", tmp_path / "safe.key", tmp_path / "broker"
    first = make_authority(folder, "north", now=NOW)
    make_authority(tmp_path / "other", "north", now=NOW)
    (folder / ROOT_KEY).replace(safe)
    beside.mkdir()
    later = NOW + timedelta(days=1000)
    made = renew_authority(folder, safe, elsewhere=[beside], now=later)
    assert load_authority(folder).certificate == made != first.certificate
    root = (folder / "root.pem").read_bytes()
    for place in (folder, beside):
        assert (place / TRUSTED).read_bytes() == made.public_bytes(Encoding.PEM) + root
    # Cut after the first file: what was issued before is trusted, and run again it comes to its end.
    cut = tmp_path / "not-there"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(FileNotFoundError):
        renew_authority(folder, safe, elsewhere=[beside, cut], now=later + timedelta(days=1))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert (beside / TRUSTED).read_bytes() != (folder / TRUSTED).read_bytes()
    cut.mkdir()
    made = renew_authority(folder, safe, elsewhere=[beside, cut], now=later + timedelta(days=2))
    assert load_authority(folder).certificate == made
    assert len({(place / TRUSTED).read_bytes() for place in (folder, beside, cut)}) == 1

    (tmp_path / "locked.key").write_bytes(
        KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x" * 12))
    )
    (tmp_path / "text.key").write_text("x")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for wrong, why in (
        (tmp_path / "gone.key", "No such file"),
        (tmp_path / "text.key", "private key in PEM"),
        (tmp_path / "locked.key", "without a passphrase"),
        (folder / ISSUING_KEY, "not the key of"),
        (tmp_path / "other" / ROOT_KEY, "not the key of"),
    ):
        with pytest.raises(KeysMissing, match=why):
            renew_authority(folder, wrong, now=later + timedelta(days=3))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "root.pem").unlink()
    with pytest.raises(KeysMissing, match="backup"):
        renew_authority(folder, safe, now=later + timedelta(days=3))


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
