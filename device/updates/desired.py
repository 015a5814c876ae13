"""What the office wants of this terminal, kept whole as the signed bytes that arrived: the newest number wins, whichever way it came."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from device.errors import DesiredUnavailable, SettingsInvalid
from device.settings import Settings, overlaid
from device.signed_file import SignedFile
from protocol.desired import DESIRED_TYP, DesiredState, SettingValues
from protocol.envelope import verify
from protocol.errors import Malformed, NotForUs
from protocol.keys import PublicJwk

logger = logging.getLogger(__name__)


class FileDesiredStore:
    """See `device.ports.DesiredStore` and, for what holds while the file is damaged or cannot be read, `device.signed_file`.

    Args:
        path: where the signed message lies.
        fleet_key: the fleet's public signing key.
        fleet_id: this terminal's fleet.
        terminal_id: this terminal.
        check: raises `SettingsInvalid` of settings that this terminal cannot have.
    """

    def __init__(
        self,
        path: Path,
        fleet_key: PublicJwk,
        *,
        fleet_id: str,
        terminal_id: str,
        check: Callable[[SettingValues], object] = lambda _: None,
    ) -> None:
        self._path = path
        self._fleet_key = fleet_key
        self._address = (fleet_id, terminal_id)
        self._check = check
        self._file = SignedFile(path, what="desired state", verified=self._verified)

    def current(self) -> DesiredState | None:
        """Return the newest that was taken, None when there is none that holds."""
        return self._file.current()

    def apply(self, token: bytes) -> DesiredState:
        """Verify a signed message, keep it if it is newer than the one kept, and return the one then kept.

        What cannot be in force here as a whole is refused as a whole: what was wanted before stays.

        Raises:
            ProtocolError: if it does not hold, is not this terminal's, or asks for settings that it cannot have.
            DesiredUnavailable: if it cannot be written.
        """
        found = self._verified(token)
        known = self._file.current()
        if known is not None and found.number <= known.number:
            return known
        try:
            self._check(found.settings)
        except SettingsInvalid as error:
            raise Malformed(f"{found.TYPE}: {error}") from error
        try:
            self._file.replace(token)
        except OSError as error:
            raise DesiredUnavailable(f"desired state {self._path.name}: {error.strerror}") from error
        logger.info("desired state taken number=%d bundles=%d", found.number, len(found.bundles))
        return found

    def _verified(self, token: bytes) -> DesiredState:
        return read_desired(token, self._fleet_key, self._address)


def read_desired(token: bytes, fleet_key: PublicJwk, address: tuple[str, str]) -> DesiredState:
    """Check a signed message.

    Args:
        token: the bytes as they arrived.
        fleet_key: the fleet's public signing key.
        address: fleet and terminal.

    Raises:
        ProtocolError: if it does not hold, or is another terminal's.
    """
    known = fleet_key.key_id
    payload = verify(token, key_of=lambda kid: fleet_key if kid == known else None, typ=DESIRED_TYP).payload
    found = DesiredState.parse(payload)
    if (found.fleet_id, found.terminal_id) != address:
        raise NotForUs(f"{found.TYPE}: for another terminal")
    return found


def asked(values: SettingValues) -> dict[str, object]:
    """Return the settings that the office has other than the file, by name."""
    return values.model_dump(exclude_none=True)


def checker(settings: Settings) -> Callable[[SettingValues], object]:
    """Return what says whether a terminal with these settings in its file can have others."""
    return lambda values: overlaid(settings, asked(values))
