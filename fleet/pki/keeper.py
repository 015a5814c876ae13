"""Keeps what the broker knows of certificates true: a new revocation list within seconds, new certificates before the old ones end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from fleet.clock import Clock
from fleet.errors import DatabaseUnavailable
from fleet.pki.authority import LIST_VALIDITY, Authority
from fleet.pki.files import REVOKED, write_revoked
from fleet.store.certificates import REVOKED_CHANNEL, revoked_certificates
from fleet.store.database import Availability, Database

logger = logging.getLogger(__name__)

_AGAIN_S = (1.0, 2.0, 3.0, 3.0)
"""When a terminal is put off after a new list, again and again: the broker reads the list a moment later, and until then it lets the
terminal in once more. Nine seconds in all."""
_RENEWED = LIST_VALIDITY / 3
_LOOK_S = 1.0
_LONGEST_WAIT_S = 30.0


class Keeper:
    """A thread that listens for certificates that are taken back.

    Args:
        database: where they are.
        issuing: whose list it is.
        folder: where the broker reads it.
        expel: puts a terminal off the broker.
        clock: tells the time.
    """

    def __init__(
        self, database: Database, issuing: Authority, folder: Path, *, expel: Callable[[str], object], clock: Clock
    ) -> None:
        self._database = database
        self._issuing = issuing
        self._folder = folder
        self._expel = expel
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="revocations", daemon=True)
        self._state = Availability("database for revocations")
        self._written_at: datetime | None = None

    def start(self) -> None:
        """Start; a list is written at once."""
        self._thread.start()

    def stop(self) -> None:
        """End; can be called twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._database.listen(REVOKED_CHANNEL) as connection:
                    self._state.back()
                    # Listening first: what is taken back from here on is heard of, and what was before is in the list.
                    self._write()
                    while not self._stopping.is_set():
                        gone = {each.payload for each in connection.notifies(timeout=_LOOK_S, stop_after=1)}
                        gone |= {each.payload for each in connection.notifies(timeout=0)} if gone else set()
                        if gone or self._is_old():
                            self._write()
                        self._put_off(gone)
            except DatabaseUnavailable as error:
                self._state.lost(error)
                self._stopping.wait(_LONGEST_WAIT_S)
            except Exception:
                # Top of a thread: without it nobody would be put out until the next start.
                logger.exception("revocation list not written")
                self._stopping.wait(_LONGEST_WAIT_S)

    def _write(self) -> None:
        now = self._clock()
        with self._database.begin() as connection:
            revoked = revoked_certificates(connection, now=now)
        write_revoked(self._folder, self._issuing, revoked, now=now)
        self._written_at = now
        logger.info("revocation list written file=%s certificates=%d", REVOKED, len(revoked))

    def _is_old(self) -> bool:
        return self._written_at is None or self._clock() - self._written_at >= max(_RENEWED, timedelta(days=1))

    def _put_off(self, terminals: set[str]) -> None:
        if not terminals:
            return
        for wait_s in _AGAIN_S:
            if self._stopping.wait(wait_s):
                return
            for each in sorted(terminals):
                self._expel(each)
        logger.info("terminals put off the broker count=%d", len(terminals))
