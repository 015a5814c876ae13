"""Has roll-outs go on by themselves, and asks terminals that come, or move, for what holds where they are."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, tzinfo

from fleet.clock import Clock, monotonic_s
from fleet.errors import DatabaseUnavailable
from fleet.keys import FieldCipher
from fleet.store import desired, rollouts
from fleet.store.database import Availability, Database
from fleet.store.rollouts import ROLLOUT_CHANNEL
from fleet.updates.desired import refresh
from fleet.updates.rollout import State
from fleet.updates.rollouts import Means, take_turn

logger = logging.getLogger(__name__)

_TURN_S = 20.0
_LOOK_S = 1.0
_LONGEST_WAIT_S = 30.0


class RolloutDriver:
    """A thread that takes turns; any number of processes may have one.

    Args:
        database: where roll-outs are.
        cipher: the fleet's.
        door: as of `fleet.updates.desired.door_of`.
        zone: the agency's, for the hours in which a phase may begin.
        clock: tells the time.
    """

    def __init__(
        self, database: Database, cipher: FieldCipher, *, door: str | None, zone: tzinfo, clock: Clock
    ) -> None:
        self._database = database
        self._means = Means(cipher, door)
        self._zone = zone
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rollouts", daemon=True)
        self._state = Availability("database for roll-outs")
        self._mark: tuple[int, datetime | None] | None = None

    def start(self) -> None:
        """Start; a turn is taken at once."""
        self._thread.start()

    def stop(self) -> None:
        """End; can be called twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def turn(self) -> None:
        """Take one turn with every roll-out under way.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        now = self._clock()
        with self._database.begin() as connection:
            mark = rollouts.mark(connection)
            under_way = rollouts.rollouts_in(connection, (State.RUNNING, State.PAUSED))
            unknown = desired.find_unknown(connection)
            if unknown:
                logger.info("asked anew above numbers that this database never gave terminals=%d", len(unknown))
                refresh(connection, unknown, door=self._means.door, now=now)
            if mark != self._mark:
                # Also what a program of before asked for under another address of the door.
                changed = refresh(connection, None, door=self._means.door, now=now)
                if changed:
                    logger.info("asked for something else terminals=%d", changed)
        self._mark = mark
        for each in under_way:
            try:
                with self._database.begin() as connection:
                    went_on = take_turn(connection, self._means, each.rollout_id, zone=self._zone, now=now)
            except DatabaseUnavailable:
                raise
            except Exception:
                # One roll-out that cannot go on keeps no other waiting.
                logger.exception("roll-out not looked at rollout=%s", each.rollout_id)
                continue
            if went_on:
                logger.info("roll-out has gone on rollout=%s", each.rollout_id)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._database.listen(ROLLOUT_CHANNEL) as connection:
                    self._state.back()
                    due_s = monotonic_s()
                    while not self._stopping.is_set():
                        noticed = list(connection.notifies(timeout=_LOOK_S, stop_after=1))
                        if noticed or monotonic_s() >= due_s:
                            self.turn()
                            due_s = monotonic_s() + _TURN_S
            except DatabaseUnavailable as error:
                self._state.lost(error)
                self._stopping.wait(_LONGEST_WAIT_S)
            except Exception:
                # Top of a thread: without it no roll-out would go on until the next start.
                logger.exception("roll-outs not looked at")
                self._stopping.wait(_LONGEST_WAIT_S)
