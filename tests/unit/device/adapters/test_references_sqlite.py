from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device.adapters.references_sqlite import SqliteReferenceStore, load_or_make_key
from device.errors import KeyUnusable, ReferencesUnavailable, StoreUnusable
from device.simulated.clock import SteppedClock
from protocol.roster import RosterEntry, RosterPage

T0 = datetime(2026, 3, 1, tzinfo=UTC)
TOKEN = "T" * 43
SUBJECT = "5" * 32
SECRET = "S" * 43


def page(after: int = 0, entries: int = 1) -> RosterPage:
    return RosterPage(
        fleet_id="north",
        terminal_id="t-1",
        issued_at=T0,
        expires_at=T0 + timedelta(days=30),
        after=after,
        upto=after + entries,
        complete=True,
        claim_key=SECRET,
        feature_keys={"marker-domain": SECRET},
        entries=tuple(
            RosterEntry(
                roster_version=after + number + 1,
                subject_id=SUBJECT if number == 0 else f"{number:032x}",
                claim_token=TOKEN if number == 0 else f"{number:043d}",
            )
            for number in range(entries)
        ),
    )


def open_store(folder: Path) -> SqliteReferenceStore:
    return SqliteReferenceStore(folder / "references.sqlite", folder / "storage.key", SteppedClock(T0))


def bytes_on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("references.sqlite*"))


def test_nothing_on_the_disk_names_anybody_or_shows_a_key(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert store.apply(page())
    data = bytes_on_disk(tmp_path)
    for text in (TOKEN, SUBJECT, SECRET, "marker-domain", "claim_key"):
        assert text.encode() not in data
    store.close()


def test_what_has_expired_is_gone_from_the_disk(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert store.apply(page(entries=20))
    with sqlite3.connect(tmp_path / "references.sqlite") as db:
        sealed = [row[0] for row in db.execute("SELECT sealed FROM subject")]
    db.close()
    store.expire(SteppedClock(T0 + timedelta(days=31)).now())
    store.close()
    data = bytes_on_disk(tmp_path)
    assert len(sealed) == 20
    assert not any(row in data for row in sealed)


def test_the_roster_outlives_the_program(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert store.apply(page())
    store.close()
    again = open_store(tmp_path)
    found = again.find(TOKEN)
    assert found is not None
    assert found.subject_id == SUBJECT
    again.close()


def test_another_process_sees_a_page_at_once(tmp_path: Path) -> None:
    reader, writer = open_store(tmp_path), open_store(tmp_path)
    assert writer.apply(page())
    assert reader.version() == 1
    assert reader.find(TOKEN) is not None
    reader.close()
    writer.close()


def test_a_page_that_fails_half_way_is_not_applied_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    assert store.apply(page())
    with sqlite3.connect(tmp_path / "references.sqlite") as db:
        db.execute(
            "CREATE TRIGGER full AFTER INSERT ON subject WHEN (SELECT count(*) FROM subject) > 5 BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    db.close()
    with pytest.raises(ReferencesUnavailable):
        store.apply(page(after=1, entries=20))
    assert store.version() == 1
    store.close()


def test_a_row_that_was_put_under_another_person_is_noticed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert store.apply(page(entries=2))
    with sqlite3.connect(tmp_path / "references.sqlite") as db:
        (one,), (other,) = db.execute("SELECT subject FROM subject").fetchall()
        (sealed,) = db.execute("SELECT sealed FROM subject WHERE subject = ?", (other,)).fetchone()
        db.execute("UPDATE subject SET sealed = ? WHERE subject = ?", (sealed, one))
        db.execute("UPDATE subject SET sealed = ? WHERE subject = ?", (sealed[:-1] + b"\0", other))
    db.close()
    with pytest.raises(StoreUnusable, match="a row was altered"):
        store.find(TOKEN)
    with pytest.raises(StoreUnusable, match="a row was altered"):
        store.find(f"{1:043d}")
    store.close()


def test_another_key_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert store.apply(page())
    store.close()
    (tmp_path / "storage.key").write_bytes(os.urandom(32))
    with pytest.raises(KeyUnusable, match="put the right key back"):
        open_store(tmp_path)


def test_the_key_is_made_once_with_mode_0600(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "storage.key"
    program = (
        "import sys; from pathlib import Path; from device.adapters.references_sqlite import load_or_make_key;"
        "print(load_or_make_key(Path(sys.argv[1])).hex())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    keys = {process.communicate()[0].strip() for process in processes}
    assert keys == {path.read_bytes().hex()}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["storage.key"]


def test_a_key_of_the_wrong_length_or_in_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x")
    with pytest.raises(KeyUnusable, match="1 bytes, 32 expected"):
        load_or_make_key(tmp_path / "short")
    with pytest.raises(KeyUnusable, match="File exists"):
        load_or_make_key(tmp_path / "short" / "storage.key")


def test_a_damaged_database_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "references.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnusable, match="left as it is"):
        open_store(tmp_path)
    assert (tmp_path / "references.sqlite").read_bytes() == b"no database" * 1000
