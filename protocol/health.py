"""What a terminal's board, stores and clock are like: a part of presence, said every few minutes and when something of it changes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from protocol.ids import Sha256
from protocol.records import NetworkUse
from protocol.times import ClockSource
from protocol.wire import UtcTime, WirePart

UNDER_VOLTAGE = 1 << 0
FREQUENCY_CAPPED = 1 << 1
THROTTLED = 1 << 2
SOFT_TEMPERATURE_LIMIT = 1 << 3
HAS_OCCURRED = 16
"""What is in the four lower bits now has its like 16 bits higher for since the start of the board.
Source: Raspberry Pi documentation, "vcgencmd", `get_throttled`."""
NOW_BITS = UNDER_VOLTAGE | FREQUENCY_CAPPED | THROTTLED | SOFT_TEMPERATURE_LIMIT

_Name = Annotated[str, Field(min_length=1, max_length=64)]


class BoardVitals(WirePart):
    """What the board says of itself; None for what it has not, or does not tell without special rights."""

    temperature_c: float | None = Field(default=None, ge=-60, le=200)
    """Of the processor, in degrees Celsius."""
    battery_percent: int | None = Field(default=None, ge=0, le=100)
    is_charging: bool | None = None
    throttled: int | None = Field(default=None, ge=0, le=0xFFFFF)
    """The bits above: what the power supply and the temperature do to the processor."""
    disk_free_bytes: int | None = Field(default=None, ge=0)
    """Of the data folder's file system, for programs without special rights."""
    memory_total_bytes: int | None = Field(default=None, ge=0)
    memory_available_bytes: int | None = Field(default=None, ge=0)
    """Without swapping. Source: proc(5), MemAvailable."""

    @property
    def is_under_voltage(self) -> bool | None:
        """Whether the supply is too weak now; None where the board does not say."""
        return None if self.throttled is None else bool(self.throttled & UNDER_VOLTAGE)

    @property
    def was_under_voltage(self) -> bool | None:
        """Whether it was too weak since the board started."""
        return None if self.throttled is None else bool(self.throttled & (UNDER_VOLTAGE << HAS_OCCURRED))


class ClockState(WirePart):
    """How good the terminal's clock is."""

    source: ClockSource
    uncertainty_s: float | None = Field(default=None, ge=0)
    """Bound on its error in seconds; None when nothing bounds it."""
    jumps: int = Field(default=0, ge=0)
    """Since the board started."""


class LinkTimes(WirePart):
    """How often a word is to be expected, as this terminal is set."""

    presence_s: float = Field(gt=0)
    """Presence is repeated after so many seconds."""
    keep_alive_s: int = Field(gt=0)
    """Of the MQTT connection: after one and a half of it without a packet the broker gives the will. Source: MQTT 3.1.1, 3.1.2.10."""


class Held(WirePart):
    """What of the fleet's messages is in force on the terminal, besides policy and roster; None where there is none."""

    rule_packs: UtcTime | None = None
    """When the newest of the packs came into force."""
    staff: UtcTime | None = None
    """When the staff list was issued."""
    card_keys: UtcTime | None = None
    """When the card keys were issued."""
    roster_ends: UtcTime | None = None


class VoiceUse(WirePart):
    """A voice pack that the terminal speaks with."""

    name: _Name
    sha256: Sha256
    """Of its manifest, which names the digest of every file."""


class Running(WirePart):
    """What the process that certifies people says of itself; the one that sends presence is another."""

    software: _Name
    networks: tuple[NetworkUse, ...] = Field(default=(), max_length=16)
    voices: tuple[VoiceUse, ...] = Field(default=(), max_length=16)
    camera_rate_hz: float | None = Field(default=None, ge=0, le=1000)
    """Pictures looked at a second, in the last session that was long enough to tell."""
    camera_rate_at: UtcTime | None = None
    is_mains_lost: bool = False
    """Whether the uninterruptible supply says that mains power is gone."""


class Health(WirePart):
    """A terminal's own word about its condition."""

    board: BoardVitals
    uptime_s: int = Field(ge=0)
    """Since the board started."""
    clock: ClockState
    link: LinkTimes
    oldest_unconfirmed_s: int | None = Field(default=None, ge=0)
    """Age of the oldest record that the fleet has not answered for; None when there is none, or its age cannot be told."""
    held: Held = Held()
    running: Running | None = None
    """None until that process has run."""
