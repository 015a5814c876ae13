"""What every store of the fleet's commands must do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device.adapters.commands_sqlite import SqliteCommandStore, open_commands
from device.ports import CommandStore
from device.simulated.stores import MemoryCommands
from protocol.commands import CommandKind, CommandWithdrawal, TerminalCommand
from protocol.envelope import sha256_of
from protocol.receipts import ReceiptItem, Verdict

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


def command(number: int, kind: CommandKind = CommandKind.LOG_BUNDLE) -> TerminalCommand:
    return TerminalCommand(
        fleet_id="north",
        terminal_id="t-1",
        command_id=f"{number:032x}",
        number=number,
        kind=kind,
        issued_at=NOW,
        expires_at=NOW + timedelta(hours=1),
    )


def withdrawal(number: int, **changes: str) -> CommandWithdrawal:
    return CommandWithdrawal.model_validate(
        {
            "fleet_id": "north",
            "terminal_id": "t-1",
            "command_id": f"{number:032x}",
            "number": number,
            "withdrawn_at": NOW,
            **changes,
        }
    )


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CommandStore:
    return SqliteCommandStore(tmp_path / "commands.sqlite") if request.param == "sqlite" else MemoryCommands()


def confirm(store: CommandStore, envelope: bytes) -> None:
    store.settle([ReceiptItem(sha256=sha256_of(envelope), verdict=Verdict.STORED)])


def test_commands_are_given_in_order_and_each_until_it_is_answered(store: CommandStore) -> None:
    assert store.next() is None
    assert store.take(command(1), b"signed")
    assert store.take(command(2), b"signed")
    assert store.next() == store.next() == command(1)
    store.answer(1, b"first")
    assert store.next() == command(2)
    assert [found.envelope for found in store.unsettled()] == [b"first"]
    store.answer(2, b"second")
    assert store.next() is None
    confirm(store, b"first")
    confirm(store, b"unknown")
    assert [found.envelope for found in store.unsettled()] == [b"second"]


def test_a_command_that_comes_again_is_not_carried_out_again_and_its_answer_is_sent_again(store: CommandStore) -> None:
    store.take(command(3), b"signed")
    store.answer(3, b"done")
    store.answer(3, b"done otherwise")
    confirm(store, b"done")
    assert not store.unsettled()
    assert not store.take(command(3), b"signed")
    assert store.next() is None
    assert [found.envelope for found in store.unsettled()] == [b"done"]


def test_a_command_older_than_one_that_was_taken_does_not_count(store: CommandStore) -> None:
    store.take(command(5), b"signed")
    assert not store.take(command(4), b"signed")
    assert store.next() == command(5)


def test_a_command_that_is_taken_back_is_answered_and_not_given_any_more(store: CommandStore) -> None:
    store.take(command(1), b"signed")
    store.take(command(2), b"signed")
    assert store.withdraw(withdrawal(1), b"taken back")
    assert store.next() == command(2)
    assert not store.begin(1)
    assert [found.envelope for found in store.unsettled()] == [b"taken back"]
    confirm(store, b"taken back")
    assert not store.withdraw(withdrawal(1), b"once more")
    assert [found.envelope for found in store.unsettled()] == [b"taken back"], "its answer may be what was lost"


def test_a_withdrawal_that_comes_before_its_command_keeps_it_and_no_other_from_being_carried_out(
    store: CommandStore,
) -> None:
    assert store.withdraw(withdrawal(5), b"taken back")
    assert store.take(command(4), b"signed"), "the one before it still counts"
    assert store.next() == command(4)
    store.take(command(5), b"signed")
    store.answer(4, b"done")
    assert store.next() is None
    assert [found.envelope for found in store.unsettled()] == [b"done", b"taken back"]


def test_a_command_that_is_begun_or_done_is_not_taken_back_and_says_so_again(store: CommandStore) -> None:
    store.take(command(1), b"signed")
    assert store.begin(1)
    assert not store.withdraw(withdrawal(1), b"taken back")
    assert store.next() == command(1), "carried out again if the power goes meanwhile"
    assert store.begin(1)
    store.answer(1, b"done")
    confirm(store, b"done")
    assert not store.withdraw(withdrawal(1), b"taken back")
    assert [found.envelope for found in store.unsettled()] == [b"done"]


def test_a_withdrawal_of_another_command_with_the_same_number_changes_nothing(store: CommandStore) -> None:
    store.take(command(2), b"signed")
    for number in (1, 2):
        assert not store.withdraw(withdrawal(number, command_id="f" * 32), b"taken back")
    assert store.next() == command(2)
    assert not store.unsettled()


def test_a_command_is_kept_as_the_fleet_signed_it(store: CommandStore) -> None:
    store.take(command(1), b"signed 1")
    store.take(command(1), b"signed again")
    assert store.token(1) == b"signed 1"
    assert store.token(2) is None


def test_a_file_of_the_version_before_is_brought_up_and_keeps_what_was_asked(tmp_path: Path) -> None:
    path = tmp_path / "commands.sqlite"
    store = SqliteCommandStore(path)
    store.take(command(1), b"signed")
    store.close()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "ALTER TABLE command DROP COLUMN is_begun; ALTER TABLE command DROP COLUMN token; PRAGMA user_version = 1"
        )
    store = open_commands(path)
    assert store.next() == command(1)
    assert store.begin(1)
    assert store.token(1) is None, "nobody kept it then"
    store.close()


def test_two_processes_share_a_file_that_does_not_grow(tmp_path: Path) -> None:
    uplink, terminal = (SqliteCommandStore(tmp_path / "commands.sqlite") for _ in range(2))
    for number in range(1, 121):
        uplink.take(command(number), b"signed")
        found = terminal.next()
        assert found is not None
        terminal.answer(found.number, b"%d" % number)
        confirm(uplink, b"%d" % number)
    assert not uplink.take(command(1), b"signed"), "long gone, and still not carried out again"
    with uplink._database.reading() as db:
        assert db.execute("SELECT count(*) FROM command").fetchone()[0] <= 51
    uplink.close()
    terminal.close()


def test_a_damaged_file_is_put_aside_and_keeps_nobody_from_working(tmp_path: Path) -> None:
    path = tmp_path / "commands.sqlite"
    path.write_bytes(b"no database, and long enough to be looked at as one" * 100)
    store = open_commands(path)
    assert store.take(command(1), b"signed")
    assert (tmp_path / "commands.damaged").exists()
    again = open_commands(path)
    assert again.next() == command(1), "a sound file is used as it is"
    store.close()
    again.close()
