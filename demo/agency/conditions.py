"""What is the matter with terminals of the made-up agency, and what each says of its board, its clock and its stores by that."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Final

from demo.agency.evidence import RUNTIME
from demo.agency.world import MODEL
from fleet.store.terminal_health import HealthHour
from protocol.health import (
    HAS_OCCURRED,
    THROTTLED,
    UNDER_VOLTAGE,
    BoardVitals,
    ClockState,
    Health,
    Held,
    LinkTimes,
    Running,
)
from protocol.records import NetworkUse
from protocol.times import ClockSource


class Condition(StrEnum):
    """What is the matter with a terminal."""

    WELL = "well"
    DULL = "dull"
    """Its pictures have lost sharpness over two weeks: the lens wants cleaning."""
    GLARING = "glaring"
    """Its pictures are too bright since a day: the lamp was moved."""
    SILENT = "silent"
    """Says it is online, and was not heard of for days."""
    OFFLINE = "offline"
    NEVER_SEEN = "never_seen"
    RETIRED = "retired"
    OLD_OUTBOX = "old_outbox"
    """Online, and what it recorded does not come through."""
    GAPS = "gaps"
    """Counters of its chain are missing."""
    QUARANTINED = "quarantined"
    """Messages of it were refused."""
    WARM = "warm"
    """In the sun: its processor is hot, and slowed down."""
    LOW_BATTERY = "low_battery"
    """On its battery, which is nearly empty, and at a weak supply before."""
    UNSURE_CLOCK = "unsure_clock"
    """Nothing has set its clock since it started."""
    BY_STICK = "by_stick"
    """Never on the network; a stick brings its records."""


HISTORY: Final = timedelta(days=8)
_WITH_BATTERY: Final = 0.3
"""Share of terminals that have one: those of mobile units."""
_MIB: Final = 1024 * 1024
_MEMORY_MIB: Final = 1024
_DISK_MIB: Final = 9_000
_STUCK_FOR: Final = timedelta(days=3)
"""So long nothing of a terminal with an old outbox came through."""
_ON_BATTERY_FOR: Final = timedelta(hours=9)


def health_of(
    condition: Condition, terminal_id: str, at: datetime, *, software: str, packs: datetime | None, is_waiting: bool
) -> Health:
    """Return what a terminal says of itself at a moment; the same for the same terminal and moment.

    Args:
        condition: what is the matter with it.
        terminal_id: which.
        at: when.
        software: what it runs.
        packs: when the newest of the rule packs that it has came into force.
        is_waiting: whether records of it are not confirmed.
    """
    board = _board(condition, terminal_id, at, at)
    is_unsure = condition is Condition.UNSURE_CLOCK
    waited = _STUCK_FOR if condition is Condition.OLD_OUTBOX else timedelta(seconds=40)
    draw = Random(f"{terminal_id} rate")  # noqa: S311 - a made population
    return Health(
        board=board,
        uptime_s=draw.randrange(20_000, 900_000),
        clock=ClockState(
            source=ClockSource.NONE if is_unsure else ClockSource.NETWORK, uncertainty_s=None if is_unsure else 0.4
        ),
        link=LinkTimes(presence_s=60, keep_alive_s=30),
        oldest_unconfirmed_s=int(waited.total_seconds()) if is_waiting else None,
        held=Held(rule_packs=packs),
        running=Running(
            software=software,
            networks=(NetworkUse(name="features", sha256=MODEL, runtime=RUNTIME),),
            camera_rate_hz=_rate(condition, terminal_id, at),
            camera_rate_at=at - timedelta(minutes=draw.randrange(2, 40)),
            is_mains_lost=condition is Condition.LOW_BATTERY,
        ),
    )


def hours_of(
    condition: Condition, terminal_id: str, said_at: datetime, *, waiting: int
) -> Iterator[tuple[object, ...]]:
    """Give the hours of a terminal before the one in which it spoke last, as rows of `terminal_health`.

    Args:
        condition: what is the matter with it.
        terminal_id: which.
        said_at: when it spoke last.
        waiting: records that were not confirmed then.
    """
    newest = said_at.replace(minute=0, second=0, microsecond=0)
    stuck_since = said_at - _STUCK_FOR
    for hours in range(int(HISTORY / timedelta(hours=1)), 0, -1):
        at = newest - timedelta(hours=hours)
        board = _board(condition, terminal_id, at, said_at)
        is_stuck = condition is Condition.OLD_OUTBOX and at > stuck_since
        yield _row(
            terminal_id,
            HealthHour(
                hour=at,
                messages=6,
                temperature_c=board.temperature_c,
                throttled=board.throttled,
                battery_percent=board.battery_percent,
                disk_free_bytes=board.disk_free_bytes,
                memory_available_bytes=board.memory_available_bytes,
                oldest_unconfirmed_s=int((at - stuck_since).total_seconds()) if is_stuck else None,
                waiting=round(waiting * ((at - stuck_since) / _STUCK_FOR)) if is_stuck else hours % 2,
                clock_uncertainty_s=None if condition is Condition.UNSURE_CLOCK else 0.4,
                camera_rate_hz=_rate(condition, terminal_id, at),
            ),
        )


def _row(terminal_id: str, hour: HealthHour) -> tuple[object, ...]:
    return (terminal_id, *(getattr(hour, name) for name in HealthHour.__slots__))


def _board(condition: Condition, terminal_id: str, at: datetime, newest: datetime) -> BoardVitals:
    draw = Random(f"{terminal_id} {at:%Y%m%d%H}")  # noqa: S311 - a made population
    own = Random(terminal_id)  # noqa: S311 - as above
    # Rooms are warmest in the afternoon, at 15 of the agency's day, which is 7 UTC.
    warmth = math.cos((at.hour + at.minute / 60 - 7) / 24 * 2 * math.pi)
    is_hot = condition is Condition.WARM and newest - at < timedelta(days=2)
    temperature = 47 + 4 * own.random() + 5 * warmth + draw.uniform(-1, 1) + (27 if is_hot else 0)
    has_battery = own.random() < _WITH_BATTERY or condition is Condition.LOW_BATTERY
    percent, is_charging = 100, True
    if condition is Condition.LOW_BATTERY and newest - at < _ON_BATTERY_FOR:
        percent, is_charging = round(12 + 88 * ((newest - at) / _ON_BATTERY_FOR)), False
    bits = UNDER_VOLTAGE << HAS_OCCURRED if own.random() < 0.05 or condition is Condition.LOW_BATTERY else 0
    if temperature >= 80:
        bits |= THROTTLED | THROTTLED << HAS_OCCURRED
    return BoardVitals(
        temperature_c=round(temperature, 1),
        battery_percent=percent if has_battery else None,
        is_charging=is_charging if has_battery else None,
        throttled=bits,
        disk_free_bytes=round((_DISK_MIB + 400 * own.random() - (newest - at).days) * _MIB),
        memory_total_bytes=_MEMORY_MIB * _MIB,
        memory_available_bytes=round((420 + 60 * draw.random()) * _MIB),
    )


def _rate(condition: Condition, terminal_id: str, at: datetime) -> float:
    draw = Random(f"{terminal_id} {at:%Y%m%d%H} rate")  # noqa: S311 - a made population
    return round(draw.uniform(13.5, 15.2) * (0.6 if condition is Condition.WARM else 1), 1)
