from __future__ import annotations

import base64
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from device.adapters.references_sqlite import SqliteReferenceStore, erase_all, load_or_make_key
from device.erasure import erase_proof
from device.errors import KeyUnusable, ReferencesUnavailable, StoreUnusable
from device.simulated.clock import SteppedClock
from protocol.references import CaptureKind, LegalBasis, Reference
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
        db.execute("UPDATE subject SET sealed = ? WHERE subject = ?", (sealed[:-1] + bytes([sealed[-1] ^ 1]), other))
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


GOLDEN = Path(__file__).parents[3] / "golden" / "databases"


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_database_of_every_version_opens_and_loses_nothing(tmp_path: Path, version: int) -> None:
    shutil.copyfile(GOLDEN / f"references-v{version}.sqlite", tmp_path / "references.sqlite")
    shutil.copyfile(GOLDEN / "storage.key", tmp_path / "storage.key")
    for _ in range(2):
        store = open_store(tmp_path)
        assert store.version() == 3
        found = [store.find(f"{number:043d}") for number in (1, 2, 3)]
        assert [len(entry.references) for entry in found if entry is not None] == [1, 0, 1]
        assert store.claim_key() is not None
        assert not store.has_expired()
        assert store.card_keys() is None or version > 1
        assert not store.was_refused()
        assert store.acts(f"{1:043d}") == []
        store.close()


