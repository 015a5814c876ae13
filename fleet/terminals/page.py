"""One terminal's whole page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError
from sqlalchemy import Connection

from fleet.store import events, links, quarantine, terminal_days, terminal_health, terminal_lists, terminal_pages
from fleet.store.events import EventLine
from fleet.store.links import Gap
from fleet.store.quarantine import QuarantineCount
from fleet.store.terminal_health import HealthHour
from fleet.store.terminal_pages import SessionLine
from fleet.terminals.asked import AskedAndSaid, asked_and_said
from fleet.terminals.comparing import Compared, Desired, Reported, compare
from fleet.terminals.daily import alarm_of
from fleet.terminals.drift import Alarm
from fleet.terminals.lists import TerminalItem, cuts_of, item_of
from fleet.terminals.standing import Limits
from protocol.health import Health

SESSIONS = 20
EVENTS = 20
HISTORY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class TerminalPage:
    """What the office knows of one terminal."""

    item: TerminalItem
    health: Health | None
    """As the terminal said it last; None if it never did, or in a way that this fleet no longer knows."""
    compared: list[Compared]
    asked: AskedAndSaid
    hours: list[HealthHour]
    """Of the last week."""
    sessions: list[SessionLine]
    """The newest ones, newest first."""
    events: list[EventLine]
    alarms: list[Alarm]
    """Of drift, the newest first; those that last have no end."""
    gaps: list[Gap]
    quarantine: list[QuarantineCount]


def terminal_page(connection: Connection, terminal_id: str, limits: Limits, *, now: datetime) -> TerminalPage | None:
    """Return the page of a terminal; None where none of this name was ever registered.

    Whoever asks has looked whether the terminal's area (`item.area`) is among theirs.

    Args:
        connection: where to read.
        terminal_id: which.
        limits: from where on something is a concern.
        now: in UTC.
    """
    row = terminal_lists.terminal_row(connection, terminal_id, cuts_of(limits, now))
    if row is None:
        return None
    item = item_of(row, limits, now)
    health = _health(row.health)
    published = terminal_pages.published_for(connection, terminal_id)
    desired = Desired(
        published.policy_version, published.rule_packs, item.roster_version, published.staff, published.card_keys
    )
    reported = Reported(item.policy_version, item.roster_have, None if health is None else health.held)
    return TerminalPage(
        item=item,
        health=health,
        compared=compare(desired, reported),
        asked=asked_and_said(connection, terminal_id),
        hours=terminal_health.health_hours(connection, terminal_id, since=now - HISTORY),
        sessions=terminal_pages.session_lines(connection, terminal_id, limit=SESSIONS),
        events=events.event_lines(connection, limit=EVENTS, terminal_id=terminal_id),
        alarms=[alarm_of(line) for line in terminal_days.alarm_lines(connection, terminal_id)],
        gaps=links.gaps(connection, terminal_id),
        quarantine=quarantine.counts(connection, terminal_id),
    )


def _health(found: object) -> Health | None:
    if found is None:
        return None
    try:
        return Health.model_validate(found)
    except ValidationError:
        # Written by another version of the fleet.
        return None
