"""Takes in what partners report about people's lives."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from fleet.store.life_events import NewLifeEvent, add_life_events


def take_in(connection: Connection, reports: Sequence[NewLifeEvent], *, now: datetime) -> int:
    """Store reports that are not here yet, as the word of their source; return how many were new.

    The same source and id is the same report, however often it comes. What follows from it is looked at afterwards, when terminals can be
    locked (`fleet.benefits.i_am_here.look_at_reports`).
    """
    return len(add_life_events(connection, reports, now=now))
