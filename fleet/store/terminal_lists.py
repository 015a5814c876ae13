"""Terminals in lists and counts, as SQL over twenty thousand of them; the conditions are those of `fleet.terminals.standing`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class Cuts:
    """The limits of `fleet.terminals.standing`, as values of a statement."""

    now: datetime
    missed_presences: int
    presence_s: float
    keep_alive_s: int
    will_after: float
    warm_c: float
    low_battery_percent: int
    low_disk_bytes: int
    old_outbox: timedelta
    behind: timedelta
    throttled_bit: int
    under_voltage_bit: int

    @property
    def values(self) -> dict[str, Any]:
        """By name."""
        return {
            "now": self.now,
            "missed": self.missed_presences,
            "presence_s": self.presence_s,
            "keep_alive_s": self.keep_alive_s,
            "will_after": self.will_after,
            "warm_c": self.warm_c,
            "battery": self.low_battery_percent,
            "disk": self.low_disk_bytes,
            "old_before": self.now - self.old_outbox,
            "behind_before": self.now - self.behind,
            "throttled_bit": self.throttled_bit,
            "voltage_bit": self.under_voltage_bit,
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which terminals."""

    within: Sequence[str] | None = None
    """Only those of these areas themselves; None for all."""
    standing: str | None = None
    concern: str | None = None
    wants_somebody: bool = False
    """Only those that are silent or have a concern."""
    part: str = ""
    """Only those whose id contains this."""

    @property
    def values(self) -> dict[str, Any]:
        """By name."""
        return {
            "within": None if self.within is None else list(self.within),
            "standing": self.standing,
            "part": "%" + self.part.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%",
        }


def terminal_rows(
    connection: Connection, wanted: Wanted, cuts: Cuts, *, after: str, before: str = "", limit: int
) -> list[Row[Any]]:
    """Return terminals after an id in order of id: the columns of `COLUMNS`, `standing` and `concerns`.

    Args:
        connection: where to read.
        wanted: which.
        cuts: from where on something is a concern.
        after: the id before the first.
        before: in its stead, the id after the last.
        limit: most of them.
    """
    values = {**cuts.values, **wanted.values, "after": after, "before": before, "limit": min(limit, MAX_PAGE)}
    rows = list(connection.execute(text(_listed(wanted, is_backwards=bool(before))), values))
    return rows[::-1] if before else rows


def terminal_row(connection: Connection, terminal_id: str, cuts: Cuts) -> Row[Any] | None:
    """Return one terminal, with its latest condition as `health`."""
    return connection.execute(text(_ONE), {**cuts.values, "id": terminal_id}).one_or_none()


def counts(connection: Connection, wanted: Wanted, cuts: Cuts) -> dict[str, int]:
    """Return how many of these terminals there are by standing and by concern, and how many want somebody as `WANTS`."""
    found = dict.fromkeys((*STANDINGS, *CONCERNS, WANTS), 0)
    rows = connection.execute(text(_COUNTED), {**cuts.values, **wanted.values})
    for row in rows:
        names = [name for bit, name in enumerate(CONCERNS) if row.bits >> bit & 1]
        wants = [WANTS] if names or row.standing == "silent" else []
        for name in (row.standing, *names, *wants):
            found[name] += row.terminals
    return found


