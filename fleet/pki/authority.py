"""The fleet's certificate authority: a root that can lie in a safe, an issuing authority below it, and what each certificate says.

Source: RFC 5280 (profiles of certificates and revocation lists); CA/Browser Forum Baseline Requirements, 7.1 (64 bits of randomness
in a serial number at least, which `cryptography`'s have).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleet.errors import AuthorityEnded, Refused
from fleet.store.certificates import Revoked

ROOT_YEARS = 20
ISSUING_YEARS = 5
TERMINAL_VALIDITY = timedelta(days=60)
"""A terminal that was without network for a month, and tried to renew at half of it, still connects."""
SERVER_VALIDITY = timedelta(days=365)
"""Of the fleet's own: broker, door, and what the fleet connects to the broker with. `fleet.pki.renewing` renews them at half of it."""
LIST_VALIDITY = timedelta(days=90)
"""Of a revocation list. Brokers refuse everybody once it is over, so it outlives a fleet that is down for weeks."""
_BACKDATED = timedelta(days=1)
"""A clock that is a little slow must not take a certificate, or a list, for one of tomorrow."""
_NEXT = timedelta(seconds=1)
"""What a list tells of its moment has no finer parts."""
_FOR_GOOD = x509.ReasonFlags.privilege_withdrawn
"""Source: RFC 5280, 5.3.1, where `certificateHold` is the only one after which a certificate can hold again."""
_YEAR = timedelta(days=365)
_MOST_REQUEST = 8 * 1024
_HOST = re.compile(r"(?=.{1,253}$)(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Authority:
    """Something that issues: its certificate and its key.

    The key may be any implementation of `EllipticCurvePrivateKey`, such as one whose `sign` asks a hardware token (PKCS #11).
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class RevocationList:
    """What a list says."""

    moment: datetime
    """That it was made of."""
    final: list[Revoked]
    """Taken back for good."""
    others: list[Revoked]
    """On hold, or it does not say why."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate as it goes out."""

    certificate: x509.Certificate
    chain: bytes
    """PEM: the certificate, then the issuing authority's."""

    @property
    def serial(self) -> str:
        """Serial number in hexadecimal."""
        return serial_of(self.certificate)


def make_root(fleet_id: str, key: ec.EllipticCurvePrivateKey, *, now: datetime) -> Authority:
    """Make the root of trust; its key is needed again for the issuing authority's certificates only."""
    name = _name(f"Lifecert {fleet_id} root")
    end = now + ROOT_YEARS * _YEAR
    return Authority(_authority(name, name, key.public_key(), key, now=now, end=end, below=1), key)


def make_issuing(fleet_id: str, root: Authority, key: ec.EllipticCurvePrivateKey, *, now: datetime) -> Authority:
    """Make an issuing authority below a root."""
    name = _name(f"Lifecert {fleet_id} issuing {now:%Y-%m-%d}")
    return Authority(_issuing(root, name, key.public_key(), now=now), key)


def renew_issuing(root: Authority, certificate: x509.Certificate, *, now: datetime) -> x509.Certificate:
    """Return an issuing authority's next certificate: for the same name and key, with its years from now on.

    What it issued, and its revocation lists, name their issuer by name and key: they hold below the next certificate as they do below
    this one. A terminal has nothing to do but to renew its own, as always.

    Args:
        root: who vouches for it.
        certificate: the one that it has.
        now: the time.

    Raises:
        Refused: if the root did not make it, the clock stands before that, or the next one would not last longer.
    """
    key = certificate.public_key()
    try:
        certificate.verify_directly_issued_by(root.certificate)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise Refused("issuing authority: another root made it") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Refused("issuing authority: a key on an elliptic curve expected")
    if now < root.certificate.not_valid_before_utc:
        raise Refused("issuing authority: the clock stands before the root was made; set it right first")
    last, ends = root.certificate.not_valid_after_utc, certificate.not_valid_after_utc
    # One that has not was made by a clock that was ahead: that one may be put right.
    has_begun = now >= certificate.not_valid_before_utc
    if has_begun and ends >= last:
        raise Refused(f"issuing authority: it ends with the root, on {last:%Y-%m-%d}, and nothing outlives that")
    made = _issuing(root, certificate.subject, key, now=now)
    if has_begun and made.not_valid_after_utc < ends:
        raise Refused(
            f"issuing authority: it ends on {ends:%Y-%m-%d}, and the next one would end before that; set the clock right first"
        )
    return made


def request_key(request: bytes) -> ec.EllipticCurvePublicKey:
    """Return the key of a certificate request, whoever says what else in it: names are the fleet's to give.

    Raises:
        Refused: if it is none, its signature does not hold, or its key is not P-256.
    """
    if len(request) > _MOST_REQUEST:
        raise Refused(f"certificate request: {len(request)} bytes, at most {_MOST_REQUEST} are taken", code="request")
    try:
        found = x509.load_pem_x509_csr(request)
        is_signed = found.is_signature_valid
        key = found.public_key()
    except (ValueError, TypeError, InvalidSignature) as error:
        raise Refused("certificate request: not a PKCS #10 request in PEM", code="request") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Refused("certificate request: a P-256 key expected", code="request_key")
    if not is_signed:
        raise Refused("certificate request: not signed by the key in it", code="request")
    return key


def issue_client(
    issuing: Authority,
    name: str,
    key: ec.EllipticCurvePublicKey,
    *,
    now: datetime,
    validity: timedelta = TERMINAL_VALIDITY,
    serial: str | None = None,
) -> Issued:
    """Issue what somebody connects with; the broker takes the name for theirs.

    Args:
        issuing: by whom.
        name: a terminal's id, or the name of one of the fleet's own programs.
        key: the public key.
        now: the time.
        validity: how long it is good for; a program of the fleet gets `SERVER_VALIDITY`.
        serial: of a certificate that was issued before with all of this, of which nobody kept more; None for a new one.

    Raises:
        AuthorityEnded: if nothing that is issued now would hold.
    """
    number = None if serial is None else int(serial, 16)
    usage = ExtendedKeyUsageOID.CLIENT_AUTH
    return _leaf(issuing, name, key, now=now, validity=validity, usage=usage, number=number)


def issue_server(issuing: Authority, hosts: Sequence[str], key: ec.EllipticCurvePublicKey, *, now: datetime) -> Issued:
    """Issue what a broker or the fleet's own door answers with.

    Args:
        issuing: by whom.
        hosts: names and addresses by which it is reached, at least one.
        key: the public key.
        now: the time.

    Raises:
        Refused: if a host is neither a name nor an address.
        AuthorityEnded: as `issue_client`.
    """
    names = [_general_name(host) for host in hosts]
    if not names:
        raise Refused("server certificate: a host expected", code="host", host="")
    return _leaf(
        issuing,
        hosts[0][:64],
        key,
        now=now,
        validity=SERVER_VALIDITY,
        usage=ExtendedKeyUsageOID.SERVER_AUTH,
        names=names,
    )


def issue_again(issuing: Authority, certificate: x509.Certificate, *, now: datetime) -> Issued:
    """Issue one of the fleet's own certificates once more: for the same name, key, use and hosts, with a server's time from now on.

    Args:
        issuing: by whom.
        certificate: the old one, which `issue_client` or `issue_server` made.
        now: the time.

    Raises:
        ValueError: if it is none of those.
        AuthorityEnded: as `issue_client`.
    """
    key = certificate.public_key()
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not isinstance(key, ec.EllipticCurvePublicKey) or len(names) != 1:
        raise ValueError(f"certificate {serial_of(certificate)}: not one that this authority issues")
    try:
        (usage,) = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        hosts = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound as error:
        if error.oid != x509.SubjectAlternativeName.oid:
            raise ValueError(f"certificate {serial_of(certificate)}: does not say what it is for") from error
        hosts = []
    return _leaf(issuing, str(names[0].value), key, now=now, validity=SERVER_VALIDITY, usage=usage, names=hosts)


def revocation_list(authority: Authority, revoked: Iterable[Revoked], *, now: datetime) -> bytes:
    """Return the list of what is not to be trusted any more, in PEM. It says what of it is on hold, and what can never hold again.

    Args:
        authority: whose.
        revoked: what is on it.
        now: the time.
    """
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - _BACKDATED)
        .next_update(now + LIST_VALIDITY)
        # Larger with each list: seconds since 1970 are.
        .add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
        .add_extension(_issuer_key(authority.key.public_key()), critical=False)
    )
    for each in revoked:
        why = x509.ReasonFlags.certificate_hold if each.is_on_hold else _FOR_GOOD
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(int(each.serial, 16))
            .revocation_date(each.since)
            .add_extension(x509.CRLReason(why), critical=False)
            .build()
        )
    return builder.sign(authority.key, SHA256()).public_bytes(Encoding.PEM)


