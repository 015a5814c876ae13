"""The authority's keys and certificates as files.

root.key      signs the issuing authority; belongs in a safe, and is asked for again within five years
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
from fleet.pki.authority import Authority, make_issuing, make_root, renew_issuing, revocation_list
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
    write(folder / ROOT, root.certificate.public_bytes(Encoding.PEM))
    _write_issuing(folder, issuing.certificate, root.certificate, elsewhere=())
    write_revoked(folder, issuing, (), now=now)
    return issuing


def renew_authority(folder: Path, root_key: Path, *, elsewhere: Iterable[Path] = (), now: datetime) -> x509.Certificate:
    """Put the issuing authority's next certificate in the place of the one it has; return it. Can be done again after a cut.

    Args:
        folder: the authority's.
        root_key: the root's key, from the safe.
        elsewhere: other folders in which a broker has what it trusts.
        now: the time.

    Raises:
        KeysMissing: if something is missing or not what it should be.
        Refused: if the next one would not last longer.
        OSError: if something cannot be written; run again it goes on.
    """
    issuing = load_authority(folder)
    try:
        root = x509.load_pem_x509_certificate((folder / ROOT).read_bytes())
    except (OSError, ValueError) as error:
        raise KeysMissing(f"{folder}: no {ROOT}; bring it back from the fleet's backup") from error
    try:
        key = load_pem_private_key(root_key.read_bytes(), None)
    except OSError as error:
        raise KeysMissing(f"{root_key}: {error.strerror}; it is the {ROOT_KEY} that `pki init` made") from error
    except (ValueError, TypeError) as error:
        raise KeysMissing(f"{root_key}: cannot be read as a private key in PEM without a passphrase") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != root.public_key():
        raise KeysMissing(f"{root_key}: not the key of {folder / ROOT}")
    made = renew_issuing(Authority(root, key), issuing.certificate, now=now)
    _write_issuing(folder, made, root, elsewhere=elsewhere)
    return made


def _write_issuing(
    folder: Path, issuing: x509.Certificate, root: x509.Certificate, *, elsewhere: Iterable[Path]
) -> None:
    issuing_pem = issuing.public_bytes(Encoding.PEM)
    # Whoever is to trust it first: cut in between, what the old one issued is trusted by way of the new one as well.
    for place in (*elsewhere, folder):
        write(place / TRUSTED, issuing_pem + root.public_bytes(Encoding.PEM))
    write(folder / ISSUING, issuing_pem)


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
