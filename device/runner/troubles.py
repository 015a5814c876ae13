"""Notes what goes wrong at a terminal for its fleet: once for each time it comes to that, however often it is met."""

from __future__ import annotations

import logging
from collections import deque
from datetime import datetime

from device.errors import DeviceError
from device.runner.claims import is_garbage
from device.runner.events import EventLog
from device.runner.loop import Ports, Runner
from device.session.events import Fault
from protocol.events import EventKind
from protocol.offline import OfflineLevel, OfflineReason
from protocol.times import DeviceTime

logger = logging.getLogger(__name__)

_LOST = {Fault.CAMERA: EventKind.CAMERA_LOST, Fault.LIGHT: EventKind.LIGHT_LOST}
_STANDING = {OfflineLevel.SOFT: EventKind.OFFLINE_WARNING, OfflineLevel.HARD: EventKind.OFFLINE_LIMIT}
_GARBAGE_TEXTS = 3
_GARBAGE_NS = 3600 * 1_000_000_000
"""So many texts within so long that are no document, card or code are noted, and for as long nothing more of it. Assumptions: one or two
are a crumb on the glass or a parcel's label, three in an hour a reader or a habit that somebody should look at; and 24 events a day at most
leave a terminal that nobody reaches for months room for its records (`offline.stop_records` 5000)."""


class Troubles:
    """Remembers what has been noted. Used by the loop's thread.

    Args:
        runner: knows how the terminal stands without its fleet.
        ports: of the sessions.
        events: takes the notes.
    """

    def __init__(self, runner: Runner, ports: Ports, events: EventLog) -> None:
        self._runner = runner
        self._ports = ports
        self._events = events
        self._lost: set[Fault] = set()
        """What the fleet believes to be lost: noted so, and not yet as back. A camera is tried again every few seconds for ever."""
        self._level = OfflineLevel.OK
        self._roster_ended: datetime | None = None
        """When the roster ended whose end was noted last."""
        self._jumps = 0
        self._garbage_ns: deque[int] = deque()
        """When garbage was read, within the last `_GARBAGE_NS`."""
        self._garbage_noted_ns: int | None = None

    def lost(self, fault: Fault) -> None:
        """Note that camera or light is lost; other faults have no event."""
        if fault in _LOST and fault not in self._lost and self._events.note(_LOST[fault]):
            self._lost.add(fault)

    def back(self) -> None:
        """Note that the camera is back, if it was lost: the terminal is free again."""
        self._lost &= {Fault.CAMERA}
        if self._lost and self._events.note(EventKind.CAMERA_BACK):
            self._lost.clear()

    def standing(self) -> None:
        """Note that the terminal must reach its fleet soon, or must have, once for each time it comes to that."""
        try:
            found = self._runner.standing()
        except DeviceError as error:
            logger.warning("standing without the fleet unknown why=%s", error)
            return
        # A roster that ends is on the screen, and has an event of its own once it has ended.
        kind = None if set(found.reasons) <= {OfflineReason.ROSTER} else _STANDING.get(found.level)
        if kind is not None and found.level is not self._level:
            self._events.note(kind, reasons="+".join(found.reasons), records_left=found.records_left)
        self._level = found.level

    def roster(self) -> None:
        """Note that the roster has expired, once for each that does (and again after a start, which remembers nothing of it)."""
        try:
            ended = self._ports.references.expires_at() if self._ports.references.has_expired() else None
        except DeviceError as error:
            logger.warning("not known whether the roster has expired why=%s", error)
            return
        if ended is not None and ended != self._roster_ended and self._events.note(EventKind.ROSTER_EXPIRED):
            self._roster_ended = ended

    def clock(self, now: DeviceTime) -> None:
        """Note that the clock jumped since it was last read."""
        jump = now.last_jump
        if now.jumps > self._jumps and jump is not None:
            self._events.note(EventKind.CLOCK_JUMPED, direction=jump.direction, seconds=round(jump.seconds))
        self._jumps = now.jumps

    def read(self, text: str, now_ns: int) -> None:
        """Count what readers give, whoever is served and whatever page is shown: a reader breaks at any time."""
        try:
            if not is_garbage(text, self._ports.references):
                return
        except DeviceError as error:
            logger.warning("not known whether a reader gives garbage why=%s", error)
            return
        self._garbage_ns.append(now_ns)
        while now_ns - self._garbage_ns[0] >= _GARBAGE_NS:
            self._garbage_ns.popleft()
        is_news = self._garbage_noted_ns is None or now_ns - self._garbage_noted_ns >= _GARBAGE_NS
        if (
            is_news
            and len(self._garbage_ns) >= _GARBAGE_TEXTS
            and self._events.note(EventKind.READER_GARBAGE, texts=len(self._garbage_ns))
        ):
            self._garbage_noted_ns = now_ns
