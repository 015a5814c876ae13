"""Who may sign in, kept encrypted with the storage key: the uplink writes the file, the terminal sees the change by itself.

How often somebody failed to sign in is kept beside it, because pulling the plug must not give anybody more attempts.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ValidationError

from device.errors import StaffUnavailable, StoreUnusable
from device.ports import Attempts
from device.storage import Sealer, load_or_make_key, replace_file
from protocol.errors import ProtocolError
from protocol.staff import StaffList

logger = logging.getLogger(__name__)

_PURPOSE = b"lifecert staff list"
_Stamp = tuple[int, int, int]


class FileStaffStore:
    """See `device.ports.StaffStore`.

    Args:
        path: the list; the attempts lie beside it, as `attempts.json`.
        key_path: the storage key file; made if missing.

    Raises:
        KeyUnusable: if the key file cannot be read or made.
    """

    def __init__(self, path: Path, key_path: Path) -> None:
        self._path = path
        self._attempts_path = path.with_name("attempts.json")
        self._sealer = Sealer(load_or_make_key(key_path), _PURPOSE)
        self._stamp: _Stamp | None = None
        self._staff: StaffList | None = None

    def current(self) -> StaffList | None:
        """Return the newest list, None when there is none that can be read; a damaged file is reported once."""
        stamp = self._stamp_on_disk()
        if stamp != self._stamp:
            self._staff = None if stamp is None else self._read()
            self._stamp = stamp
        return self._staff

    def apply(self, staff: StaffList) -> bool:
        """Keep a list in place of the one before; return False, unchanged, for one that was issued no later.

        Raises:
            StaffUnavailable: if it cannot be written.
        """
        known = self.current()
        if known is not None and staff.issued_at <= known.issued_at:
            return False
        try:
            replace_file(self._path, self._sealer.seal(staff.to_bytes()))
        except OSError as error:
            raise StaffUnavailable(f"staff list {self._path.name}: {error.strerror}") from error
        logger.info("staff list in force operators=%d places=%d", len(staff.operators), len(staff.places))
        return True

    def attempts(self) -> Attempts:
        """Return the failed attempts; a file that cannot be read counts as none."""
        try:
            return Attempts.model_validate_json(self._attempts_path.read_bytes())
        except FileNotFoundError:
            return Attempts()
        except (OSError, ValidationError) as error:
            logger.warning("attempts to sign in cannot be read error=%s", type(error).__name__)
            return Attempts()

    def note_attempts(self, attempts: Attempts) -> None:
        """Remember the failed attempts.

        Raises:
            StaffUnavailable: if they cannot be written: nobody may be let in then who could not be counted.
        """
        try:
            replace_file(self._attempts_path, attempts.model_dump_json().encode())
        except OSError as error:
            raise StaffUnavailable(f"attempts {self._attempts_path.name}: {error.strerror}") from error

    def _read(self) -> StaffList | None:
        try:
            return StaffList.parse(self._sealer.open(self._path.read_bytes()))
        except (OSError, StoreUnusable, ProtocolError) as error:
            logger.error(  # noqa: TRY400 - the message says all, a trace nothing
                "staff list cannot be used, nobody signs in until the fleet sends one file=%s error=%s",
                self._path.name,
                type(error).__name__,
            )
            return None

    def _stamp_on_disk(self) -> _Stamp | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
