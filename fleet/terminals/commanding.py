"""Gives commands to terminals, and says what came of them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.errors import NotFound, Refused
from fleet.keys import FieldCipher, FleetKeys
from fleet.store import terminal_commands, terminals
from fleet.store.names import cleaned
from fleet.store.terminal_commands import NewCommand, StoredCommand
from fleet.terminals.changing import checked_reason
from protocol.commands import (
    COMMAND_TYP,
    WITHDRAWAL_TYP,
    CommandKind,
    CommandResult,
    CommandWithdrawal,
    TerminalCommand,
)
from protocol.envelope import sign
from protocol.topics import Kind


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
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    answered_at: datetime | None
    result: CommandResult | None

    def state_at(self, now: datetime) -> str:
        """Return where it stands.

        `waiting`, `withdrawing` (taken back, and the terminal has not said which came first), `lapsed` (no answer came in time), or the
        terminal's verdict: of one that was taken back that it is `withdrawn`, or what was done before.
        """
        if self.result is not None:
            return self.result.verdict
        if self.withdrawn_at is not None and self.sent_at is None:
            return "withdrawn"
        if now >= self.expires_at:
            return "lapsed"
        return "waiting" if self.withdrawn_at is None else "withdrawing"

    @property
    def was_done_before(self) -> bool:
        """Whether it was carried out and taken back too late."""
        return self.withdrawn_at is not None and self.result is not None and self.result.verdict in {"done", "failed"}


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
    _in_service(connection, terminal_id)
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


def withdraw_command(
    connection: Connection, cipher: FieldCipher, terminal_id: str, number: int, *, by: str, now: datetime
) -> None:
    """Take back a command that has no answer, and write it into the audit log; again changes nothing. Call it last in a transaction.

    Whether it is carried out all the same is the terminal's to say: it may have done it already.

    Args:
        connection: of the transaction.
        cipher: the fleet's.
        terminal_id: which terminal.
        number: of the command.
        by: who takes it back.
        now: in UTC.

    Raises:
        NotFound: if the terminal is not in service, or never had a command of this number.
        Refused: if the terminal has answered it, or its time is over.
    """
    _in_service(connection, terminal_id)
    stored = terminal_commands.find_command(connection, terminal_id, number, lock=True)
    if stored is None:
        raise NotFound(f"terminal {terminal_id}: no command {number}", code="no_such_command")
    if stored.withdrawn_at is not None:
        return
    if stored.answered_at is not None:
        raise Refused(f"command {number}: the terminal has answered it", code="command_answered")
    if now >= stored.expires_at:
        raise Refused(f"command {number}: its time is over", code="command_over")
    sealed = cipher.encrypt(cleaned(by), subject_id=stored.command_id, field_name="withdrawn_by")
    terminal_commands.withdraw(connection, stored, sealed, now=now)
    note(
        connection,
        cipher,
        actor=by,
        action="terminal.command_withdrawn",
        object_kind="terminal",
        object_id=terminal_id,
        detail={"command": stored.command_id, "kind": stored.kind, "number": number},
        now=now,
    )


def open_commands(
    connection: Connection,
    keys: FleetKeys,
    *,
    fleet_id: str,
    only: Sequence[str] | None,
    now: datetime,
    only_unsent: bool = False,
) -> list[tuple[str, Kind, bytes]]:
    """Return what terminals in service, all or some, are to be told of commands that wait for an answer; they are noted as sent.

    Each is terminal, kind of topic and signed message: the command, or its withdrawal if it was taken back.
    """
    return [
        (stored.terminal_id, *_signed(stored, keys, fleet_id=fleet_id))
        for stored in terminal_commands.take_open(connection, only, now=now, only_unsent=only_unsent)
    ]


def _signed(stored: StoredCommand, keys: FleetKeys, *, fleet_id: str) -> tuple[Kind, bytes]:
    if stored.withdrawn_at is not None:
        withdrawal = CommandWithdrawal(
            fleet_id=fleet_id,
            terminal_id=stored.terminal_id,
            command_id=stored.command_id,
            number=stored.number,
            withdrawn_at=stored.withdrawn_at,
        )
        return Kind.COMMAND_WITHDRAWAL, sign(withdrawal.to_bytes(), key=keys.signing, typ=WITHDRAWAL_TYP)
    command = TerminalCommand(
        fleet_id=fleet_id,
        terminal_id=stored.terminal_id,
        command_id=stored.command_id,
        number=stored.number,
        kind=CommandKind(stored.kind),
        issued_at=stored.asked_at,
        expires_at=stored.expires_at,
    )
    return Kind.COMMAND, sign(command.to_bytes(), key=keys.signing, typ=COMMAND_TYP)


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


def _in_service(connection: Connection, terminal_id: str) -> None:
    """Lock a terminal. Raises `NotFound` if it is not in service."""
    found = terminals.find_terminals(connection, [terminal_id], lock=True).get(terminal_id)
    if found is None or not found.is_in_service:
        raise NotFound(f"terminal {terminal_id}: none of this name is in service", code="not_in_service")


def _given(stored: StoredCommand, cipher: FieldCipher) -> GivenCommand:
    def opened(sealed: bytes, field_name: str) -> str:
        return cipher.decrypt(sealed, subject_id=stored.command_id, field_name=field_name)

    withdrawn_by = stored.withdrawn_by_sealed
    return GivenCommand(
        command_id=stored.command_id,
        number=stored.number,
        kind=CommandKind(stored.kind),
        asked_by=opened(stored.asked_by_sealed, "asked_by"),
        reason=opened(stored.reason_sealed, "reason"),
        asked_at=stored.asked_at,
        expires_at=stored.expires_at,
        sent_at=stored.sent_at,
        withdrawn_at=stored.withdrawn_at,
        withdrawn_by=None if withdrawn_by is None else opened(withdrawn_by, "withdrawn_by"),
        answered_at=stored.answered_at,
        result=None if stored.result is None else CommandResult.model_validate(stored.result),
    )
