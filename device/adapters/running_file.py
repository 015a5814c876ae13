"""What the terminal's process says of itself, in a small file that the uplink reads: they are two processes."""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ValidationError

from device.whole_file import write_whole
from protocol.health import Running

logger = logging.getLogger(__name__)

_MOST_BYTES = 16 * 1024


class FileRunning:
    """See `device.ports.RunningStore`.

    Args:
        path: the file; one that is missing or damaged counts as nothing said.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._running: Running | None = None
        self._has_failed = False

    def current(self) -> Running | None:
        """Return what was said last."""
        try:
            found = self._path.stat()
        except OSError:
            self._stamp = self._running = None
            return None
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._stamp:
            self._stamp, self._running = stamp, self._read()
        return self._running

    def say(self, running: Running) -> None:
        """Put this in the place of what was said before; a disk that does not take it is logged once and costs nothing else."""
        try:
            write_whole(self._path, running.model_dump_json().encode())
        except OSError as error:
            if not self._has_failed:
                logger.warning("what runs cannot be told file=%s reason=%s", self._path.name, error.strerror)
            self._has_failed = True
        else:
            self._has_failed = False

    def _read(self) -> Running | None:
        try:
            with self._path.open("rb") as file:
                return Running.model_validate_json(file.read(_MOST_BYTES))
        except (OSError, ValidationError) as error:
            logger.warning("what runs cannot be read file=%s error=%s", self._path.name, type(error).__name__)
            return None
