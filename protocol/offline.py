"""How a terminal stands that hears nothing from its fleet: fine, to be warned of, or at its limit.

A limit only keeps a new claim from beginning a session. It never ends one under way and never stops the terminal; what has been
stored is kept for as long as it takes.

Days are counted from the newest moment the fleet signed that reached this terminal. Where something bounds the wall clock, up to now;
else up to what has certainly passed, which is the time the terminal was switched on. So a clock that stands in 2099 is no reason
to refuse anybody.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from protocol.policy import OfflinePolicy
from protocol.presence import OutboxCounts, tally
from protocol.times import DeviceTime, best_guess

_DAY = timedelta(days=1)


class OfflineLevel(StrEnum):
    """How a terminal stands."""

    OK = "ok"
    SOFT = "soft"
    """The staff should let it reach its fleet, by network or by stick."""
    HARD = "hard"
    """No new claim begins a session until it has."""


class OfflineReason(StrEnum):
    """What a level other than OK comes from."""

    DAYS = "days"
    """The fleet was last heard of so long ago."""
    RECORDS = "records"
    """So many records are not confirmed."""
    ROSTER = "roster"
    """The roster ends soon, or has ended; without it only reference cards are taken."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a terminal stands now."""

    level: OfflineLevel
    reasons: tuple[OfflineReason, ...]
    """Everything that is not fine, the worst first."""
    days_offline: int | None
    """Whole days since the fleet was heard of, at least; None when it never was."""
    days_left: int | None
    """Whole days until new claims are refused or the roster ends, whichever is first; None when nothing is known of either."""
    records_left: int
    """New records until new claims are refused."""


def standing(
    policy: OfflinePolicy,
    now: DeviceTime,
    last_contact: datetime | None,
    counts: OutboxCounts,
    roster_expires_at: datetime | None,
) -> Standing:
    """Say how a terminal stands.

    Args:
        policy: the limits.
        now: the moment, with its worth.
        last_contact: newest moment signed by the fleet that has reached the terminal, by whatever way; None when none has.
        counts: what is in the outbox.
        roster_expires_at: when the roster in force ends; None when there is none.
    """
    moment = best_guess(now)
    waiting = tally(counts).waiting
    offline = None if last_contact is None else max(timedelta(0), moment - last_contact)
    found = {
        OfflineReason.DAYS: _level(
            None if offline is None else offline / _DAY, policy.warn_after_days, policy.stop_after_days
        ),
        OfflineReason.RECORDS: _level(waiting, policy.warn_records, policy.stop_records),
        OfflineReason.ROSTER: _roster_level(policy, moment, roster_expires_at),
    }
    worst = max(found.values(), key=_ORDER.index)
    reasons = sorted(
        (why for why in found if found[why] is not OfflineLevel.OK), key=lambda why: -_ORDER.index(found[why])
    )
    ends = [] if offline is None else [timedelta(days=policy.stop_after_days) - offline]
    if roster_expires_at is not None:
        ends.append(roster_expires_at - moment)
    return Standing(
        level=worst,
        reasons=tuple(reasons),
        days_offline=None if offline is None else math.floor(offline / _DAY),
        days_left=max(0, math.floor(min(ends) / _DAY)) if ends else None,
        records_left=max(0, policy.stop_records - waiting),
    )


_ORDER = tuple(OfflineLevel)


def _level(found: float | None, warn: float, stop: float) -> OfflineLevel:
    if found is None or found < warn:
        return OfflineLevel.OK
    return OfflineLevel.SOFT if found < stop else OfflineLevel.HARD


def _roster_level(policy: OfflinePolicy, moment: datetime, roster_expires_at: datetime | None) -> OfflineLevel:
    """A roster that ends is told of as early as days are; it is no limit, because a reference card needs none."""
    if roster_expires_at is None or (roster_expires_at - moment) / _DAY >= policy.warn_after_days:
        return OfflineLevel.OK
    return OfflineLevel.SOFT
