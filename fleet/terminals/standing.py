"""PURE. Is a terminal there, and what about it wants a person: from its own last word and the times of its own link.

A terminal on a slow link is not gone because it is quiet for a minute: it says itself how often it speaks. The broker's will comes at the
earliest after one and a half of its keep-alive; where the broker has lost its connection to the fleet, or its memory, no will comes at all.
`fleet.store.terminal_lists` says the same in SQL, and a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from protocol.health import THROTTLED, UNDER_VOLTAGE

WILL_AFTER = 1.5
"""Of the keep-alive without a packet, before the broker gives the will. Source: MQTT 3.1.1, section 3.1.2.10."""


class Standing(StrEnum):
    """Whether a terminal is there."""

    ONLINE = "online"
    SILENT = "silent"
    """It should have spoken several times by now, and no will came."""
    OFFLINE = "offline"
    """It said goodbye, the broker gave its will, or it was never on the network and comes by stick."""
    NEVER_SEEN = "never_seen"
    SUSPENDED = "suspended"
    """A person must decide whether it is to be believed."""
    RETIRED = "retired"
    DECOMMISSIONED = "decommissioned"
    """Retired, and it has proven that it erased itself."""


class Concern(StrEnum):
    """What about a terminal wants a person."""

    WARM = "warm"
    THROTTLED = "throttled"
    UNDER_VOLTAGE = "under_voltage"
    MAINS_LOST = "mains_lost"
    LOW_BATTERY = "low_battery"
    LOW_DISK = "low_disk"
    CLOCK_UNSURE = "clock_unsure"
    OLD_OUTBOX = "old_outbox"
    DRIFT = "drift"
    """It has changed against its own past (`fleet.terminals.drift`)."""
    REFUSED = "refused"
    """Records of its own that the fleet does not take."""
    BEHIND = "behind"
    """It is not what it was asked to be, with its bundles or settings, for too long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on something is a concern."""

    missed_presences: int
    """So many in a row, besides the time in which a will would have come."""
    presence_s: float
    """Of terminals that do not say how often they speak."""
    keep_alive_s: int
    """Of the same."""
    warm_c: float
    low_battery_percent: int
    low_disk_bytes: int
    old_outbox: timedelta
    behind: timedelta


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one terminal."""

    retired_at: datetime | None = None
    suspended_at: datetime | None = None
    decommissioned_at: datetime | None = None
    state: str | None = None
    """`online` or `offline` by its last word; None if it never had one."""
    last_word_at: datetime | None = None
    """When anything came from it over the network."""
    offline_at: datetime | None = None
    last_record_at: datetime | None = None
    last_stick_at: datetime | None = None
    presence_s: float | None = None
    keep_alive_s: int | None = None
    health_at: datetime | None = None
    temperature_c: float | None = None
    throttled: int | None = None
    battery_percent: int | None = None
    is_charging: bool | None = None
    disk_free_bytes: int | None = None
    clock_uncertainty_s: float | None = None
    is_mains_lost: bool | None = None
    oldest_unconfirmed_at: datetime | None = None
    refused: int = 0
    alarms: int = 0
    """Of drift, as long as they last."""
    behind_since: datetime | None = None
    """Since when it is not what it was asked to be."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A terminal's standing."""

    standing: Standing
    since: datetime | None
    """Of its last word, goodbye, or retirement; None for one that was never seen."""
    comes_by_stick: bool
    """It is not on the network, and records of it came by stick since."""
    concerns: frozenset[Concern]


_UNWATCHED = frozenset({Standing.RETIRED, Standing.DECOMMISSIONED, Standing.SUSPENDED, Standing.NEVER_SEEN})
"""Nothing of these is measured."""


def silent_after(seen: Seen, limits: Limits) -> timedelta:
    """Return how long this terminal may say nothing."""
    presence_s = seen.presence_s if seen.presence_s is not None else limits.presence_s
    keep_alive_s = seen.keep_alive_s if seen.keep_alive_s is not None else limits.keep_alive_s
    return timedelta(seconds=limits.missed_presences * presence_s + WILL_AFTER * keep_alive_s)


def judge(seen: Seen, limits: Limits, now: datetime) -> Judged:
    """Return how a terminal stands at a moment.

    Args:
        seen: what is known of it.
        limits: from where on something is a concern.
        now: in UTC.
    """
    standing = _standing(seen, limits, now)
    since = {
        Standing.SUSPENDED: seen.suspended_at,
        Standing.RETIRED: seen.retired_at,
        Standing.DECOMMISSIONED: seen.decommissioned_at,
        Standing.OFFLINE: seen.offline_at or seen.last_record_at,
        Standing.NEVER_SEEN: None,
    }.get(standing, seen.last_word_at)
    stick = seen.last_stick_at
    comes_by_stick = (
        standing in (Standing.OFFLINE, Standing.SILENT)
        and stick is not None
        and (seen.last_word_at is None or stick > seen.last_word_at)
    )
    return Judged(standing, since, comes_by_stick, _concerns(seen, standing, limits, now))


def _standing(seen: Seen, limits: Limits, now: datetime) -> Standing:
    if seen.decommissioned_at is not None:
        return Standing.DECOMMISSIONED
    if seen.retired_at is not None:
        return Standing.RETIRED
    if seen.suspended_at is not None:
        return Standing.SUSPENDED
    if seen.state is None and seen.last_record_at is None:
        return Standing.NEVER_SEEN
    if seen.state != "online":
        return Standing.OFFLINE
    if seen.last_word_at is None or now - seen.last_word_at > silent_after(seen, limits):
        return Standing.SILENT
    return Standing.ONLINE


def _concerns(seen: Seen, standing: Standing, limits: Limits, now: datetime) -> frozenset[Concern]:
    if standing in _UNWATCHED:
        return frozenset()
    found: set[Concern] = set()
    if seen.refused:
        found.add(Concern.REFUSED)
    if seen.alarms:
        found.add(Concern.DRIFT)
    if seen.behind_since is not None and now - seen.behind_since > limits.behind:
        found.add(Concern.BEHIND)
    oldest = seen.oldest_unconfirmed_at
    # What a stick has brought since is not known to be waiting any more.
    by_stick = seen.last_stick_at is not None and (seen.last_word_at is None or seen.last_stick_at > seen.last_word_at)
    if oldest is not None and not by_stick and now - oldest > limits.old_outbox:
        found.add(Concern.OLD_OUTBOX)
    # What was measured before it went away says nothing of now.
    if standing is Standing.ONLINE and seen.health_at is not None:
        found |= _of_the_board(seen, limits)
    return frozenset(found)


def _of_the_board(seen: Seen, limits: Limits) -> set[Concern]:
    bits = seen.throttled or 0
    tests = {
        Concern.WARM: seen.temperature_c is not None and seen.temperature_c >= limits.warm_c,
        Concern.THROTTLED: bool(bits & THROTTLED),
        Concern.UNDER_VOLTAGE: bool(bits & UNDER_VOLTAGE),
        Concern.MAINS_LOST: bool(seen.is_mains_lost),
        Concern.LOW_BATTERY: seen.battery_percent is not None
        and seen.battery_percent <= limits.low_battery_percent
        and not seen.is_charging,
        Concern.LOW_DISK: seen.disk_free_bytes is not None and seen.disk_free_bytes < limits.low_disk_bytes,
        Concern.CLOCK_UNSURE: seen.clock_uncertainty_s is None,
    }
    return {concern for concern, holds in tests.items() if holds}
