"""When something on a terminal happened, by the fleet's own clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from protocol.cases import CaseRecord
from protocol.events import TerminalEvent
from protocol.records import CertificationRecord
from protocol.times import ClockSource, DeviceTime

AnyLink = CertificationRecord | CaseRecord | TerminalEvent
"""A link of a terminal's chain, of whatever kind."""

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the fleet's own clock may have fallen back. Source: the fleet's hosts keep time by NTP, whose steps after a restart and
differences between two hosts are seconds; five minutes leave room for a host that waits for its time server, and a certification is
counted in days, so that so much doubt can move it by one day at most."""
_UNBOUNDED_S = timedelta(days=3650).total_seconds()
"""A clock error bound of ten years or more bounds nothing."""


@dataclass(frozen=True, slots=True)
class Bracket:
    """Between which moments something happened, by the fleet's own clock."""

    earliest: datetime | None
    """None when nothing bounds it."""
    latest: datetime
    contradicted: bool = False
    """Whether the terminal's clock said otherwise."""


def bracket_of(moment: DeviceTime, received_at: datetime) -> Bracket:
    """Return between which moments a device's moment lies, by the fleet's clock.

    The fleet itself knows two bounds: not before the newest time it had signed for the terminal, not after the arrival. The terminal's wall
    clock, with its stated bound, narrows them; where it contradicts them it is set aside. Without a source or a bound it says nothing.
    A moment ahead of the arrival by no more than `CLOCK_TOLERANCE` means that the fleet's clock fell back: it is taken as the arrival. A
    signed time further ahead bounds nothing. What the terminal says has certainly passed since, which is the time it was switched on,
    raises the lower bound.
    """
    lower = [at for at in (moment.last_fleet_time, moment.not_before) if at is not None]
    right = [min(at, received_at) for at in lower if at - received_at <= CLOCK_TOLERANCE]
    is_floor_wrong = len(right) < len(lower)
    floor = max(right, default=None)
    spread = moment.uncertainty_s
    if moment.source is ClockSource.NONE or spread is None or spread >= _UNBOUNDED_S:
        return Bracket(floor, received_at, contradicted=is_floor_wrong)
    doubt = timedelta(seconds=spread)
    try:
        low, high = moment.wall_clock - doubt, moment.wall_clock + doubt
    except OverflowError:
        return Bracket(floor, received_at, contradicted=True)
    if low - received_at > CLOCK_TOLERANCE or (floor is not None and high < floor):
        return Bracket(floor, received_at, contradicted=True)
    low, high = min(low, received_at), min(high, received_at)
    return Bracket(low if floor is None else max(low, floor), high, contradicted=is_floor_wrong)


def moment_of(link: AnyLink) -> DeviceTime:
    """Return when, by its terminal, what a link says happened: the decision, the opening of the case, the event."""
    if isinstance(link, CertificationRecord):
        return link.decided
    return link.opened if isinstance(link, CaseRecord) else link.at
