"""What everything in the made-up agency has in common: its day, its seed, its keys and its database."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone

from fleet.keys import FleetKeys
from fleet.settings import Settings
from fleet.store.database import Database
from protocol.policy import default_policy

ZONE = timezone(timedelta(hours=8))
FLEET_ID = "made"
MODEL = hashlib.sha256(b"a network that was never trained").hexdigest()
"""Digest of the face network that all references and records of the agency name."""
POLICY = default_policy()
"""In force since before there was anybody."""
_HOUR = 17
"""Of the agency's day, at which it is looked at unless it is asked for at another moment: the day's sessions are over."""
_LATEST = timedelta(minutes=10)
"""So long before it is looked at the last thing has happened, and arrived."""


@dataclass(frozen=True, slots=True)
class World:
    """One agency that is being made."""

    url: str
    """Of the database."""
    database: Database
    keys: FleetKeys
    settings: Settings
    today: date
    now: datetime
    """The moment at which it is looked at: on its day, or within an hour after it."""
    seed: int
    people: int
    terminals: int

    def at(self, days_ago: float, hour: int = 10) -> datetime:
        """Return an hour of the agency's day some days ago."""
        whole = datetime.combine(self.today, time(hour), ZONE) - timedelta(days=days_ago)
        return self.pressed(whole).astimezone(UTC)

    def pressed(self, at: datetime) -> datetime:
        """Return a moment of today earlier in the day if the agency is looked at before its evening; any other as it is.

        What happens on a whole day has happened, in the same order, by the moment at which it is looked at.
        """
        midnight = datetime.combine(self.today, time(), ZONE)
        share = (self.now - _LATEST - midnight) / (timedelta(hours=_HOUR) - _LATEST)
        return at if at < midnight or share >= 1 else midnight + (at - midnight) * share


def moment_of(today: date) -> datetime:
    """Return the moment at which an agency of a day is looked at: five in the afternoon there."""
    return datetime.combine(today, time(_HOUR), ZONE).astimezone(UTC)


@dataclass(slots=True)
class Agenda:
    """What people and programs did, each at its moment; played in order, so that the audit log is what it would have been."""

    _entries: list[tuple[datetime, int, Callable[[datetime], None]]] = field(default_factory=list)
    _put: int = 0

    def at(self, moment: datetime, act: Callable[[datetime], None]) -> None:
        """Have something done at a moment; what is put down for the same moment happens in the order in which it was."""
        self._put += 1
        heapq.heappush(self._entries, (moment, self._put, act))

    def play(self) -> None:
        """Do everything, also what is put down meanwhile for later."""
        while self._entries:
            moment, _, act = heapq.heappop(self._entries)
            act(moment)
