"""Commands of the fleet and their answers, as an SQLite database shared by the uplink, which brings them, and the terminal, which obeys."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from device.database import Database, Schema
from device.errors import CommandsUnavailable, StoreUnusable
from device.ports import Answer
from protocol.commands import CommandWithdrawal, TerminalCommand
from protocol.envelope import sha256_of
from protocol.receipts import ReceiptItem

logger = logging.getLogger(__name__)

_KEPT = 50
"""Answered commands that stay, so that the file does not grow; the number of the last one taken stands apart."""
SCHEMA = Schema(
    what="commands",
    application_id=0x4C63434D,
    version=3,
    statements=(
        """CREATE TABLE command (
            number INTEGER PRIMARY KEY,
            message BLOB NOT NULL,
            answer BLOB,
            sha256 TEXT UNIQUE,
            is_settled INTEGER NOT NULL DEFAULT 0 CHECK (is_settled IN (0, 1)),
            is_begun INTEGER NOT NULL DEFAULT 0 CHECK (is_begun IN (0, 1)),
            token BLOB
        ) STRICT""",
        "CREATE TABLE taken (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL) STRICT",
        "INSERT INTO taken (id, number) VALUES (1, 0)",
    ),
    unavailable=CommandsUnavailable,
    full=CommandsUnavailable,
    upgrades={
        1: ("ALTER TABLE command ADD COLUMN is_begun INTEGER NOT NULL DEFAULT 0 CHECK (is_begun IN (0, 1))",),
        2: ("ALTER TABLE command ADD COLUMN token BLOB",),
    },
)
"""`token` is the message as the fleet signed it; one that an earlier version took has none.

`message` of a command that was taken back before it came is its withdrawal; such a row has an answer from the first.
"""


def open_commands(path: Path) -> SqliteCommandStore:
    """Open the store; a file that must not be used is put aside and a new one begun.

    Nothing stands in it that the fleet has not as well, and neither records nor sessions may wait for somebody to look at it. What was
    asked and still holds is carried out once more at most.

    Raises:
        CommandsUnavailable: if it cannot be opened or made now.
    """
    try:
        return SqliteCommandStore(path)
    except StoreUnusable as error:
        logger.error("commands put aside why=%s", error)  # noqa: TRY400 - the message says all
    try:
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        path.replace(path.with_suffix(".damaged"))
    except OSError as error:
        raise CommandsUnavailable(f"commands {path.name}: {error.strerror}") from error
    return SqliteCommandStore(path)


class SqliteCommandStore:
    """See `device.ports.CommandStore`. Safe to use from several threads and processes.

    Args:
        path: the database file; made if missing.

    Raises:
        StoreUnusable: if the file is damaged, is something else, or was made by a newer version.
        CommandsUnavailable: if it cannot be opened or made now.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, SCHEMA)

    def take(self, command: TerminalCommand, token: bytes) -> bool:
        """Keep a command; return False for one that was taken before, or is older than one that was."""
        with self._database.writing() as db:
            (newest,) = db.execute("SELECT number FROM taken").fetchone()
            if command.number <= newest:
                # Its answer may be what was lost.
                db.execute(
                    "UPDATE command SET is_settled = 0 WHERE number = ? AND answer IS NOT NULL", (command.number,)
                )
                return False
            # One that was taken back before it came is there, with its answer.
            db.execute(
                "INSERT OR IGNORE INTO command (number, message, token) VALUES (?, ?, ?)",
                (command.number, command.to_bytes(), token),
            )
            db.execute("UPDATE taken SET number = ?", (command.number,))
            db.execute("DELETE FROM command WHERE is_settled AND number <= ?", (command.number - _KEPT,))
        return True

    def next(self) -> TerminalCommand | None:
        """Return the oldest command without an answer."""
        with self._database.reading() as db:
            row = db.execute("SELECT message FROM command WHERE answer IS NULL ORDER BY number LIMIT 1").fetchone()
        return None if row is None else TerminalCommand.parse(row[0])

    def token(self, number: int) -> bytes | None:
        """Return a command as the fleet signed it."""
        with self._database.reading() as db:
            row = db.execute("SELECT token FROM command WHERE number = ?", (number,)).fetchone()
        return None if row is None else row[0]

    def begin(self, number: int) -> bool:
        """Note that a command without an answer is being carried out; return False if it has one."""
        with self._database.writing() as db:
            return (
                db.execute("UPDATE command SET is_begun = 1 WHERE number = ? AND answer IS NULL", (number,)).rowcount
                == 1
            )

    def withdraw(self, withdrawal: CommandWithdrawal, envelope: bytes) -> bool:
        """Answer a command that is not begun; return False if it is, has an answer, or another one has its number."""
        number, sha256 = withdrawal.number, sha256_of(envelope)
        with self._database.writing() as db:
            (newest,) = db.execute("SELECT number FROM taken").fetchone()
            row = db.execute("SELECT message, answer, is_begun FROM command WHERE number = ?", (number,)).fetchone()
            if row is None:
                # One that was taken and is here no more had its answer confirmed.
                if number > newest:
                    db.execute(
                        "INSERT INTO command (number, message, answer, sha256) VALUES (?, ?, ?, ?)",
                        (number, withdrawal.to_bytes(), envelope, sha256),
                    )
                return bool(number > newest)
            message, answer, is_begun = row
            if answer is not None:
                db.execute("UPDATE command SET is_settled = 0 WHERE number = ?", (number,))
            if answer is not None or is_begun or TerminalCommand.parse(message).command_id != withdrawal.command_id:
                return False
            db.execute("UPDATE command SET answer = ?, sha256 = ? WHERE number = ?", (envelope, sha256, number))
        return True

    def answer(self, number: int, envelope: bytes) -> None:
        """Keep the signed answer to a command; the first one counts."""
        with self._database.writing() as db:
            db.execute(
                "UPDATE command SET answer = ?, sha256 = ? WHERE number = ? AND answer IS NULL",
                (envelope, sha256_of(envelope), number),
            )

    def unsettled(self) -> Sequence[Answer]:
        """Return the answers that the fleet has not confirmed, the oldest first."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT sha256, answer FROM command WHERE answer IS NOT NULL AND NOT is_settled ORDER BY number"
            ).fetchall()
        return tuple(Answer(sha256, envelope) for sha256, envelope in rows)

    def settle(self, items: Sequence[ReceiptItem]) -> None:
        """Apply a receipt: what it names is not sent again, whatever the fleet says of it; unknown digests are ignored."""
        with self._database.reading() as db:
            known = {
                sha256
                for (sha256,) in db.execute("SELECT sha256 FROM command WHERE NOT is_settled AND answer IS NOT NULL")
            }
        named = [(item.sha256,) for item in items if item.sha256 in known]
        if named:
            with self._database.writing() as db:
                db.executemany("UPDATE command SET is_settled = 1 WHERE sha256 = ?", named)

    def close(self) -> None:
        """Close the database; may be called twice."""
        self._database.close()
