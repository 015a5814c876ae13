"""Presence: whether a terminal is connected, and what it says about itself. Retained; the will says `offline`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from protocol.desired import ReportedState
from protocol.health import Health
from protocol.ids import BootId, FleetId, TerminalId
from protocol.wire import UtcTime, WireMessage, WirePart

PRESENCE_TYP = "lifecert-presence"


class OutboxCounts(WirePart):
    """Rows of the outbox by state."""

    pending: int = Field(ge=0)
    published: int = Field(ge=0)
    acknowledged: int = Field(ge=0)
    refused: int = Field(ge=0)
    stored: int = Field(default=0, ge=0)
    """All that was ever stored, those included whose rows are gone; 0 from a terminal that does not say."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of everything a terminal ever stored."""

    stored: int
    confirmed: int
    """The fleet has them and said so; their rows may be gone."""
    waiting: int
    """The fleet has not answered."""
    refused: int
    """The fleet does not take them as they are; a person must look."""


def tally(counts: OutboxCounts) -> Tally:
    """Return "stored N, confirmed M": only a confirmed record ever leaves the outbox, so what is not there is confirmed."""
    waiting = counts.pending + counts.published
    stored = max(counts.stored, waiting + counts.acknowledged + counts.refused)
    return Tally(stored, stored - waiting - counts.refused, waiting, counts.refused)


class PictureCounts(WirePart):
    """Sealed pictures of cases that are on the terminal, by state; what the fleet has is deleted here."""

    waiting: int = Field(ge=0)
    """The fleet has not answered."""
    refused: int = Field(ge=0)
    """The fleet did not take them; those it may take later are tried again now and then, the others when a person says so."""


class Presence(WireMessage):
    """A terminal's own word about itself."""

    TYPE: ClassVar[str] = "presence"
    VERSION: ClassVar[int] = 1

    type: Literal["presence"] = "presence"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    state: Literal["online", "offline"]
    boot_id: BootId
    connection: int = Field(ge=0)
    """Wall-clock nanoseconds when this connection was made: a will of an older one is out of date."""
    said_at: UtcTime
    software: str
    policy_version: str | None
    roster_version: int = Field(ge=0)
    outbox: OutboxCounts
    pictures: PictureCounts | None = None
    """None from a terminal that does not say, or cannot read them now."""
    health: Health | None = None
    """Not in every message: after every connection, every few minutes, and when something of it changes. None from a terminal that
    does not say."""
    reported: ReportedState | None = None
    """Comes with `health`, and when something of it changes."""
