"""Certificates for tests."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fleet.pki.files import REVOKED
from protocol.trust import ClosingSocket

START = datetime(2020, 1, 1, tzinfo=UTC)
DAYS = 36500


def listed(folder: Path) -> set[int]:
    """Return the serial numbers of the broker's revocation list in a folder."""
    return {each.serial_number for each in x509.load_pem_x509_crl((folder / REVOKED).read_bytes())}


class Authority:
    """A certificate authority for one test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
        self._write("ca", self._certificate(self._name, self._key, is_authority=True), self._key)

    def issue(self, common_name: str, *, start: datetime = START, days: int = DAYS) -> None:
        """Write `<name>.crt` and `<name>.key`, good for 127.0.0.1 from a moment on for so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
        self._write(common_name, self._certificate(name, key, is_authority=False, start=start, days=days), key)

    def context(self, common_name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._folder / "ca.crt")
        context.sslsocket_class = ClosingSocket
        context.load_cert_chain(self._folder / f"{common_name}.crt", self._folder / f"{common_name}.key")
        return context

    def _certificate(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        is_authority: bool,
        start: datetime = START,
        days: int = DAYS,
    ) -> x509.Certificate:
        address = x509.IPAddress(ip_address("127.0.0.1"))
        public = key.public_key()
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=is_authority,
            crl_sign=is_authority,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        (self._folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self._folder / f"{name}.key").write_bytes(pem)
