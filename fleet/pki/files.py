"""The authority's keys and certificates as files.

root.key      signs the issuing authority; belongs in a safe, and is asked for again in five years
root.pem      what every terminal and server trusts
issuing.key   signs certificates and lists
issuing.pem   its certificate
trusted.pem   both certificates, for servers
revoked.pem   the issuing authority's revocation list, for the broker
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from fleet.errors import KeysMissing
from fleet.pki.authority import Authority, make_issuing, make_root, revocation_list
from fleet.store.certificates import Revoked

ROOT_KEY = "root.key"
ROOT = "root.pem"
ISSUING_KEY = "issuing.key"
ISSUING = "issuing.pem"
TRUSTED = "trusted.pem"
REVOKED = "revoked.pem"


def make_authority(folder: Path, fleet_id: str, *, now: datetime) -> Authority:
    """Make a root and an issuing authority; what is there is not replaced.

    Raises:
        KeysMissing: if some of the files are there: a new root would be trusted by no terminal.
        OSError: if they cannot be written.
    """
    there = [name for name in (ROOT_KEY, ROOT, ISSUING_KEY, ISSUING) if (folder / name).exists()]
    if there:
        raise KeysMissing(
            f"{folder}: has {', '.join(there)} already; nothing was changed, since no terminal would trust a new root"
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    root = make_root(fleet_id, ec.generate_private_key(ec.SECP256R1()), now=now)
    issuing = make_issuing(fleet_id, root, ec.generate_private_key(ec.SECP256R1()), now=now)
    write_key(folder / ROOT_KEY, root.key)
    write_key(folder / ISSUING_KEY, issuing.key)
    root_pem, issuing_pem = (each.certificate.public_bytes(Encoding.PEM) for each in (root, issuing))
    write(folder / ROOT, root_pem)
    write(folder / ISSUING, issuing_pem)
    write(folder / TRUSTED, issuing_pem + root_pem)
    write_revoked(folder, issuing, (), now=now)
    return issuing


def load_authority(folder: Path) -> Authority:
    """Return the issuing authority.

    Raises:
        KeysMissing: if its files are missing or not what they should be.
    """
    try:
        key = load_pem_private_key((folder / ISSUING_KEY).read_bytes(), None)
        certificate = x509.load_pem_x509_certificate((folder / ISSUING).read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise KeysMissing(
            f"{folder}: no issuing authority ({ISSUING_KEY}, {ISSUING}); bring the files back from the fleet's backup, or make"
            " the first ones with `lifecert-fleet pki init`"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise KeysMissing(f"{folder}: {ISSUING_KEY} is not the key of {ISSUING}; bring both back from one backup")
    return Authority(certificate, key)


def write_revoked(folder: Path, issuing: Authority, revoked: Iterable[Revoked], *, now: datetime) -> None:
    """Put a new list in the place of the one a broker reads.

    Raises:
        OSError: if it cannot be written; the old one stays.
    """
    write(folder / REVOKED, revocation_list(issuing, revoked, now=now))


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a private key that only its owner can read; an existing file is never replaced.

    Raises:
        OSError: if it cannot be written, or is there.
    """
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write(path: Path, data: bytes) -> None:
    """Put `data` in the place of a file, whole, readable by everybody: a broker runs as somebody else.

    Raises:
        OSError: if it cannot be written; what was there stays.
    """
    # Several workers may write into one folder: none of them puts another's half in place.
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), 0o644)
        os.fsync(file.fileno())
    fresh.replace(path)
