"""The fleet's own keys, as files only its owner can read."""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fleet.errors import FleetError, KeysMissing
from protocol.errors import ProtocolError
from protocol.keys import PrivateKey
from protocol.references import KEY_BYTES

_NONCE_BYTES = 12
_DIGEST_USE = b"lifecert-fleet digest of a sealed field"
_INDEX_USE = b"lifecert-fleet blind index of names"
_BLIND_BYTES = 8
_SIGNING = "signing.pem"
_SEALING = "sealing.pem"
_CLAIM = "claim.key"
_ENCRYPTION = "encryption.key"
_OWN = (_SIGNING, _CLAIM, _ENCRYPTION)


class FieldCipher:
    """Encrypts the few fields that say who a subject is, for storage.

    AES-256-GCM with a random 96-bit nonce before the ciphertext; the subject and the field's name are authenticated with it, so that
    a stored value cannot be moved to another row. Source: NIST SP 800-38D, as offered by `cryptography`'s AESGCM.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._digest_key = HKDF(SHA256(), length=KEY_BYTES, salt=None, info=_DIGEST_USE).derive(key)
        self._index_key = HKDF(SHA256(), length=KEY_BYTES, salt=None, info=_INDEX_USE).derive(key)

    def encrypt(self, text: str, *, subject_id: str, field_name: str) -> bytes:
        """Return nonce and ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), f"{field_name}:{subject_id}".encode())

    def decrypt(self, stored: bytes, *, subject_id: str, field_name: str) -> str:
        """Return the text.

        Raises:
            FleetError: if it was stored under another key or altered.
        """
        try:
            plain = self._cipher.decrypt(
                stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], f"{field_name}:{subject_id}".encode()
            )
        except (InvalidTag, ValueError) as error:
            raise FleetError(f"subject {subject_id}: stored {field_name} does not open with this key") from error
        return plain.decode()

    def digest(self, text: str, *, subject_id: str, field_name: str) -> bytes:
        """Return 32 bytes that are equal for equal texts of one subject and field, and say nothing without the key.

        HMAC-SHA-256 under a key derived from the cipher's (RFC 2104, RFC 5869).
        """
        return hmac.digest(self._digest_key, f"{field_name}:{subject_id}:{text}".encode(), "sha256")

    def blind(self, text: str) -> int:
        """Return a number of 64 bits, with sign, that is equal for equal texts of all subjects, and cannot be guessed without the key.

        HMAC-SHA-256 under a key of its own derived from the cipher's, cut to its first bytes (RFC 2104, sections 3 and 5; RFC 5869).
        """
        mac = hmac.digest(self._index_key, text.encode(), "sha256")
        return int.from_bytes(mac[:_BLIND_BYTES], "big", signed=True)


@dataclass(frozen=True, slots=True)
class FleetKeys:
    """Everything secret the fleet owns; no repr shows any of it."""

    signing: PrivateKey
    """Signs receipts, rosters and policies."""
    sealing: PrivateKey | None
    """Opens what terminals seal to the fleet; None in a key folder of before there was one, see `sealing_key`."""
    claim_key: bytes = field(repr=False)
    """Key of `protocol.documents.claim_token`, 32 bytes."""
    cipher: FieldCipher = field(repr=False)
    feature_keys: dict[str, bytes] = field(repr=False)
    """Rotation secret of each key domain, 32 bytes."""

    def sealing_key(self) -> PrivateKey:
        """Return the key that opens what terminals seal to the fleet.

        Raises:
            KeysMissing: if the key folder is older than this key.
        """
        if self.sealing is None:
            raise KeysMissing(
                f"{_SEALING}: this fleet has none yet; run `lifecert-fleet init --identity FILE`, and bring FILE to the terminals"
                " (`lifecert-provision accept-fleet FILE`)"
            )
        return self.sealing


def make_keys(folder: Path, *, key_domain: str) -> None:
    """Make all keys in an empty folder, or the key of a new domain beside the others; existing ones are never replaced.

    Raises:
        KeysMissing: if only some of the fleet's own keys are there: new ones would not open what is stored and sent.
    """
    present = [name for name in _OWN if (folder / name).exists()]
    if present and len(present) < len(_OWN):
        _refuse_half(folder)
    if not present and any(folder.glob("feature-*.key")):
        _refuse_half(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    if not (folder / _SIGNING).exists():
        PrivateKey.generate().save(folder / _SIGNING)
    # Not among `_OWN`: a folder of before this key existed is no half of a folder.
    if not (folder / _SEALING).exists():
        PrivateKey.generate().save(folder / _SEALING)
    for name in (_CLAIM, _ENCRYPTION, _feature_file(key_domain)):
        if not (folder / name).exists():
            _write_secret(folder / name, os.urandom(KEY_BYTES))


def load_keys(folder: Path) -> FleetKeys:
    """Read the fleet's keys.

    Raises:
        KeysMissing: if one is absent or unreadable.
    """
    present = [name for name in _OWN if (folder / name).exists()]
    if present and len(present) < len(_OWN):
        _refuse_half(folder)
    signing = _load(folder / _SIGNING)
    sealing = _load(folder / _SEALING) if (folder / _SEALING).exists() else None
    domains = {
        file.name.removeprefix("feature-").removesuffix(".key"): _read_secret(file)
        for file in sorted(folder.glob("feature-*.key"))
    }
    if not domains:
        raise KeysMissing(f"{folder}: no feature key; run `lifecert-fleet init` first")
    return FleetKeys(
        signing=signing,
        sealing=sealing,
        claim_key=_read_secret(folder / _CLAIM),
        cipher=FieldCipher(_read_secret(folder / _ENCRYPTION)),
        feature_keys=domains,
    )


def _load(path: Path) -> PrivateKey:
    try:
        return PrivateKey.load(path)
    except ProtocolError as error:
        raise KeysMissing(f"{path}: cannot be read; run `lifecert-fleet init` first") from error


def _refuse_half(folder: Path) -> NoReturn:
    missing = ", ".join(name for name in _OWN if not (folder / name).exists())
    raise KeysMissing(f"{folder}: {missing} missing beside other keys; restore the folder from a backup")


def _feature_file(domain: str) -> str:
    return f"feature-{domain}.key"


def _write_secret(path: Path, secret: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())


def _read_secret(path: Path) -> bytes:
    try:
        secret = path.read_bytes()
    except OSError as error:
        raise KeysMissing(f"{path}: cannot be read; run `lifecert-fleet init` first") from error
    if len(secret) != KEY_BYTES:
        raise KeysMissing(f"{path}: {len(secret)} bytes, {KEY_BYTES} expected; restore it from a backup")
    return secret
