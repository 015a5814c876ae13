"""Staff and attachment stores: what the ports promise, of memory and of files alike."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from device.adapters.attachments_sqlite import SCHEMA, SqliteAttachmentStore
from device.adapters.staff_file import FileStaffStore
from device.errors import AttachmentsFull, StaffUnavailable
from device.ports import Attempts, RefusedAttachment
from device.simulated.stores import MemoryAttachments, MemoryStaff
from protocol.presence import PictureCounts
from protocol.receipts import ReceiptItem, Verdict
from protocol.staff import Operator, Role, StaffList

NOW = datetime(2026, 11, 28, tzinfo=UTC)
KIB = 1024


def staff_list(minute: int = 0) -> StaffList:
    return StaffList(
        fleet_id="north",
        terminal_id="t-1",
        issued_at=NOW + timedelta(minutes=minute),
        expires_at=NOW + timedelta(days=30),
        operators=(Operator(operator_id="w-1", name="Somebody", roles=(Role.WORKER,), valid_until=date(2027, 1, 1)),),
    )


@pytest.fixture(params=["memory", "file"])
def staff(request, tmp_path):
    return MemoryStaff() if request.param == "memory" else FileStaffStore(tmp_path / "staff", tmp_path / "storage.key")


@pytest.fixture(params=["memory", "sqlite"])
def attachments(request, tmp_path):
    if request.param == "memory":
        yield MemoryAttachments(max_bytes=256 * KIB)
        return
    store = SqliteAttachmentStore(tmp_path / "attachments.sqlite", max_bytes=256 * KIB)
    yield store
    store.close()


def test_the_newest_list_counts(staff):
    assert staff.current() is None
    assert staff.apply(staff_list(5))
    assert not staff.apply(staff_list(4))
    assert not staff.apply(staff_list(5))
    assert staff.current() == staff_list(5)


def test_attempts_are_remembered(staff):
    assert staff.attempts() == Attempts()
    staff.note_attempts(Attempts(failed=4, by_operator={"w-1": 3, "": 1}))
    assert staff.attempts() == Attempts(failed=4, by_operator={"w-1": 3, "": 1})


def test_another_process_sees_the_list_and_no_name_lies_open(tmp_path: Path):
    uplink = FileStaffStore(tmp_path / "staff", tmp_path / "storage.key")
    terminal = FileStaffStore(tmp_path / "staff", tmp_path / "storage.key")
    assert terminal.current() is None
    uplink.apply(staff_list())
    assert terminal.current() == staff_list()
    assert b"Somebody" not in (tmp_path / "staff").read_bytes()
    (tmp_path / "staff").write_bytes(b"damaged")
    assert terminal.current() is None
    uplink.apply(staff_list(1))
    assert terminal.current() == staff_list(1)


def test_what_cannot_be_written_is_told(tmp_path: Path):
    store = FileStaffStore(tmp_path / "folder" / "staff", tmp_path / "storage.key")
    (tmp_path / "folder").write_text("a file where the folder should be")
    with pytest.raises(StaffUnavailable):
        store.apply(staff_list())
    with pytest.raises(StaffUnavailable):
        store.note_attempts(Attempts(failed=1))


def test_pictures_wait_until_the_fleet_has_them(attachments):
    first, second = attachments.put([b"one", b"two"])
    assert [item.sealed for item in attachments.waiting(9)] == [b"one", b"two"]
    assert [item.sealed for item in attachments.waiting(1)] == [b"one"]
    assert [item.sealed for item in attachments.waiting(9, skip=1)] == [b"two"]
    attachments.settle(
        [ReceiptItem(sha256=first, verdict=Verdict.STORED), ReceiptItem(sha256="0" * 64, verdict="stored")]
    )
    assert [item.sha256 for item in attachments.waiting(9)] == [second]
    attachments.settle([ReceiptItem(sha256=second, verdict=Verdict.REFUSED)])
    assert attachments.counts().waiting == 0


def test_the_same_picture_is_kept_once_and_a_dropped_one_not_at_all(attachments):
    (digest,) = attachments.put([b"one"])
    assert attachments.put([b"one"]) == (digest,)
    assert attachments.counts().waiting == 1
    attachments.drop([digest])
    assert attachments.counts().waiting == 0


def refused(sha256: str, reason: str | None = "retired_terminal") -> ReceiptItem:
    return ReceiptItem(sha256=sha256, verdict=Verdict.REFUSED, reason=reason)


def test_what_was_refused_is_counted_apart_and_waits_again_when_it_is_retried(attachments):
    first, second = attachments.put([b"one", b"two"])
    attachments.settle([refused(first), refused("0" * 64)])
    assert attachments.counts() == PictureCounts(waiting=1, refused=1)
    assert list(attachments.refused(9)) == [RefusedAttachment(first, "retired_terminal")]
    assert attachments.retry_refused(9) == 1
    assert [item.sha256 for item in attachments.waiting(9)] == [second, first], "behind those that wait"
    assert attachments.retry_refused(9) == 0
    assert attachments.counts() == PictureCounts(waiting=2, refused=0)


def test_of_those_refused_for_a_reason_the_ones_refused_longest_ago_are_retried(attachments):
    first, second, large, untold = attachments.put([b"one", b"two", b"large", b"untold"])
    attachments.settle([refused(large, "too_large"), refused(untold, None), refused(first), refused(second)])
    assert attachments.retry_refused(1, reasons={"retired_terminal", "malformed"}) == 1
    attachments.settle([refused(first)])
    assert attachments.retry_refused(1, reasons={"retired_terminal"}) == 1
    assert [item.sha256 for item in attachments.waiting(9)] == [second]
    assert [item.reason for item in attachments.refused(9)] == ["too_large", None, "retired_terminal"]
    assert len(attachments.refused(2)) == 2


def test_what_was_refused_may_be_taken_after_all_or_dropped(attachments):
    first, second = attachments.put([b"one", b"two"])
    attachments.settle([refused(first), refused(second)])
    attachments.settle([ReceiptItem(sha256=first, verdict=Verdict.REPEATED)])
    attachments.drop([second])
    assert attachments.counts() == PictureCounts(waiting=0, refused=0)


def test_what_does_not_fit_is_stored_not_at_all(attachments):
    with pytest.raises(AttachmentsFull):
        attachments.put([bytes(100 * KIB), bytes([1]) * 300 * KIB])
    assert attachments.counts().waiting == 0


def test_a_settled_picture_leaves_no_byte_behind(tmp_path: Path):
    store = SqliteAttachmentStore(tmp_path / "attachments.sqlite", max_bytes=256 * KIB)
    secret = bytes(range(256)) * 40
    (digest,) = store.put([secret])
    store.settle([ReceiptItem(sha256=digest, verdict=Verdict.STORED)])
    store.close()
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret[:512] not in left


def test_a_store_of_the_first_version_is_brought_on_and_what_it_calls_refused_is_tried_once_more(tmp_path: Path):
    path = tmp_path / "attachments.sqlite"
    with closing(sqlite3.connect(path)) as old, old:
        old.execute(
            "CREATE TABLE attachment (sha256 TEXT PRIMARY KEY, stored INTEGER NOT NULL UNIQUE,"
            " refused INTEGER NOT NULL DEFAULT 0 CHECK (refused IN (0, 1)), sealed BLOB NOT NULL) STRICT"
        )
        old.execute("INSERT INTO attachment VALUES (?, 1, 1, x'31'), (?, 2, 0, x'32')", ("a" * 64, "b" * 64))
        old.execute(f"PRAGMA application_id = {SCHEMA.application_id}")
        old.execute("PRAGMA user_version = 1")
    store = SqliteAttachmentStore(path, max_bytes=256 * KIB)
    assert [item.sealed for item in store.waiting(9)] == [b"1", b"2"]
    store.settle([refused("a" * 64, "fork")])
    assert [item.reason for item in store.refused(9)] == ["fork"]
    store.close()