def test_a_database_of_a_version_to_come_stays_as_it_is(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    with sqlite3.connect(tmp_path / "references.sqlite") as db:
        db.execute("PRAGMA user_version = 5")
    db.close()
    with pytest.raises(StoreUnusable, match="schema version 5, this program knows 4"):
        open_store(tmp_path)


def filled(after: int, changes: list[tuple[int, bool]], seed: int) -> RosterPage:
    """A page in which subjects come, change their references and go."""
    draw = random.Random(seed)
    entries = tuple(
        RosterEntry(
            roster_version=after + place + 1,
            subject_id=f"{number:032x}",
            claim_token=f"{number:043d}",
            removed=removed,
            references=() if removed else tuple(reference(draw) for _ in range(draw.randint(1, 5))),
        )
        for place, (number, removed) in enumerate(changes)
    )
    return page(after, len(entries)).model_copy(update={"entries": entries})


def reference(draw: random.Random) -> Reference:
    return Reference(
        reference_id=draw.randbytes(16).hex(),
        features=base64.b64encode(draw.randbytes(192)).decode(),
        model_sha256=draw.randbytes(32).hex(),
        runtime="r 1",
        key_domain="d1",
        quality=80,
        capture=CaptureKind.LIVE,
        legal_basis=LegalBasis.CONSENT,
        captured_at=T0,
        valid_until=date(2030, 1, 1),
    )


def rows_of(folder: Path) -> dict[bytes, tuple[bytes, ...]]:
    with sqlite3.connect(folder / "references.sqlite") as db:
        found = {row[0]: row for row in db.execute("SELECT subject, claim, sealed FROM subject")}
    db.close()
    return found


def in_the_open(entries: Iterable[RosterEntry]) -> list[bytes]:
    return [
        part
        for entry in entries
        for reference in entry.references
        for part in (reference.vector().tobytes(), reference.features.encode(), reference.reference_id.encode())
    ]


def test_after_hundreds_of_changes_no_byte_of_a_removed_reference_is_left(tmp_path: Path) -> None:
    store, draw, after, gone, said = open_store(tmp_path), random.Random(7), 0, [], []
    for step in range(60):
        changes = {draw.randint(1, 150): draw.random() < 0.4 for _ in range(20)}
        made = filled(after, list(changes.items()), step)
        before = rows_of(tmp_path)
        assert store.apply(made)
        after = made.upto
        now = rows_of(tmp_path)
        gone += [
            part for key, row in before.items() if now.get(key) != row for part in (row if key not in now else row[2:])
        ]
        said += in_the_open(made.entries)
        if step % 10 == 9:
            still = {part for row in now.values() for part in row}
            proof = erase_proof(tmp_path / "references.sqlite", [part for part in gone if part not in still] + said)
            assert proof.is_clean, (step, proof)
    assert len(gone) > 1000
    store.close()


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
import test_references_sqlite as tests
from device.database import Database
store = tests.open_store(Path(sys.argv[1]))
if sys.argv[3] == "before":
    # The transaction is committed, and nothing is written anew yet.
    Database.scrub = lambda _: os.kill(os.getpid(), signal.SIGKILL)
else:
    import threading
    threading.Timer(float(sys.argv[3]), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
after = store.version()
while True:
    store.apply(tests.filled(after, [(number, True) for number in range(1, 120)], 1))
    after = store.version()
    store.apply(tests.filled(after, [(number, False) for number in range(1, 120)], after))
    after = store.version()
"""


@pytest.mark.parametrize("when", ["before", "0.05", "0.12", "0.3"])
def test_a_terminal_killed_while_it_removes_finishes_the_erasure_at_its_next_start(tmp_path: Path, when: str) -> None:
    store = open_store(tmp_path)
    made = filled(0, [(number, False) for number in range(1, 120)], 99)
    assert store.apply(made)
    store.close()
    rows = rows_of(tmp_path)
    program = [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent), when]
    assert subprocess.run(program, check=False).returncode == -9
    path = tmp_path / "references.sqlite"
    content = [part for row in rows.values() for part in row[2:]] + in_the_open(made.entries)
    if when == "before":
        assert not erase_proof(path, content).is_clean, "the log alone still has them"
    again = open_store(tmp_path)
    left = {row[2] for row in rows_of(tmp_path).values()}
    assert erase_proof(path, [part for part in content if part not in left]).is_clean
    assert when != "before" or not left
    again.close()


def test_a_file_in_use_is_scrubbed_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device.database._BUSY_TIMEOUT_S", 0.01)
    store = open_store(tmp_path)
    made = filled(0, [(number, False) for number in range(1, 40)], 5)
    assert store.apply(made)
    rows = [row[2] for row in rows_of(tmp_path).values()]
    reader = sqlite3.connect(tmp_path / "references.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM subject").fetchone()
    assert store.apply(filled(made.upto, [(number, True) for number in range(1, 40)], 5))
    assert not erase_proof(tmp_path / "references.sqlite", rows).is_clean
    reader.execute("COMMIT")
    reader.close()
    store.expire(SteppedClock(T0).now())
    assert erase_proof(tmp_path / "references.sqlite", rows).is_clean
    store.close()


def test_erasing_everything_destroys_key_and_rows_and_proves_it(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    made = filled(0, [(number, False) for number in range(1, 40)], 5)
    assert store.apply(made)
    path, key = tmp_path / "references.sqlite", tmp_path / "storage.key"
    with pytest.raises(ReferencesUnavailable, match="in use; stop"):
        erase_all(path, key)
    assert key.exists()
    store.close()
    done = erase_all(path, key)
    assert (done.subjects, done.references) == (39, sum(len(entry.references) for entry in made.entries))
    assert done.is_key_destroyed
    assert done.was_readable
    assert done.proof.is_clean
    assert done.proof.searched_bytes > 50_000
    assert list(tmp_path.iterdir()) == []
    again = erase_all(path, key)
    assert (again.is_key_destroyed, again.was_readable, again.proof.is_clean) == (True, False, True)


def test_a_key_that_cannot_be_destroyed_is_said_and_the_rows_go_all_the_same(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert store.apply(filled(0, [(1, False)], 5))
    store.close()
    (tmp_path / "storage.key").unlink()
    (tmp_path / "storage.key").mkdir()
    done = erase_all(tmp_path / "references.sqlite", tmp_path / "storage.key")
    assert not done.is_key_destroyed
    assert (done.subjects, done.references, done.proof.is_clean) == (1, 0, True)
    assert not (tmp_path / "references.sqlite").exists()


def test_a_damaged_database_is_erased_too(tmp_path: Path) -> None:
    path = tmp_path / "references.sqlite"
    path.write_bytes(b"no database" * 1000)
    assert not erase_all(path, tmp_path / "storage.key").was_readable
    assert not path.exists()
