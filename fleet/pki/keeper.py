"""Keeps what the broker knows of certificates true: a new revocation list within seconds, and before the old one ends.

A new list is what the broker is reloaded for, so one is also written when the broker has a new certificate (`fleet.pki.renewing`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from fleet.clock import Clock, monotonic_s
from fleet.errors import DatabaseUnavailable
from fleet.pki.authority import LIST_VALIDITY, Authority, is_ahead
from fleet.pki.files import REVOKED, write_revoked
from fleet.pki.listed import next_list
from fleet.store.certificates import REVOKED_CHANNEL, terminals_put_out
from fleet.store.database import Availability, Database

logger = logging.getLogger(__name__)

_PUT_OFF_S = 9.0
"""So long a terminal is put off again and again after a new list: the broker reads the list a moment later, and until then it lets the
terminal in once more."""
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
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="revocations", daemon=True)
        self._state = Availability("database for revocations")
        self._moment: datetime | None = None
        """Of the list that was written last."""

    def start(self) -> None:
        """Start; a list is written at once."""
        self._thread.start()

    def write_anew(self) -> None:
        """Have a list written within seconds although nobody was taken back, so that the broker reads its files anew."""
        self._wanted.set()

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
                    # Listening first: what is taken back from here on is heard of, and what was before is looked up.
                    self._write()
                    until_s = dict.fromkeys(self._put_out(), monotonic_s() + _PUT_OFF_S)
                    while not self._stopping.is_set():
                        gone = {each.payload for each in connection.notifies(timeout=_LOOK_S, stop_after=1)}
                        gone |= {each.payload for each in connection.notifies(timeout=0)} if gone else set()
                        if gone or self._is_old() or self._wanted.is_set():
                            self._write()
                        now_s = monotonic_s()
                        until_s |= dict.fromkeys(gone - {""}, now_s + _PUT_OFF_S)
                        until_s = {each: end_s for each, end_s in until_s.items() if now_s <= end_s}
                        # Nobody waits here for another one: the next who is taken back is heard of within a second.
                        for each in sorted(until_s):
                            self._expel(each)
            except DatabaseUnavailable as error:
                self._state.lost(error)
                self._stopping.wait(_LONGEST_WAIT_S)
            except Exception:
                # Top of a thread: without it nobody would be put out until the next start.
                logger.exception("revocation list not written")
                self._stopping.wait(_LONGEST_WAIT_S)

    def _write(self) -> None:
        # Before it is written: what is wanted from here on is not in this one for certain.
        self._wanted.clear()
        now = self._clock()
        with self._database.begin() as connection:
            following = next_list(connection, self._issuing, self._folder, now=now)
        write_revoked(self._folder, self._issuing, following.revoked, now=following.moment)
        self._moment = following.moment
        logger.info("revocation list written file=%s certificates=%d", REVOKED, len(following.revoked))

    def _put_out(self) -> list[str]:
        with self._database.begin() as connection:
            return terminals_put_out(connection, now=self._clock())

    def _is_old(self) -> bool:
        # Ahead where the clock was set back: a broker takes a list of tomorrow for none, and lets nobody in.
        now = self._clock()
        return self._moment is None or now - self._moment >= _RENEWED or is_ahead(self._moment, now=now)
