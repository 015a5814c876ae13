"""Release keys: made once, kept away from the fleet's server, their public halves in one file for terminals and fleet."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from protocol.errors import ProtocolError
from protocol.keys import PrivateKey, PublicJwk
from protocol.release_keys import public_keys, read_release_keys, write_release_keys
from provisioning.errors import AlreadyThere, FileUnusable
from provisioning.identity import write_sure

LEAST_PASSPHRASE = 12
"""Characters: whoever holds the file may try as fast as they like. Source: NIST SP 800-63B, 5.1.1, asks for 8 where tries are counted."""


def make_release_key(path: Path, public: Path, ask: Callable[[], bytes] | None) -> PublicJwk:
    """Make a release key, and add its public half to the file of those that may sign; no key is ever replaced.

    Args:
        path: where the key goes, readable by its owner only.
        public: the file of public keys; made if there is none.
        ask: gives the passphrase by which it is encrypted; called only if there is room for the key. None for none.

    Raises:
        AlreadyThere: if the key's file exists.
        FileUnusable: if a file cannot be read or written, or the passphrase is too short.
    """
    if path.exists():
        raise _there(path)
    passphrase = None if ask is None else ask()
    if passphrase is not None and len(passphrase) < LEAST_PASSPHRASE:
        raise FileUnusable(f"passphrase: {LEAST_PASSPHRASE} characters at least")
    key = ec.generate_private_key(ec.SECP256R1())
    made = PrivateKey.of(key).public()
    try:
        others = public_keys(public.read_bytes()) if public.exists() else []
    except (OSError, ProtocolError) as error:
        raise FileUnusable(f"{public}: {error}") from error
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
            file.flush()
            os.fsync(file.fileno())
        write_sure(public, write_release_keys([*others, made]))
    except FileExistsError as error:
        raise _there(path) from error
    except OSError as error:
        raise FileUnusable(f"{error.filename or path}: {error.strerror}") from error
    return made


def _there(path: Path) -> AlreadyThere:
    return AlreadyThere(f"{path}: exists already; a key is never written over another file")


def load_release_key(path: Path, ask: Callable[[], bytes]) -> PrivateKey:
    """Read a release key.

    Args:
        path: its file.
        ask: gives the passphrase; called only if the key is encrypted.

    Raises:
        FileUnusable: if it cannot be read, is no P-256 key, or the passphrase is not the right one.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error
    password = ask() if b"ENCRYPTED" in data[:200] else None
    try:
        found = load_pem_private_key(data, password)
    except (ValueError, TypeError) as error:
        what = "no private key" if password is None else "another passphrase, or no private key"
        raise FileUnusable(f"{path}: {what}") from error
    if not isinstance(found, ec.EllipticCurvePrivateKey) or not isinstance(found.curve, ec.SECP256R1):
        raise FileUnusable(f"{path}: a P-256 key expected")
    return PrivateKey.of(found)


def load_public(path: Path) -> Callable[[str], PublicJwk | None]:
    """Return what gives the release key of a key id, from the file of those that may sign.

    Raises:
        FileUnusable: if it cannot be read.
    """
    try:
        return read_release_keys(path.read_bytes())
    except OSError as error:
        raise FileUnusable(
            f"{path}: {error.strerror}; name the file that `bundle key` wrote with --release-keys"
        ) from error
    except ProtocolError as error:
        raise FileUnusable(f"{path}: {error}") from error