WANTS = "wants_somebody"
STANDINGS = ("online", "silent", "offline", "never_seen", "suspended", "retired", "decommissioned")
COLUMNS = (
    "t.terminal_id, t.area, t.registered_at, t.retired_at, t.suspended_at, t.decommissioned_at, t.presence_state, t.last_word_at,"
    " t.offline_at, t.last_record_at,"
    " t.last_stick_at, t.presence_s, t.keep_alive_s, t.software, t.policy_version, t.roster_version, t.roster_have,"
    " t.outbox_pending, t.outbox_published, t.outbox_refused, t.pictures_waiting, t.pictures_refused, t.last_counter, t.records,"
    " t.quarantined, t.health_at, t.temperature_c, t.throttled, t.battery_percent, t.is_charging, t.disk_free_bytes,"
    " t.clock_uncertainty_s, t.is_mains_lost, t.oldest_unconfirmed_at, t.alarms, t.behind_since,"
    " t.commissioned_at, t.commissioning_passed"
)
_STANDING = (
    "CASE WHEN t.decommissioned_at IS NOT NULL THEN 'decommissioned' WHEN t.retired_at IS NOT NULL THEN 'retired'"
    " WHEN t.suspended_at IS NOT NULL THEN 'suspended'"
    " WHEN t.presence_state IS NULL AND t.last_record_at IS NULL THEN 'never_seen'"
    " WHEN t.presence_state IS DISTINCT FROM 'online' THEN 'offline'"
    " WHEN t.last_word_at IS NULL OR CAST(:now AS timestamptz) - t.last_word_at > make_interval(secs =>"
    " :missed * coalesce(t.presence_s, :presence_s) + :will_after * coalesce(t.keep_alive_s, :keep_alive_s)) THEN 'silent'"
    " ELSE 'online' END"
)
_ON = "s.health_at IS NOT NULL AND s.standing = 'online' AND "
_CONDITIONS = {
    "warm": _ON + "s.temperature_c >= :warm_c",
    "throttled": _ON + "s.throttled & CAST(:throttled_bit AS integer) <> 0",
    "under_voltage": _ON + "s.throttled & CAST(:voltage_bit AS integer) <> 0",
    "mains_lost": _ON + "s.is_mains_lost",
    "low_battery": _ON + "s.battery_percent <= :battery AND s.is_charging IS NOT TRUE",
    "low_disk": _ON + "s.disk_free_bytes < :disk",
    "clock_unsure": _ON + "s.clock_uncertainty_s IS NULL",
    "old_outbox": (
        "s.oldest_unconfirmed_at < :old_before AND NOT coalesce(s.last_stick_at > s.last_word_at, s.last_stick_at IS NOT NULL)"
    ),
    "drift": "s.alarms > 0",
    "refused": "s.outbox_refused > 0",
    "behind": "s.behind_since < :behind_before",
}
CONCERNS = tuple(_CONDITIONS)
_NONE = "s.standing IN ('retired', 'decommissioned', 'suspended', 'never_seen')"
_CONCERNS = (
    f"CASE WHEN {_NONE} THEN '{{}}'::text[] ELSE array_remove(ARRAY["
    + ", ".join(f"CASE WHEN {condition} THEN '{name}' END" for name, condition in _CONDITIONS.items())
    + "], NULL) END"
)
_BITS = (
    f"CASE WHEN {_NONE} THEN 0 ELSE "
    + " + ".join(
        f"CASE WHEN {condition} THEN {1 << bit} ELSE 0 END" for bit, condition in enumerate(_CONDITIONS.values())
    )
    + " END"
)
"""The same as a number, the first concern its lowest bit: twenty thousand numbers are counted in half the time of as many arrays."""
_FROM = (
    f"SELECT {COLUMNS}, {_STANDING} AS standing FROM terminals t"  # noqa: S608 - our own text
    " WHERE (CAST(:within AS text[]) IS NULL OR t.area = ANY(:within)) AND t.terminal_id LIKE :part"
)


def _listed(wanted: Wanted, *, is_backwards: bool) -> str:
    """Return the statement for terminals on one side of a place.

    Without a condition the key's index ends the search with the page's last row. With one, OFFSET 0 has the standing of each worked out
    once, and what else a row shows only for those of the page.
    """
    place = " AND t.terminal_id < :before" if is_backwards else " AND t.terminal_id > :after"
    order = f" ORDER BY terminal_id {'DESC' if is_backwards else ''} LIMIT :limit"
    conditions = []
    if wanted.standing is not None:
        conditions.append("s.standing = :standing")
    if wanted.concern is not None:
        conditions.append(f"NOT {_NONE} AND {_CONDITIONS.get(wanted.concern, 'false')}")
    if wanted.wants_somebody:
        conditions.append(f"(s.standing = 'silent' OR {_BITS} <> 0)")
    found = f"SELECT s.*, {_CONCERNS} AS concerns FROM ({_FROM}{place}"  # noqa: S608 - our own text
    if not conditions:
        return f"{found}{order}) s ORDER BY terminal_id {'DESC' if is_backwards else ''}"
    return f"{found} OFFSET 0) s WHERE {' AND '.join(conditions)}{order}"


_COUNTED = (
    f"SELECT standing, bits, count(*) AS terminals FROM (SELECT s.standing, {_BITS} AS bits FROM ({_FROM} OFFSET 0) s) f"  # noqa: S608 - our own text
    " GROUP BY standing, bits"
)
_ONE = (
    f"SELECT s.*, {_CONCERNS} AS concerns FROM (SELECT {COLUMNS}, t.health, {_STANDING} AS standing FROM terminals t"  # noqa: S608 - our own text
    " WHERE t.terminal_id = :id) s"
)
