"""Takes in what partners report about people's lives."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from sqlalchemy import Connection

from fleet.status.doubts import keep_doubts
from fleet.store.life_events import NewLifeEvent, add_life_events


def take_in(connection: Connection, reports: Sequence[NewLifeEvent], *, now: datetime, zone: tzinfo) -> int:
    """Store reports that are not here yet, as the word of their source; return how many were new.

    The same source and id is the same report, however often it comes. What contradicts it is found at once; what else follows is looked at
    afterwards, when terminals can be locked (`fleet.benefits.i_am_here.look_at_reports`).
    """
    new = add_life_events(connection, reports, now=now)
    keep_doubts(connection, sorted(set(new.values())), zone=zone)
    return len(new)
