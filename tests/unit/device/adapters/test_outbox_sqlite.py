from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from device.adapters.outbox_sqlite import SCHEMA, SqliteOutbox
from device.errors import OutboxFull, OutboxUnavailable, StoreUnusable
from device.ports import StoredRecord
from protocol.presence import tally
from protocol.receipts import ReceiptItem, Verdict

BIG = 1 << 30


def open_box(path: Path, *, max_rows: int = 1_000_000, max_bytes: int = BIG) -> SqliteOutbox:
    return SqliteOutbox(path, max_rows=max_rows, max_bytes=max_bytes)


def envelope(counter: int, previous: str | None) -> bytes:
    return f"{counter} {previous} ".encode() + b"x" * 4000


def fill(box: SqliteOutbox, stored: list[StoredRecord]) -> None:
    while True:
        stored.append(box.append(envelope))


def chain(path: Path) -> list[tuple[int, str, bytes]]:
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT counter, sha256, envelope FROM record ORDER BY counter").fetchall()
    db.close()
    return rows


def assert_whole(path: Path, expected: int | None = None) -> None:
    """Every counter once, every record after the one before it."""
    previous: str | None = None
    rows = chain(path)
    for place, (counter, sha256, data) in enumerate(rows, start=1):
        assert counter == place
        assert data.startswith(f"{counter} {previous} ".encode())
        previous = sha256
    if expected is not None:
        assert len(rows) == expected


WRITER = """
import sys
from pathlib import Path
from device.adapters.outbox_sqlite import SqliteOutbox
box = SqliteOutbox(Path(sys.argv[1]), max_rows=10**9, max_bytes=1 << 30)
count = int(sys.argv[2])
while count:
    stored = box.append(lambda c, p: f"{c} {p} ".encode() + b"x" * 4000)
    print(stored.counter, flush=True)
    count -= 1
"""


def writer(path: Path, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(count)], stdout=subprocess.PIPE, text=True)


def test_everything_append_returned_is_there_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    reported = 0
    for stop_after in (1, 7, 23):
        process = writer(path, -1)
        assert process.stdout is not None
        for _ in range(stop_after):
            reported = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        reported = int(rest[-1]) if rest else reported
        box = open_box(path)
        counts = box.counts()
        assert counts.stored == counts.pending >= reported
        box.close()
        assert_whole(path)
    box = open_box(path)
    assert box.append(envelope).counter == box.counts().pending
    box.close()
    assert_whole(path)


def test_the_tally_is_true_while_the_other_process_settles_and_purges(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    ours, theirs = open_box(path), open_box(path)
    stored = [ours.append(envelope) for _ in range(60)]

    def settle() -> None:
        for one in stored:
            theirs.settle([ReceiptItem(sha256=one.sha256, verdict=Verdict.STORED)])
            theirs.purge(0)

    thread = threading.Thread(target=settle)
    thread.start()
    seen = [0]
    while seen[-1] < 60:
        found = tally(ours.counts())
        assert (found.stored, found.confirmed + found.waiting) == (60, 60)
        seen.append(found.confirmed)
    thread.join()
    assert seen == sorted(seen)
    ours.close()
    theirs.close()


def test_processes_that_start_and_write_together_share_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    processes = [writer(path, 40) for _ in range(3)]
    counters = [int(line) for process in processes for line in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(counters) == list(range(1, 121))
    assert_whole(path, 120)


def test_a_full_file_takes_nothing_uses_nothing_up_and_still_takes_receipts(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    box = open_box(path, max_bytes=200 * 1024)
    stored: list[StoredRecord] = []
    with pytest.raises(OutboxFull, match="no room left"):
        fill(box, stored)
    assert len(stored) > 20
    with pytest.raises(OutboxFull):
        box.append(envelope)
    with pytest.raises(OutboxFull, match="no room left"):
        box.check()
    assert box.counts().pending == len(stored)
    box.settle([ReceiptItem(sha256=s.sha256, verdict=Verdict.STORED) for s in stored])
    assert box.purge(0) == len(stored)
    following: list[tuple[int, str | None]] = []
    box.append(lambda c, p: following.append((c, p)) or envelope(c, p))  # type: ignore[func-returns-value]  # notes the call
    assert following == [(len(stored) + 1, stored[-1].sha256)]
    box.close()


FILE_LIMIT = """
import resource, sys
from pathlib import Path
from device.adapters.outbox_sqlite import SqliteOutbox
from device.errors import OutboxUnavailable
box = SqliteOutbox(Path(sys.argv[1]), max_rows=10**9, max_bytes=1 << 30)
resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, 256 * 1024))
last = 0
try:
    while True:
        last = box.append(lambda c, p: f"{c} {p} ".encode() + b"x" * 4000).counter
except OutboxUnavailable as error:
    print(last, type(error).__name__)
"""


def test_a_disk_that_stops_taking_bytes_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    found = subprocess.run(
        [sys.executable, "-c", FILE_LIMIT, str(path)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert found[1] in {"OutboxUnavailable", "OutboxFull"}
    last = int(found[0])
    assert last >= 5
    assert_whole(path, last)
    box = open_box(path)
    assert box.append(envelope).counter == last + 1
    box.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_file_system_is_outbox_full_and_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a file system")
    try:
        box = open_box(folder / "outbox.sqlite")
        stored: list[StoredRecord] = []
        with pytest.raises(OutboxFull):
            fill(box, stored)
        with pytest.raises(OutboxFull, match="bytes left"):
            box.check()
        assert len(stored) > 10
        box.close()
        assert_whole(folder / "outbox.sqlite", len(stored))
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    box = open_box(path)
    box.append(envelope)
    box.close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {SCHEMA.version + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="schema version 2, this program knows 1"):
        open_box(path)
    assert path.read_bytes() == before


def test_another_kind_of_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE other (a)")
    db.close()
    with pytest.raises(StoreUnusable, match="another kind of database"):
        open_box(path)


def test_a_damaged_file_is_one_clear_error_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    damaged = b"this is no database " * 500
    path.write_bytes(damaged)
    with pytest.raises(StoreUnusable, match=r"damaged .* it was left as it is"):
        open_box(path)
    assert path.read_bytes() == damaged


def test_damage_in_the_middle_is_found_when_it_is_met(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    box = open_box(path)
    for _ in range(20):
        box.append(envelope)
    box.close()
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(bytes(data))
    box = open_box(path)
    with pytest.raises(StoreUnusable, match="damaged"):
        box.append(envelope)
    box.close()
    assert path.read_bytes()[4096:] == data[4096:]


def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxUnavailable, match=os.strerror(errno.EEXIST)):
        open_box(tmp_path / "file" / "outbox.sqlite")
    (tmp_path / "outbox.sqlite").mkdir()
    with pytest.raises(OutboxUnavailable):
        open_box(tmp_path / "outbox.sqlite")


def test_nobody_else_can_read_the_files(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    box = open_box(path)
    box.append(envelope)
    assert {entry.stat().st_mode & 0o777 for entry in tmp_path.iterdir()} == {0o600}
    box.close()
    box.close()
