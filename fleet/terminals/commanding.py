"""Gives commands to terminals, and says what came of them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.errors import NotFound
from fleet.keys import FieldCipher, FleetKeys
from fleet.store import terminal_commands, terminals
from fleet.store.names import cleaned
from fleet.store.terminal_commands import NewCommand, StoredCommand
from fleet.terminals.changing import checked_reason
from protocol.commands import COMMAND_TYP, CommandKind, CommandResult, TerminalCommand
from protocol.envelope import sign


@dataclass(frozen=True, slots=True)
class GivenCommand:
    """A command, for whoever may see commands."""

    command_id: str
    number: int
    kind: CommandKind
    asked_by: str
    reason: str
    asked_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    result: CommandResult | None

    def state_at(self, now: datetime) -> str:
        """Return where it stands: `waiting`, `lapsed` (no answer came in time), or the terminal's verdict."""
        if self.result is not None:
            return self.result.verdict
        return "lapsed" if now >= self.expires_at else "waiting"


def give_command(
    connection: Connection,
    cipher: FieldCipher,
    terminal_id: str,
    kind: CommandKind,
    *,
    by: str,
    reason: str,
    valid: timedelta,
    now: datetime,
) -> str:
    """Have a terminal asked to do something, and write it into the audit log; return the command's id. Call it last in a transaction.

    Args:
        connection: of the transaction.
        cipher: the fleet's.
        terminal_id: which.
        kind: what.
        by: who asks.
        reason: why, 1 to 500 characters.
        valid: so long it waits for its terminal.
        now: in UTC.

    Raises:
        NotFound: if no terminal of this name is in service.
        Refused: if name or reason is empty or too long.
    """
    found = terminals.find_terminals(connection, [terminal_id], lock=True).get(terminal_id)
    if found is None or found.retired_at is not None:
        raise NotFound(f"terminal {terminal_id}: none of this name is in service", code="not_in_service")
    why = checked_reason(reason)
    command_id = secrets.token_hex(16)
    number = terminal_commands.add_command(
        connection,
        NewCommand(
            command_id,
            terminal_id,
            kind.value,
            cipher.encrypt(cleaned(by), subject_id=command_id, field_name="asked_by"),
            cipher.encrypt(why, subject_id=command_id, field_name="reason"),
            now,
            now + valid,
        ),
    )
    note(
        connection,
        cipher,
        actor=by,
        action="terminal.commanded",
        object_kind="terminal",
        object_id=terminal_id,
        detail={"command": command_id, "kind": kind.value, "number": number},
        now=now,
    )
    return command_id


def open_commands(
    connection: Connection,
    keys: FleetKeys,
    *,
    fleet_id: str,
    only: Sequence[str] | None,
    now: datetime,
    only_unsent: bool = False,
) -> list[tuple[str, bytes]]:
    """Return terminal and signed command of all that wait for an answer, of all terminals in service or of some; they are noted as sent."""
    return [
        (
            stored.terminal_id,
            sign(
                TerminalCommand(
                    fleet_id=fleet_id,
                    terminal_id=stored.terminal_id,
                    command_id=stored.command_id,
                    number=stored.number,
                    kind=CommandKind(stored.kind),
                    issued_at=stored.asked_at,
                    expires_at=stored.expires_at,
                ).to_bytes(),
                key=keys.signing,
                typ=COMMAND_TYP,
            ),
        )
        for stored in terminal_commands.take_open(connection, only, now=now, only_unsent=only_unsent)
    ]


def commands_of(
    connection: Connection, cipher: FieldCipher, terminal_id: str, *, limit: int = 50
) -> list[GivenCommand]:
    """Return a terminal's commands, the newest first."""
    return [_given(found, cipher) for found in terminal_commands.commands_of(connection, terminal_id, limit=limit)]


def log_of(connection: Connection, terminal_id: str, number: int) -> tuple[str, ...] | None:
    """Return the log that a terminal sent when a command asked for it; None if none did."""
    found = terminal_commands.find_command(connection, terminal_id, number)
    result = None if found is None or found.result is None else CommandResult.model_validate(found.result)
    return None if result is None else result.log


def _given(stored: StoredCommand, cipher: FieldCipher) -> GivenCommand:
    return GivenCommand(
        command_id=stored.command_id,
        number=stored.number,
        kind=CommandKind(stored.kind),
        asked_by=cipher.decrypt(stored.asked_by_sealed, subject_id=stored.command_id, field_name="asked_by"),
        reason=cipher.decrypt(stored.reason_sealed, subject_id=stored.command_id, field_name="reason"),
        asked_at=stored.asked_at,
        expires_at=stored.expires_at,
        sent_at=stored.sent_at,
        answered_at=stored.answered_at,
        result=None if stored.result is None else CommandResult.model_validate(stored.result),
    )