def list_moment(now: datetime, last: datetime | None) -> datetime:
    """Return the moment to make a list of, so that a broker goes by it and not by the one before.

    Of several lists of one issuer OpenSSL goes by the one that begins last, of those that have begun, and a broker may keep what it read
    before. So a list is later than the last one, also where the clock was ahead and was set right, as long as it has begun. Where it
    would not have, the last one has not either.

    Args:
        now: what the clock says.
        last: the moment of the last list; None if there was none.
    """
    if last is None or last + _NEXT - _BACKDATED > now:
        return now
    return max(now, last + _NEXT)


def is_ahead(moment: datetime, *, now: datetime) -> bool:
    """Say whether a list of a moment has not begun, because the clock was set back."""
    return moment - _BACKDATED > now


def read_revocation_list(authority: Authority, data: bytes) -> RevocationList:
    """Read a list.

    Args:
        authority: whose it must be.
        data: the list, in PEM.

    Raises:
        Refused: if it is none of this authority's.
    """
    try:
        found = x509.load_pem_x509_crl(data)
        is_own = found.is_signature_valid(authority.key.public_key())
        entries = [_entry(each) for each in found] if is_own else []
    except (ValueError, TypeError) as error:
        raise Refused("revocation list: cannot be read") from error
    if not is_own:
        raise Refused("revocation list: not this authority's")
    return RevocationList(
        found.last_update_utc + _BACKDATED,
        [each for each, why in entries if why == _FOR_GOOD],
        [each for each, why in entries if why != _FOR_GOOD],
    )


