"""One message of the fleet, kept in a file as the signed bytes that arrived, and verified again whenever it is read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from device.storage import replace_file
from protocol.errors import ProtocolError

logger = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]
_Message = TypeVar("_Message")


class SignedFile(Generic[_Message]):
    """Kept by one process and read by another, which sees the change by itself.

    A file that is damaged or was signed by another key counts as none, and is reported once. While the file cannot be read, what was
    read last stays in force, and reading is tried again every time.

    Args:
        path: where the signed bytes lie.
        what: what the file is, for the log.
        verified: returns the message of signed bytes; raises `ProtocolError` if they do not hold.
    """

    def __init__(self, path: Path, *, what: str, verified: Callable[[bytes], _Message]) -> None:
        self._path = path
        self._what = what
        self._verified = verified
        self._lock = threading.Lock()
        self._stamp: _Stamp | None = None
        self._message: _Message | None = None
        self._is_unreadable = False

    def current(self) -> _Message | None:
        """Return the message in force, None when there is none that holds."""
        with self._lock:
            try:
                stamp = self._stamp_on_disk()
                if stamp != self._stamp:
                    # The stamp is noted last: what could not be read now is tried again, and what was read before holds until then.
                    self._message = None if stamp is None else self._read()
                    self._stamp = stamp
            except OSError as error:
                self._report_unreadable(error)
            else:
                self._is_unreadable = False
            return self._message

    def replace(self, token: bytes) -> None:
        """Put signed bytes in place of the file: after a power cut either the old or the new ones are there, whole.

        Raises:
            OSError: if they cannot be written.
        """
        replace_file(self._path, token)

    def _read(self) -> _Message | None:
        try:
            return self._verified(self._path.read_bytes())
        except ProtocolError as error:
            logger.error(  # noqa: TRY400 - what is wrong stands in the message; a trace adds nothing for a technician
                "%s file cannot be used, there is none until the fleet sends one file=%s reason=%s",
                self._what,
                self._path.name,
                error,
            )
            return None

    def _report_unreadable(self, error: OSError) -> None:
        if not self._is_unreadable:
            logger.error("%s file cannot be read now file=%s reason=%s", self._what, self._path.name, error.strerror)
        self._is_unreadable = True

    def _stamp_on_disk(self) -> _Stamp | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
