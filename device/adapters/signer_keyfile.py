"""The terminal's keys and its fleet's identity, read from files."""

from __future__ import annotations

import stat
from pathlib import Path

from device.errors import KeyUnusable
from protocol.envelope import sign
from protocol.errors import ProtocolError
from protocol.keys import PrivateKey
from protocol.registration import FleetIdentity


class KeyfileSigner:
    """See `device.ports.Signer`.

    Raises:
        KeyUnusable: if the key file is missing, damaged, or readable by everybody.
    """

    def __init__(self, path: Path) -> None:
        self._key = load_private_key(path)

    @property
    def key_id(self) -> str:
        """Thumbprint of the public key."""
        return self._key.key_id

    def sign(self, payload: bytes, typ: str) -> bytes:
        """Return a compact JWS."""
        return sign(payload, key=self._key, typ=typ)


def load_private_key(path: Path) -> PrivateKey:
    """Read a private key.

    Raises:
        KeyUnusable: if the key file is missing, damaged, or readable by everybody.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise KeyUnusable(f"key file {path}: {error.strerror}; make it with lifecert-provision identity") from error
    # The group may read: systemd grants a service its credentials through an access list, which shows as group rights.
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise KeyUnusable(f"key file {path}: mode {stat.filemode(mode)}, everybody can read or change it; chmod 600")
    try:
        return PrivateKey.load(path)
    except ProtocolError as error:
        raise KeyUnusable(str(error)) from error


def load_fleet_identity(path: Path, *, fleet_id: str) -> FleetIdentity:
    """Read the identity of the fleet this terminal belongs to.

    Raises:
        KeyUnusable: if the file is missing, damaged, or is another fleet's.
    """
    try:
        identity = FleetIdentity.parse(path.read_bytes())
        identity.signing_key.key()
        if identity.sealing_key is not None:
            identity.sealing_key.key()
    except OSError as error:
        raise KeyUnusable(
            f"fleet identity {path}: {error.strerror}; put it there with lifecert-provision accept-fleet"
        ) from error
    except ProtocolError as error:
        raise KeyUnusable(f"fleet identity {path}: {error}") from error
    if identity.fleet_id != fleet_id:
        raise KeyUnusable(
            f"fleet identity {path}: of fleet {identity.fleet_id!r}, this terminal belongs to {fleet_id!r}"
        )
    return identity
