"""What the office asked of terminals, and what came of it, as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from fleet.store.database import notify
from protocol.commands import CommandResult

COMMAND_CHANNEL = "lifecert_commands"
"""Notified with the id of the terminal that is asked something."""


@dataclass(frozen=True, slots=True)
class NewCommand:
    """A command that is to be given."""

    command_id: str
    terminal_id: str
    kind: str
    asked_by_sealed: bytes
    reason_sealed: bytes
    asked_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class StoredCommand:
    """One command; name and reason are still sealed."""

    command_id: str
    terminal_id: str
    number: int
    kind: str
    asked_by_sealed: bytes
    reason_sealed: bytes
    asked_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    """When it was last given to the broker."""
    withdrawn_at: datetime | None
    """When it was taken back."""
    withdrawn_by_sealed: bytes | None
    answered_at: datetime | None
    verdict: str | None
    result: dict[str, Any] | None
    """The terminal's whole answer (`protocol.commands.CommandResult`)."""


def add_command(connection: Connection, command: NewCommand) -> int:
    """Store a command and have it sent; return its number. The terminal's row must be locked."""
    number = connection.execute(
        text(
            "INSERT INTO terminal_commands (command_id, terminal_id, number, kind, asked_by_sealed, reason_sealed, asked_at,"
            " expires_at) SELECT :command, :terminal, coalesce(max(number), 0) + 1, :kind, :by, :reason, :asked, :expires"
            " FROM terminal_commands WHERE terminal_id = :terminal RETURNING number"
        ),
        {
            "command": command.command_id,
            "terminal": command.terminal_id,
            "kind": command.kind,
            "by": command.asked_by_sealed,
            "reason": command.reason_sealed,
            "asked": command.asked_at,
            "expires": command.expires_at,
        },
    ).scalar_one()
    notify(connection, COMMAND_CHANNEL, command.terminal_id)
    return int(number)


def take_open(
    connection: Connection, terminal_ids: Sequence[str] | None, *, now: datetime, only_unsent: bool = False
) -> list[StoredCommand]:
    """Return the commands of terminals in service that wait for an answer and still hold, by terminal and number; note that they are sent.

    Of those that were taken back it is the withdrawal that is sent, if the command was.

    Args:
        connection: where.
        terminal_ids: of which terminals; None for all.
        now: when they are sent.
        only_unsent: leave out those that were sent before.
    """
    rows = connection.execute(
        text(
            "UPDATE terminal_commands c SET sent_at = CASE WHEN c.withdrawn_at IS NULL THEN :now ELSE c.sent_at END,"  # noqa: S608 - our own text
            " withdrawal_sent_at = CASE WHEN c.withdrawn_at IS NOT NULL THEN CAST(:now AS timestamptz) END"
            " FROM terminals t WHERE t.terminal_id = c.terminal_id"
            " AND t.retired_at IS NULL AND t.suspended_at IS NULL AND c.answered_at IS NULL AND c.expires_at > :now"
            " AND (CAST(:ids AS text[]) IS NULL OR c.terminal_id = ANY(:ids))"
            " AND (c.withdrawn_at IS NULL OR c.sent_at IS NOT NULL)"
            " AND NOT (:unsent AND CASE WHEN c.withdrawn_at IS NULL THEN c.sent_at ELSE c.withdrawal_sent_at END IS NOT NULL)"
            f" RETURNING {_COLUMNS}"
        ),
        {"now": now, "unsent": only_unsent, "ids": None if terminal_ids is None else list(terminal_ids)},
    )
    return sorted((StoredCommand(*row) for row in rows), key=lambda found: (found.terminal_id, found.number))


def withdraw(connection: Connection, command: StoredCommand, by_sealed: bytes, *, now: datetime) -> None:
    """Take a command back, and have the terminal told. The command's row must be locked."""
    connection.execute(
        text("UPDATE terminal_commands SET withdrawn_at = :now, withdrawn_by_sealed = :by WHERE command_id = :command"),
        {"now": now, "by": by_sealed, "command": command.command_id},
    )
    notify(connection, COMMAND_CHANNEL, command.terminal_id)


def settle(connection: Connection, result: CommandResult, *, now: datetime) -> bool:
    """Store a terminal's answer; return False for one that is there already, or to a command that is not known."""
    return (
        connection.execute(
            text(
                "UPDATE terminal_commands SET answered_at = :now, verdict = :verdict, result = CAST(:result AS jsonb)"
                " WHERE command_id = :command AND terminal_id = :terminal AND answered_at IS NULL RETURNING 1"
            ),
            {
                "now": now,
                "verdict": result.verdict,
                "result": result.to_bytes().decode(),
                "command": result.command_id,
                "terminal": result.terminal_id,
            },
        ).scalar_one_or_none()
        is not None
    )


def commands_of(connection: Connection, terminal_id: str, *, limit: int) -> list[StoredCommand]:
    """Return a terminal's commands, the newest first."""
    statement = (
        f"SELECT {_COLUMNS} FROM terminal_commands c WHERE c.terminal_id = :id ORDER BY c.number DESC LIMIT :limit"  # noqa: S608 - our own text
    )
    rows = connection.execute(text(statement), {"id": terminal_id, "limit": limit})
    return [StoredCommand(*row) for row in rows]


def find_command(connection: Connection, terminal_id: str, number: int, *, lock: bool = False) -> StoredCommand | None:
    """Return one command of a terminal; `lock` holds it until the transaction ends."""
    tail = " FOR UPDATE" if lock else ""
    statement = f"SELECT {_COLUMNS} FROM terminal_commands c WHERE c.terminal_id = :id AND c.number = :number{tail}"  # noqa: S608 - our own text
    row = connection.execute(text(statement), {"id": terminal_id, "number": number}).one_or_none()
    return None if row is None else StoredCommand(*row)


def logs_of(connection: Connection, terminal_id: str) -> list[tuple[int, datetime]]:
    """Return the number of each command by which a terminal sent its log, and when it answered, the newest first."""
    rows = connection.execute(
        text(
            "SELECT number, answered_at FROM terminal_commands WHERE terminal_id = :id AND kind = 'log_bundle'"
            " AND jsonb_typeof(result -> 'log') = 'array' ORDER BY number DESC"
        ),
        {"id": terminal_id},
    )
    return [(row.number, row.answered_at) for row in rows]


def last_number(connection: Connection, terminal_id: str) -> int:
    """Return the number of a terminal's newest command; 0 if it never had one."""
    return int(
        connection.execute(
            text("SELECT coalesce(max(number), 0) FROM terminal_commands WHERE terminal_id = :id"), {"id": terminal_id}
        ).scalar_one()
    )


def forget(connection: Connection, *, asked_before: datetime) -> int:
    """Delete commands given before a moment, but each terminal's newest, from whose number the next is counted; return how many."""
    return connection.execute(
        text(
            "DELETE FROM terminal_commands c WHERE c.asked_at < :before AND EXISTS (SELECT 1 FROM terminal_commands n"
            " WHERE n.terminal_id = c.terminal_id AND n.number > c.number)"
        ),
        {"before": asked_before},
    ).rowcount


_COLUMNS = (
    "c.command_id, c.terminal_id, c.number, c.kind, c.asked_by_sealed, c.reason_sealed, c.asked_at, c.expires_at, c.sent_at,"
    " c.withdrawn_at, c.withdrawn_by_sealed, c.answered_at, c.verdict, c.result"
)
