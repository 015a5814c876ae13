"""Takes in what gateways say became of messages: by calling back, or in a file that was fetched from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from fleet.clock import day_of
from fleet.errors import Refused
from fleet.reminders.webhook import WRONG_ADDRESS, tidy_code
from fleet.store import contacts, reminder_deliveries, reminders
from fleet.store.database import Database
from fleet.store.reminders import Outcome
from fleet.tables.places import at_line
from fleet.tables.reading import Column, read_table, refuse
from protocol.errors import Problem

MAX_BYTES = 1024 * 1024
"""Longest callback."""
_COLUMNS = {"message_id": Column(), "state": Column(), "code": Column()}


class GatewayReceipt(BaseModel):
    """What became of one message."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    message_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    """The id that came with the message."""
    state: Literal["delivered", "failed"]
    code: Annotated[str, StringConstraints(max_length=200)] = ""
    """The gateway's word for why; `unknown_number` where nobody is at the address."""


class Callback(BaseModel):
    """The body of a callback."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    receipts: Annotated[tuple[GatewayReceipt, ...], Field(min_length=1, max_length=1000)]


@dataclass(frozen=True, slots=True)
class Applied:
    """What receipts did; counts."""

    delivered: int
    failed: int
    repeated: int
    """Of which that was known."""
    unknown: int
    """With ids of no message of this channel."""


def parse_callback(body: bytes) -> Callback:
    """Read the body of a callback.

    Raises:
        Refused: with which parts are wrong; no message repeats what stands there.
    """
    try:
        return Callback.model_validate_json(body)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()[:10])
        raise Refused(f"callback: {wrong}") from error


def read_receipts(path: Path) -> list[GatewayReceipt]:
    """Read a file of receipts, with the columns message_id, state, code.

    Raises:
        ImportRefused: with every problem and its line.
    """
    table = read_table(path, _COLUMNS)
    receipts, problems = [], list(table.problems)
    for row in table.rows:
        try:
            receipts.append(GatewayReceipt.model_validate(row.cells))
        except ValidationError as error:
            keys = ", ".join(sorted({str(e["loc"][0]) for e in error.errors()}))
            sentence = f"{keys} cannot be read (state is delivered or failed)"
            problems.append(Problem(sentence, "receipt_unreadable").within(at_line(row.line)))
    if problems:
        refuse(path, problems)
    return receipts


def apply_receipts(
    database: Database, channel: str, receipts: Sequence[GatewayReceipt], *, zone: tzinfo, now: datetime
) -> Applied:
    """Store what became of messages; the same receipt twice is one. A message that failed goes to the next channel.

    Raises:
        DatabaseUnavailable: nothing was stored.
    """
    counts = {"delivered": 0, "failed": 0, "repeated": 0, "unknown": 0}
    with database.begin() as connection:
        named = reminder_deliveries.find(connection, {receipt.message_id for receipt in receipts})
        ours = {key: found for key, found in named.items() if found.channel == channel}
        # Steps are locked first: a message that is being handed over at this moment is stored before its receipt.
        steps = reminders.find_reminders(connection, {found.reminder_id for found in ours.values()}, lock=True)
        for receipt in receipts:
            found = ours.get(receipt.message_id)
            if found is None:
                counts["unknown"] += 1
                continue
            code = tidy_code(receipt.code) if receipt.code else receipt.state
            if not reminder_deliveries.settled(connection, receipt.message_id, receipt.state, code, now=now):
                counts["repeated"] += 1
                continue
            counts[receipt.state] += 1
            step = steps[found.reminder_id]
            if receipt.state == "failed":
                if code in WRONG_ADDRESS:
                    contacts.doubt(connection, step.subject_id, channel, now=now)
                reminders.try_next_channel(connection, step.reminder_id, code, now=now)
            elif step.state in ("pending", "sent"):
                reminders.settle(connection, step.reminder_id, Outcome("reached", code, day_of(now, zone)), now=now)
    return Applied(**counts)
