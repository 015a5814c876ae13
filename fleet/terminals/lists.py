"""Terminals in lists and counts: rows of the database, each with how it stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from fleet.settings import TerminalSettings
from fleet.store import terminal_lists
from fleet.store.terminal_lists import Cuts, Wanted
from fleet.terminals.standing import WILL_AFTER, Judged, Limits, Seen, judge
from protocol.health import THROTTLED, UNDER_VOLTAGE

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TerminalItem:
    """One terminal in a list."""

    terminal_id: str
    area: str
    judged: Judged
    seen: Seen
    registered_at: datetime
    software: str | None
    """As the terminal says, in a presence it signed."""
    policy_version: str | None
    roster_version: int
    """What the fleet has for it."""
    roster_have: int | None
    """What it says it has."""
    waiting: int | None
    """Records it holds that the fleet has not answered for, by its newest presence; None if it never spoke."""
    pictures_waiting: int | None
    pictures_refused: int | None
    last_counter: int
    records: int
    """Certification records of it that the fleet ever stored."""
    quarantined: int
    """Different messages of it that were refused and are kept."""
    commissioned_at: datetime | None = None
    """When it was last tried before it served people (`protocol.commissioning`); None if it never was."""
    commissioning_passed: bool | None = None
    """Whether it passed."""


def limits_of(settings: TerminalSettings) -> Limits:
    """Return from where on something is a concern."""
    return Limits(
        missed_presences=settings.missed_presences,
        presence_s=settings.presence_s,
        keep_alive_s=settings.keep_alive_s,
        warm_c=settings.warm_c,
        low_battery_percent=settings.low_battery_percent,
        low_disk_bytes=settings.low_disk_mib * _MIB,
        old_outbox=timedelta(hours=settings.old_outbox_hours),
        behind=timedelta(hours=settings.behind_hours),
    )


def list_terminals(
    connection: Connection,
    wanted: Wanted,
    limits: Limits,
    *,
    now: datetime,
    after: str = "",
    before: str = "",
    limit: int = 50,
) -> list[TerminalItem]:
    """Return terminals after an id, in order of id.

    Args:
        connection: where to read.
        wanted: which.
        limits: from where on something is a concern.
        now: in UTC.
        after: the id of the last one of the page before; empty for the first page.
        before: in its stead, the id of the first one of the page after: the last ones before it are returned.
        limit: most of them, at most `fleet.store.terminal_lists.MAX_PAGE`.
    """
    rows = terminal_lists.terminal_rows(
        connection, wanted, cuts_of(limits, now), after=after, before=before, limit=limit
    )
    return [item_of(row, limits, now) for row in rows]


def count_terminals(connection: Connection, wanted: Wanted, limits: Limits, *, now: datetime) -> dict[str, int]:
    """Return how many of these terminals there are by each standing and concern, and how many want somebody, all of them as keys."""
    return terminal_lists.counts(connection, wanted, cuts_of(limits, now))


def cuts_of(limits: Limits, now: datetime) -> Cuts:
    """Return the limits for the database."""
    return Cuts(
        now=now,
        missed_presences=limits.missed_presences,
        presence_s=limits.presence_s,
        keep_alive_s=limits.keep_alive_s,
        will_after=WILL_AFTER,
        warm_c=limits.warm_c,
        low_battery_percent=limits.low_battery_percent,
        low_disk_bytes=limits.low_disk_bytes,
        old_outbox=limits.old_outbox,
        behind=limits.behind,
        throttled_bit=THROTTLED,
        under_voltage_bit=UNDER_VOLTAGE,
    )


def item_of(row: Row[Any], limits: Limits, now: datetime) -> TerminalItem:
    """Return a row of `fleet.store.terminal_lists` with how it stands."""
    seen = Seen(
        retired_at=row.retired_at,
        suspended_at=row.suspended_at,
        decommissioned_at=row.decommissioned_at,
        state=row.presence_state,
        last_word_at=row.last_word_at,
        offline_at=row.offline_at,
        last_record_at=row.last_record_at,
        last_stick_at=row.last_stick_at,
        presence_s=row.presence_s,
        keep_alive_s=row.keep_alive_s,
        health_at=row.health_at,
        temperature_c=row.temperature_c,
        throttled=row.throttled,
        battery_percent=row.battery_percent,
        is_charging=row.is_charging,
        disk_free_bytes=row.disk_free_bytes,
        clock_uncertainty_s=row.clock_uncertainty_s,
        is_mains_lost=row.is_mains_lost,
        oldest_unconfirmed_at=row.oldest_unconfirmed_at,
        refused=row.outbox_refused or 0,
        alarms=row.alarms,
        behind_since=row.behind_since,
    )
    waiting = None if row.outbox_pending is None else row.outbox_pending + row.outbox_published
    return TerminalItem(
        terminal_id=row.terminal_id,
        area=row.area,
        judged=judge(seen, limits, now),
        seen=seen,
        registered_at=row.registered_at,
        software=row.software,
        policy_version=row.policy_version,
        roster_version=row.roster_version,
        roster_have=row.roster_have,
        waiting=waiting,
        pictures_waiting=row.pictures_waiting,
        pictures_refused=row.pictures_refused,
        last_counter=row.last_counter,
        records=row.records,
        quarantined=row.quarantined,
        commissioned_at=row.commissioned_at,
        commissioning_passed=row.commissioning_passed,
    )
