"""Receipts: the fleet's signed word that a record is in its database, issued after the commit.

A broker's PUBACK is no such word. Only a receipt moves an outbox row to acknowledged.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from protocol.ids import FleetId, Sha256, TerminalId
from protocol.wire import UtcTime, WireMessage, WirePart

RECEIPT_TYP = "lifecert-receipt"
MAX_ITEMS = 500


class Verdict(StrEnum):
    """What the fleet did with one signed message."""

    STORED = "stored"
    """Now in the database."""
    REPEATED = "repeated"
    """Was there already; nothing changed."""
    REFUSED = "refused"
    """Kept in quarantine, has no effect; the reason says why. The terminal keeps its copy."""


class ReceiptItem(WirePart):
    """One message, named by the digest of the exact bytes that arrived."""

    sha256: Sha256
    verdict: Verdict
    reason: str | None = Field(default=None, max_length=200)


class Receipt(WireMessage):
    """A batch of verdicts for one terminal."""

    TYPE: ClassVar[str] = "receipt"
    VERSION: ClassVar[int] = 1

    type: Literal["receipt"] = "receipt"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    fleet_time: UtcTime
    """When the fleet signed this; a terminal takes it as a lower bound of the true time."""
    items: tuple[ReceiptItem, ...] = Field(min_length=1, max_length=MAX_ITEMS)
