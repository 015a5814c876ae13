"""A delivery of a feed as a versioned JSON message: what the open interface takes, and what a file becomes.

Every field of a row is text, as other bodies write it; `fleet.exchange.checking` reads it, so that a file and a message are judged alike.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from fleet.exchange.definitions import FeedName
from protocol.wire import WireMessage, WirePart

MAX_ROWS = 1_000_000
"""Most rows of one delivery; a province's month is a tenth of it."""
_Cell = Annotated[str, StringConstraints(max_length=200)]
_Month = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]


class DeliveredRow(WirePart):
    """One row: what the source says of one person."""

    row_id: _Cell = ""
    """The source's own id of the row, where it has one."""
    document_number: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(repr=False)
    """Whom it is about; becomes a claim token and is not kept."""
    document_kind: _Cell = ""
    document_issuer: _Cell = ""
    """Issuing state of a passport."""
    name: _Cell = Field(default="", repr=False)
    """For a cross-check only."""
    kind: _Cell = ""
    """What it reports; may be left out where the feed has one kind."""
    since: _Cell
    """The day, or the first day."""
    until: _Cell = ""
    """The day on which it ended."""
    reported_on: _Cell = ""
    """When the source learnt of it."""
    code: _Cell = ""
    """The feed's own code: the direction of a border crossing, the finding of a check."""


class Delivery(WireMessage):
    """One delivery of a feed."""

    TYPE: ClassVar[str] = "exchange.delivery"
    VERSION: ClassVar[int] = 1
    MAX_BYTES: ClassVar[int] = 256 * 1024 * 1024

    type: Literal["exchange.delivery"] = "exchange.delivery"
    version: Literal[1] = 1
    feed: FeedName
    period: _Month
    """The month it is for."""
    number: int = Field(ge=1, le=9999)
    """Tells deliveries of one month apart; the same number is the same delivery."""
    corrects: int | None = Field(default=None, ge=0, le=9999)
    """The delivery of this month that it takes the place of; 0 is a zero report."""
    area: Annotated[str, StringConstraints(max_length=20)] = ""
    """Which area reports; empty where one body reports for all."""
    rows: tuple[DeliveredRow, ...] = Field(min_length=1, max_length=MAX_ROWS, repr=False)
