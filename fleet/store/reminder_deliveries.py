"""Messages given to gateways and what became of them, as SQL; and what `reminders status` counts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """One message at one gateway."""

    message_id: str
    reminder_id: str
    channel: str
    state: Literal["sending", "accepted", "delivered", "failed"]
    code: str | None


def begin(connection: Connection, message_id: str, reminder_id: str, channel: str, *, now: datetime) -> None:
    """Note that a message is about to be given to a gateway; once for each message, however often it is tried."""
    connection.execute(
        text(
            "INSERT INTO reminder_deliveries (message_id, reminder_id, channel, state, begun_at)"
            " VALUES (:id, :reminder, :channel, 'sending', :now) ON CONFLICT (message_id) DO NOTHING"
        ),
        {"id": message_id, "reminder": reminder_id, "channel": channel, "now": now},
    )


def accepted(
    connection: Connection, message_id: str, *, gateway_id: str | None, parts: int, cost: int, now: datetime
) -> None:
    """Note that the gateway took it.

    Args:
        connection: where.
        message_id: ours.
        gateway_id: the gateway's own.
        parts: short messages it was cut into.
        cost: in hundredths of the currency.
        now: when.
    """
    connection.execute(
        text(
            "UPDATE reminder_deliveries SET state = 'accepted', gateway_id = :gateway, parts = :parts, cost = :cost,"
            " accepted_at = :now WHERE message_id = :id AND state = 'sending'"
        ),
        {"id": message_id, "gateway": gateway_id, "parts": parts, "cost": cost, "now": now},
    )


def settled(
    connection: Connection, message_id: str, state: Literal["delivered", "failed"], code: str, *, now: datetime
) -> bool:
    """Note what became of it; return False if that was known before."""
    found = connection.execute(
        text(
            "UPDATE reminder_deliveries SET state = :state, code = :code, settled_at = :now WHERE message_id = :id"
            " AND state IN ('sending', 'accepted') RETURNING 1"
        ),
        {"id": message_id, "state": state, "code": code, "now": now},
    )
    return found.scalar_one_or_none() is not None


def of_reminder(connection: Connection, reminder_id: str) -> dict[str, StoredDelivery]:
    """Return the messages of one step, by channel."""
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM reminder_deliveries WHERE reminder_id = :id"),  # noqa: S608 - our own names
        {"id": reminder_id},
    )
    return {row.channel: StoredDelivery(*row) for row in rows}


def find(connection: Connection, message_ids: Collection[str]) -> dict[str, StoredDelivery]:
    """Return these messages by id."""
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM reminder_deliveries WHERE message_id = ANY(:ids)"),  # noqa: S608 - our own names
        {"ids": sorted(message_ids)},
    )
    return {row.message_id: StoredDelivery(*row) for row in rows}


def step_counts(connection: Connection, since: datetime) -> list[Any]:
    """Return how many steps planned from a moment on stand where, by kind, step, state and code."""
    return list(
        connection.execute(
            text(
                "SELECT kind, step, state, coalesce(code, '') AS code, count(*) AS steps, min(planned_at) AS oldest"
                " FROM reminders WHERE planned_at >= :since OR state IN ('pending', 'sent')"
                " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
            ),
            {"since": since},
        )
    )


def channel_counts(connection: Connection, since: datetime) -> list[Any]:
    """Return messages, parts and cost by channel and state, of those begun from a moment on."""
    return list(
        connection.execute(
            text(
                "SELECT channel, state, count(*) AS messages, coalesce(sum(parts), 0) AS parts,"
                " coalesce(sum(cost), 0) AS cost FROM reminder_deliveries WHERE begun_at >= :since"
                " GROUP BY 1, 2 ORDER BY 1, 2"
            ),
            {"since": since},
        )
    )


_COLUMNS = "message_id, reminder_id, channel, state, code"
