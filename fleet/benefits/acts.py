"""Takes in what certifies somebody beside the passes of records, with all that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from sqlalchemy import Connection

from fleet.benefits.i_am_here import open_cases
from fleet.clock import day_of
from fleet.status.projection import project
from fleet.store.acts import NewAct, add_acts


def take_acts(connection: Connection, acts: Sequence[NewAct], *, now: datetime, zone: tzinfo) -> set[str]:
    """Store acts that are not here yet, project their subjects, and open a case for whoever is said to be dead or away.

    Returns:
        The subjects with new acts.
    """
    changed = add_acts(connection, acts, now=now)
    project(connection, sorted(changed), zone=zone, today=day_of(now, zone))
    open_cases(connection, changed, now=now, zone=zone)
    return changed
