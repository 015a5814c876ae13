"""Terminals."""

from __future__ import annotations

from pydantic import Field

from fleet.settings.part import Part


class TerminalSettings(Part):
    """Terminals: from where on one is said to be silent, or in need of somebody."""

    missed_presences: int = Field(default=3, ge=1, le=60)
    """So many presences in a row must be missing, besides the time in which the broker would have given a will, before a terminal is
    silent: two may be lost on a bad link. How often it speaks a terminal says itself."""
    presence_s: float = Field(default=60, ge=1, le=3600)
    """How often terminals speak that do not say it; their own default."""
    keep_alive_s: int = Field(default=30, ge=5, le=600)
    """The keep-alive of the same; their own default."""
    warm_c: float = Field(default=75, ge=40, le=100)
    """From so many degrees Celsius on a processor is warm: 5 below the 80 at which a Raspberry Pi is slowed down."""
    low_battery_percent: int = Field(default=20, ge=0, le=100)
    """A battery that is not charged and has no more than this is low."""
    low_disk_mib: int = Field(default=256, ge=8, le=65536)
    """Less room in MiB is too little; the terminal's own self test asks for as much."""
    old_outbox_hours: int = Field(default=24, ge=1, le=2400)
    """A record that has waited for longer wants a stick or a look at the network. Mobile units are away for weeks: set it as they are
    used."""
    behind_hours: int = Field(default=72, ge=1, le=2400)
    """A terminal that is not what it was asked to be, in bundles or settings, for longer than this wants a look."""
    command_hours: int = Field(default=24, ge=1, le=720)
    """So long a command waits for its terminal; later it would surprise whoever stands before it."""
    command_days: int = Field(default=400, ge=1, le=3650)
    """So long commands and their answers are kept."""
    drift_h: float = Field(default=8, ge=3, le=30)
    """Height of the sum (CUSUM), in standard deviations, at which a terminal's change gives an alarm: at 8 one of its eight charts gives a
    false one in some six years of days, and a step of two deviations is found within two weeks. At 5, the textbook's, in four months."""
    drift_days: int = Field(default=400, ge=60, le=3650)
    """So long a terminal's daily means are kept: a year and a month, to compare with the year before."""
    health_days: int = Field(default=35, ge=1, le=730)
    """So long the hourly conditions of terminals are kept: a month to look back, some 850 rows a terminal."""