def _entry(entry: x509.RevokedCertificate) -> tuple[Revoked, x509.ReasonFlags | None]:
    try:
        why = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        why = None
    is_on_hold = why == x509.ReasonFlags.certificate_hold
    return Revoked(f"{entry.serial_number:x}", entry.revocation_date_utc, is_on_hold), why


def serial_of(certificate: x509.Certificate) -> str:
    """Return a serial number as it is stored and shown: hexadecimal, lower case."""
    return f"{certificate.serial_number:x}"


def _leaf(
    issuing: Authority,
    name: str,
    key: ec.EllipticCurvePublicKey,
    *,
    now: datetime,
    validity: timedelta,
    usage: x509.ObjectIdentifier,
    names: Sequence[x509.GeneralName] = (),
    number: int | None = None,
) -> Issued:
    # Nobody's certificate outlives whoever vouches for it.
    end = min(now + validity, issuing.certificate.not_valid_after_utc)
    if end <= now:
        raise AuthorityEnded(
            f"the issuing authority ended on {end:%Y-%m-%d}: `lifecert-fleet pki renew-issuing`, then the broker and `serve` anew"
        )
    builder = (
        _begun(_name(name), issuing.certificate.subject, key, start=now - _BACKDATED, end=end, number=number)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(_issuer_key(issuing.key.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    made = builder.sign(issuing.key, SHA256())
    return Issued(made, made.public_bytes(Encoding.PEM) + issuing.certificate.public_bytes(Encoding.PEM))


def _issuing(root: Authority, name: x509.Name, key: ec.EllipticCurvePublicKey, *, now: datetime) -> x509.Certificate:
    end = min(now + ISSUING_YEARS * _YEAR, root.certificate.not_valid_after_utc)
    return _authority(name, root.certificate.subject, key, root.key, now=now, end=end, below=0)


def _authority(
    name: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    by: ec.EllipticCurvePrivateKey,
    *,
    now: datetime,
    end: datetime,
    below: int,
) -> x509.Certificate:
    return (
        _begun(name, issuer, key, start=now - _BACKDATED, end=end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=below), critical=True)
        .add_extension(_usage(issues=True), critical=True)
        .add_extension(_issuer_key(by.public_key()), critical=False)
        .sign(by, SHA256())
    )


def _begun(
    name: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    *,
    start: datetime,
    end: datetime,
    number: int | None = None,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number() if number is None else number)
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool = False, issues: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        key_cert_sign=issues,
        crl_sign=issues,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _issuer_key(key: ec.EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not _HOST.fullmatch(host):
            raise Refused(f"host {host!r}: a name or an address expected", code="host", host=host) from None
        return x509.DNSName(host)
