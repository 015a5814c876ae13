"""What the stores on the disk share: the storage key, keys derived from it, sealed bytes, and files replaced whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from device.errors import KeyUnusable, StoreUnusable
from device.whole_file import write_whole

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
"""96 bits, drawn at random for every sealing. Source: NIST SP 800-38D, section 8.2.2."""


class Sealer:
    """Seals bytes with a key derived from the storage key for one purpose (HKDF, RFC 5869), by AES-256-GCM.

    Args:
        key: the storage key, `KEY_BYTES` bytes.
        purpose: what is sealed; another purpose has another key.
    """

    def __init__(self, key: bytes, purpose: bytes) -> None:
        self._cipher = AESGCM(derived(key, purpose))

    def seal(self, plain: bytes, *, bound_to: bytes = b"") -> bytes:
        """Return nonce and ciphertext; it opens only with the same `bound_to`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, bound_to)

    def open(self, sealed: bytes, *, bound_to: bytes = b"") -> bytes:
        """Return what was sealed.

        Raises:
            StoreUnusable: if it was altered, or sealed with another key or for something else.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError) as error:
            raise StoreUnusable("sealed bytes: altered, or sealed with another key") from error


def derived(key: bytes, purpose: bytes) -> bytes:
    """Return the key of 32 bytes for one purpose."""
    return HKDFExpand(algorithm=SHA256(), length=KEY_BYTES, info=purpose).derive(key)


def load_or_make_key(path: Path) -> bytes:
    """Return the key in a file; a missing file is made, whole and with mode 0600, exactly once among all processes.

    Raises:
        KeyUnusable: if the file cannot be read or made, or has not `KEY_BYTES` bytes.
    """
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise KeyUnusable(f"key file {path}: {error.strerror}") from error
    if len(key) != KEY_BYTES:
        raise KeyUnusable(f"key file {path}: {len(key)} bytes, {KEY_BYTES} expected")
    return key


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` in place of the file: after a power cut either the old or the new one is there, whole.

    Raises:
        OSError: if it cannot be written.
    """
    write_whole(path, data)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes mode 0600; a hard link appears with its whole content and fails if somebody else was first.
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        os.write(descriptor, os.urandom(KEY_BYTES))
        os.fsync(descriptor)
        try:
            os.link(name, path)
        except FileExistsError:
            return
    finally:
        os.close(descriptor)
        Path(name).unlink()
