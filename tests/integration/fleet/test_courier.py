"""A stick between a terminal's real stores and a fleet on a real database: cut, damaged, doubled, shared."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from device.adapters.attachments_sqlite import SqliteAttachmentStore
from device.adapters.attestation_file import FileAttestationStore
from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.policy_file import FilePolicyStore
from device.adapters.references_sqlite import SqliteReferenceStore
from device.adapters.rule_packs_file import FileRulePackStore
from device.courier.courier import Courier, Exported, Imported, Parts, Step
from device.errors import StickForeign, StickFull, StickReadOnly, StickRemoved
from device.simulated.clock import SteppedClock
from device.simulated.stores import MemoryDesired, MemoryShelf, MemoryStaff
from device.uplink.inbox import Inbox
from fleet.cli import app
from fleet.errors import NotFound, StickUnusable
from fleet.ingest.courier import FleetCourier, Taken
from fleet.ingest.handler import Handler
from fleet.ingest.messages import Inbound, Outbound
from fleet.store import terminals
from protocol.cases import Photo, PhotoRole
from protocol.courier_files import ProblemKind
from protocol.envelope import seal, sign
from protocol.outcomes import Outcome
from protocol.presence import PictureCounts
from protocol.receipts import ReceiptItem, Verdict
from protocol.registration import FleetIdentity
from protocol.shipped_packs import shipped_text
from protocol.stick import Disk
from protocol.times import ClockSource
from protocol.topics import Kind

pytestmark = pytest.mark.integration

KEEP = 10_000


class KeySigner:
    """See `device.ports.Signer`."""

    def __init__(self, key: Any) -> None:
        self._key = key

    @property
    def key_id(self) -> str:
        return str(self._key.key_id)

    def sign(self, payload: bytes, typ: str) -> bytes:
        return sign(payload, key=self._key, typ=typ)


@dataclass
class Hall:
    """A terminal with its stores on the disk and a courier that works with them."""

    terminal: Any
    folder: Path
    fleet: FleetIdentity
    outbox: SqliteOutbox
    references: SqliteReferenceStore
    policies: FilePolicyStore
    packs: FileRulePackStore
    attestations: FileAttestationStore
    attachments: SqliteAttachmentStore
    clock: SteppedClock

    def courier(self, disk: Disk | None = None, *, fleet: FleetIdentity | None = None, keep: int = KEEP) -> Courier:
        identity = fleet or self.fleet
        inbox = Inbox(
            fleet_id=identity.fleet_id,
            terminal_id=self.terminal.terminal_id,
            fleet_key=identity.signing_key,
            sealing_key=self.terminal.sealing,
        )
        signer = KeySigner(self.terminal.signing)
        stores = (self.outbox, self.references, self.policies, self.packs, self.attestations, MemoryStaff())
        parts = Parts(*stores, self.attachments, signer, self.clock, inbox, MemoryDesired(), MemoryShelf())
        return Courier(
            identity,
            self.terminal.terminal_id,
            parts,
            sealing_key=self.terminal.sealing,
            mount_root=None,
            keep=keep,
            disk=disk,
        )

    def record(self, count: int, **changes: Any) -> list[str]:
        """Store so many decided sessions, as the terminal does, and return their digests."""

        def build(counter: int, previous: str | None) -> bytes:
            self.terminal.counter, self.terminal.previous = counter - 1, previous
            return bytes(self.terminal.next(**changes))

        return [self.outbox.append(build).sha256 for _ in range(count)]

    def counts(self) -> dict[str, int]:
        return {state: count for state, count in self.outbox.counts().model_dump(exclude={"stored"}).items() if count}

    def export(self, stick: Path, **more: Any) -> Exported:
        return self.courier().export_to(stick, **more)

    def bring_home(self, stick: Path) -> Imported:
        return self.courier().import_from(stick)


@pytest.fixture
def make_hall(office: Any, tmp_path: Path, make_fleet_terminal: Callable[..., Any]) -> Iterator[Callable[..., Hall]]:
    """Make a registered terminal: `make_hall("t-1", registered=True)`."""
    made: list[Hall] = []

    def make(terminal_id: str = "t-1", *, registered: bool = True) -> Hall:
        terminal = make_fleet_terminal(terminal_id=terminal_id)
        if registered:
            office.register(terminal)
        folder = tmp_path / terminal_id
        folder.mkdir()
        clock = SteppedClock(office.now)
        fleet_key = office.keys.signing.public()
        made.append(
            Hall(
                terminal,
                folder,
                FleetIdentity(fleet_id="north", signing_key=fleet_key, sealing_key=office.keys.sealing_key().public()),
                SqliteOutbox(folder / "data" / "outbox.sqlite", max_rows=10**6, max_bytes=1 << 30),
                SqliteReferenceStore(folder / "data" / "references.sqlite", folder / "storage.key", clock),
                FilePolicyStore(folder / "data" / "policy.jws", fleet_key),
                FileRulePackStore(folder / "data" / "rule-packs.jws", fleet_key),
                FileAttestationStore(
                    folder / "data" / "attestation.jws",
                    fleet_key,
                    fleet_id="north",
                    terminal_id=terminal_id,
                    key_id=terminal.signing.key_id,
                ),
                SqliteAttachmentStore(folder / "data" / "attachments.sqlite", max_bytes=1 << 30),
                clock,
            )
        )
        return made[-1]

    yield make
    for hall in made:
        hall.outbox.close()
        hall.references.close()
        hall.attachments.close()


@pytest.fixture
def hall(make_hall: Callable[..., Hall]) -> Hall:
    return make_hall()


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    path = tmp_path / "stick"
    path.mkdir()
    return path


@pytest.fixture
def take_in(office: Any) -> Callable[..., dict[str, Taken]]:
    """Have the fleet take in a stick: `take_in(stick, disk=..., handler=...)` gives what was done by terminal."""

    def take(stick: Path, *, disk: Disk | None = None, handler: Handler | None = None) -> dict[str, Taken]:
        done = fleet_courier(office, disk, handler).take_in(stick)
        return {taken.terminal_id: taken for taken in done}

    return take


def fleet_courier(office: Any, disk: Disk | None = None, handler: Handler | None = None) -> FleetCourier:
    return FleetCourier(
        office.database,
        office.keys,
        handler or office.handler,
        fleet_id="north",
        clock=office.clock,
        batch_messages=200,
        disk=disk,
    )


def stored(office: Any) -> list[str]:
    """Digests of everything in the fleet's database, in the order of the chain."""
    return [row.sha256 for row in office.rows("SELECT sha256 FROM links ORDER BY terminal_id, counter")]


def folder_of(stick: Path, bundle: str = "records", terminal: str = "t-1") -> Path:
    return stick / "lifecert" / "fleet-north" / f"terminal-{terminal}" / bundle


def chunks_of(stick: Path, bundle: str = "records", terminal: str = "t-1") -> list[Path]:
    return sorted(folder_of(stick, bundle, terminal).glob("[0-9]*.lcb"))


class Cut(Exception):
    """The stick is pulled out, or the power goes."""


class CuttingDisk(Disk):
    """Is cut at the change with this number; of a write half of the bytes arrive."""

    def __init__(self, at: int = 10**9, error: BaseException | None = None) -> None:
        self.changes = 0
        self._at = at
        self._error = error or Cut()

    def _count(self) -> None:
        self.changes += 1
        if self.changes >= self._at:
            raise self._error

    def make_folder(self, name: str, folder: int) -> None:
        self._count()
        super().make_folder(name, folder)

    def create(self, name: str, folder: int) -> int:
        self._count()
        return super().create(name, folder)

    def write(self, file: int, data: bytes) -> int:
        if self.changes + 1 == self._at:
            super().write(file, data[: len(data) // 2])
        self._count()
        return super().write(file, data)

    def sync(self, file: int) -> None:
        self._count()
        super().sync(file)

    def replace(self, source: str, target: str, folder: int) -> None:
        self._count()
        super().replace(source, target, folder)

    def remove(self, name: str, folder: int) -> None:
        self._count()
        super().remove(name, folder)


def test_a_stick_carries_everything_out_and_the_answers_home(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    office.import_people(3)
    office.hold_references()
    office.assign_all("t-1")
    subject_id, token = next(iter(office.people.items()))
    office.put_packs_in_force(shipped_text("LZ-2019"))
    digests = hall.record(70, subject_id=subject_id, token=token)
    exported = hall.export(stick)
    assert (exported.records, exported.left) == (70, 0)
    assert hall.counts() == {"pending": 70}

    taken = take_in(stick)["t-1"]
    assert (taken.stored, taken.repeated, taken.refused, taken.is_in_order) == (70, 0, 0, True)
    assert taken.pages == 1
    assert stored(office) == digests
    assert office.statuses()[0].last_outcome == "certified"
    assert chunks_of(stick) == []

    hall.clock.lose_time()
    home = hall.bring_home(stick)
    assert (home.confirmed, home.refused, home.pages, home.problems) == (70, 0, 1, [])
    assert hall.counts() == {"acknowledged": 70}
    assert hall.references.find(token) is not None
    assert hall.policies.current() is not None
    assert [pack.pack_id for pack in hall.packs.shelf().packs] == ["LZ-2019"]
    told = hall.references.find(token).entitlements
    assert [(one.pack_id, one.last.day.isoformat()) for one in told] == [("SX-2018", "2026-11-20")]
    assert home.policy == hall.policies.current().policy_version
    assert hall.attestations.current() is not None
    now = hall.clock.now()
    assert (now.last_fleet_time, now.source) == (office.now, ClockSource.NONE)
    with pytest.raises(StickForeign, match="nothing for terminal t-1"):
        hall.bring_home(stick)


def test_nothing_on_the_stick_can_be_read_and_no_name_says_whose_it_is(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    office.import_people(1)
    office.assign_all("t-1")
    subject_id, token = next(iter(office.people.items()))
    hall.record(3, subject_id=subject_id, token=token)
    hall.export(stick)
    contents = [path.read_bytes() for path in stick.rglob("*") if path.is_file()]
    take_in(stick)
    contents += [path.read_bytes() for path in stick.rglob("*") if path.is_file()]
    assert len(contents) >= 6
    for content in contents:
        assert content.count(b".") == 4
        assert subject_id.encode() not in content
        assert token.encode() not in content
    names = {path.name for path in stick.rglob("*")}
    assert not [name for name in names if subject_id in name or token in name]


def test_500_records_by_a_stick_cut_at_every_change_of_the_export_arrive_exactly_once(
    office: Any, hall: Hall, tmp_path: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    digests = hall.record(500, outcome=Outcome.CANCELLED)
    whole = tmp_path / "whole"
    whole.mkdir()
    counting = CuttingDisk()
    assert hall.courier(counting).export_to(whole).records == 500
    assert counting.changes > 100
    stick = tmp_path / "stick"
    for at in range(1, counting.changes + 1):
        shutil.rmtree(stick, ignore_errors=True)
        stick.mkdir()
        with pytest.raises(Cut):
            hall.courier(CuttingDisk(at)).export_to(stick)
        before = {path.name: path.stat().st_ino for path in chunks_of(stick)}
        if at % 20 == 0:
            # Somebody takes the stick to the fleet as it is: what is whole counts.
            taken = take_in(stick)
            if before:
                assert not taken["t-1"].is_in_order
                assert {problem.kind for problem in taken["t-1"].problems} <= {ProblemKind.UNFINISHED}
            assert len(stored(office)) == len(set(stored(office)))
            before = {}
        exported = hall.export(stick)
        assert exported.records == 500
        assert exported.chunks_kept == len([name for name in before if not name.startswith("9")])
        after = {path.name: path.stat().st_ino for path in chunks_of(stick)}
        assert before.items() <= after.items()
        assert len(after) == 17
        assert not list(folder_of(stick).glob("*.tmp"))
        assert hall.counts() == {"pending": 500}
    taken = take_in(stick)["t-1"]
    assert (taken.stored + taken.repeated, taken.is_in_order) == (500, True)
    assert stored(office) == digests
    assert {row.chain for row in office.rows("SELECT chain FROM links")} == {"linked"}
    assert hall.bring_home(stick).confirmed == 500
    assert hall.counts() == {"acknowledged": 500}


def test_a_cut_at_every_change_at_the_fleet_or_on_the_way_home_loses_and_doubles_nothing(
    office: Any, hall: Hall, tmp_path: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    digests = hall.record(40, outcome=Outcome.CANCELLED)
    stick = tmp_path / "full"
    stick.mkdir()
    hall.export(stick)
    counting = CuttingDisk()
    copied = tmp_path / "0"
    shutil.copytree(stick, copied)
    take_in(copied, disk=counting)
    assert counting.changes > 20
    for at in range(1, counting.changes + 1):
        copied = tmp_path / str(at)
        shutil.copytree(stick, copied)
        with pytest.raises(Cut):
            take_in(copied, disk=CuttingDisk(at))
        assert stored(office) == digests
        left = [path for path in chunks_of(copied) if not path.name.startswith("9")]
        again = take_in(copied)["t-1"]
        assert again.stored == 0
        assert not left or again.repeated > 0
        assert {problem.kind for problem in again.problems} <= {ProblemKind.MISSING}
        assert chunks_of(copied) == []
        home = hall.courier()
        if at == 1:
            removing = CuttingDisk(1)
            with pytest.raises(Cut):
                hall.courier(removing).import_from(copied)
            assert hall.counts() == {"acknowledged": 40}
        home.import_from(copied)
        assert hall.counts() == {"acknowledged": 40}


PROGRAM = "from device.cli import main; main()"


def configure(hall: Hall) -> Path:
    hall.terminal.signing.save(hall.folder / "signing.pem")
    hall.terminal.sealing.save(hall.folder / "sealing.pem")
    (hall.folder / "fleet.json").write_bytes(hall.fleet.to_bytes())
    config = hall.folder / "terminal.toml"
    config.write_text(
        '[terminal]\nfleet_id = "north"\nterminal_id = "t-1"\ndata_dir = "data"\n[keys]\nsigning = "signing.pem"\n'
        'sealing = "sealing.pem"\nstorage = "storage.key"\nfleet = "fleet.json"\n[courier]\nmount_root = "media"\n'
    )
    return config


def command(config: Path, *arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-c", PROGRAM, "courier", *map(str, arguments), "--config", str(config)]


def test_500_records_survive_kill_9_of_the_program_again_and_again(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    digests = hall.record(500, outcome=Outcome.CANCELLED)
    config = configure(hall)
    draw = random.Random(7)
    whole: set[str] = set()
    for _ in range(6):
        with subprocess.Popen(command(config, "export", stick), stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            wanted = draw.randint(2, 12)
            for _, line in zip(range(wanted), process.stderr, strict=False):
                assert line.startswith(("checking", "writing")), line
            process.kill()
        present = {path.name for path in chunks_of(stick)}
        assert whole <= present
        whole = present
        # What is new meanwhile goes along.
        digests += hall.record(2, outcome=Outcome.CANCELLED)
    done = subprocess.run(command(config, "export", stick, "--json"), capture_output=True, text=True, check=True)
    exported = json.loads(done.stdout)["exported"]
    assert exported["records"] == len(digests)
    assert exported["chunks_kept"] > 0
    taken = take_in(stick)["t-1"]
    assert taken.is_in_order
    assert taken.stored == len(digests)
    assert stored(office) == digests
    hall.bring_home(stick)
    # The export that came to its end is an event, stored after what it wrote.
    assert hall.counts() == {"acknowledged": len(digests), "pending": 1}


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (errno.ENOSPC, StickFull, "no room is left"),
        (errno.EROFS, StickReadOnly, "cannot be written to"),
        (errno.EIO, StickRemoved, "plug it in and start again"),
        (errno.ENODEV, StickRemoved, "plug it in and start again"),
    ],
)
def test_a_stick_that_fails_half_way_is_one_clear_message_and_loses_nothing(
    office: Any,
    hall: Hall,
    stick: Path,
    take_in: Callable[..., dict[str, Taken]],
    code: int,
    error: type[Exception],
    said: str,
) -> None:
    digests = hall.record(100, outcome=Outcome.CANCELLED)
    with pytest.raises(error, match=said) as failed:
        hall.courier(CuttingDisk(25, OSError(code, os.strerror(code)))).export_to(stick)
    assert "\n" not in str(failed.value)
    assert hall.counts() == {"pending": 100}
    assert hall.export(stick).records == 100
    take_in(stick)
    assert stored(office) == digests


def test_a_stick_pulled_out_while_it_is_written_or_read_is_a_removed_stick(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    hall.record(100, outcome=Outcome.CANCELLED)

    def pull(step: Step, done: int, _total: int) -> None:
        if step is Step.WRITING and done >= 32:
            shutil.rmtree(stick, ignore_errors=True)

    with pytest.raises(StickRemoved):
        hall.courier().export_to(stick, on_progress=pull)
    assert not stick.exists()
    stick.mkdir()
    hall.export(stick)

    def pull_at_the_fleet(_terminal: str, done: int, _total: int) -> None:
        if done == 2:
            shutil.rmtree(stick)

    (taken,) = fleet_courier(office).take_in(stick, on_progress=pull_at_the_fleet)
    assert "plug it in and start again" in taken.failures[0]
    stick.mkdir()
    hall.export(stick)
    assert take_in(stick)["t-1"].is_in_order
    assert len(stored(office)) == 100


def test_what_went_over_the_network_as_well_is_stored_once_and_both_receipts_do(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    digests = hall.record(60, outcome=Outcome.CANCELLED)
    hall.export(stick)
    rows = hall.outbox.unconfirmed(60)
    sent = office.send(hall.terminal, *(row.envelope for row in rows[:35]))
    for answer in sent:
        hall.outbox.settle(office.receipt(answer.payload).items)
    assert hall.counts() == {"acknowledged": 35, "pending": 25}
    taken = take_in(stick)["t-1"]
    assert (taken.stored, taken.repeated) == (25, 35)
    office.send(hall.terminal, *(row.envelope for row in rows))
    assert stored(office) == digests
    assert hall.bring_home(stick).confirmed == 25
    assert hall.counts() == {"acknowledged": 60}


def test_two_sticks_of_one_terminal_and_two_terminals_on_one_stick(
    office: Any, make_hall: Callable[..., Hall], tmp_path: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    first, second = make_hall("t-1"), make_hall("t-2")
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (one / "holiday.jpg").write_bytes(b"mine")
    first.record(40, outcome=Outcome.CANCELLED)
    first.export(one)
    first.record(10, outcome=Outcome.CANCELLED)
    first.export(two)
    second.record(5, outcome=Outcome.CANCELLED)
    second.export(one)
    # The later stick comes first.
    assert take_in(two)["t-1"].stored == 50
    done = take_in(one)
    assert (done["t-1"].stored, done["t-1"].repeated, done["t-2"].stored) == (0, 40, 5)
    assert first.bring_home(one).confirmed == 40
    assert first.bring_home(two).confirmed == 10
    assert second.bring_home(one).confirmed == 5
    assert (one / "holiday.jpg").read_bytes() == b"mine"
    assert len(stored(office)) == 55


def test_damaged_and_foreign_chunks_are_named_and_the_others_count_both_ways(
    office: Any, make_hall: Callable[..., Hall], tmp_path: Path, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    hall, other = make_hall("t-1"), make_hall("t-2")
    digests = hall.record(100, outcome=Outcome.CANCELLED)
    hall.export(stick)
    other.record(1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other.export(elsewhere)
    foreign = chunks_of(elsewhere, terminal="t-2")[0]
    shutil.copy(foreign, folder_of(stick) / foreign.name)
    damaged = chunks_of(stick)[2]
    data = bytearray(damaged.read_bytes())
    data[1000] ^= 4
    damaged.write_bytes(bytes(data))
    lost = chunks_of(stick)[3]
    lost.unlink()
    taken = take_in(stick)["t-1"]
    assert {(problem.name, problem.kind) for problem in taken.problems} == {
        (foreign.name, ProblemKind.FORGED),
        (damaged.name, ProblemKind.DAMAGED),
        (lost.name, ProblemKind.MISSING),
    }
    arrived = taken.stored
    assert 32 <= arrived <= 68

    # Its answers suffer on the way home.
    answers = chunks_of(stick, "answers")[0]
    answers.write_bytes(answers.read_bytes()[:-5])
    home = hall.bring_home(stick)
    assert [problem.kind for problem in home.problems] == [ProblemKind.DAMAGED]
    assert hall.counts() == {"pending": 100}

    # The next round brings all of it in order, and takes what is damaged away.
    _, exported = hall.courier().sync(stick)
    assert exported.records == 100
    again = take_in(stick)["t-1"]
    assert (again.stored, again.repeated) == (100 - arrived, arrived)
    assert [problem.kind for problem in again.problems] == [ProblemKind.FORGED]
    assert hall.bring_home(stick).problems == []
    assert hall.counts() == {"acknowledged": 100}
    assert stored(office) == digests


def test_importing_twice_changes_nothing(
    office: Any, hall: Hall, tmp_path: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    digests = hall.record(40, outcome=Outcome.CANCELLED)
    stick, copied, back = tmp_path / "stick", tmp_path / "copied", tmp_path / "back"
    stick.mkdir()
    hall.export(stick)
    shutil.copytree(stick, copied)
    take_in(stick)
    taken = take_in(copied)["t-1"]
    assert (taken.stored, taken.repeated) == (0, 40)
    assert stored(office) == digests
    shutil.copytree(stick, back)
    assert hall.bring_home(stick).confirmed == 40
    before = hall.counts(), hall.references.version(), hall.policies.current()
    assert hall.bring_home(back).confirmed == 0
    assert (hall.counts(), hall.references.version(), hall.policies.current()) == before
    # A stick that was taken in and not been to the terminal since has nothing new, and keeps its answers.
    assert take_in(stick)["t-1"].is_in_order


def test_answers_of_two_visits_wait_together_for_the_terminal(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    hall.record(5, outcome=Outcome.CANCELLED)
    hall.export(stick)
    take_in(stick)
    # The terminal exports without importing: its first records go along once more.
    hall.record(5, outcome=Outcome.CANCELLED)
    hall.export(stick)
    office.now += timedelta(days=1)
    assert take_in(stick)["t-1"].repeated == 5
    assert len(chunks_of(stick, "answers")) == 2
    assert len(chunks_of(stick, "roster")) == 1
    home = hall.bring_home(stick)
    assert (home.confirmed, home.pages_unfit, home.problems) == (10, 0, [])
    assert hall.clock.now().last_fleet_time == office.now


def test_a_stick_of_another_fleet_is_refused_on_both_sides(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    hall.record(1)
    south = hall.fleet.model_copy(update={"fleet_id": "south"})
    hall.courier(fleet=south).export_to(stick)
    before = sorted(stick.rglob("*"))
    for work in (hall.export, hall.courier().sync, hall.bring_home):
        with pytest.raises(StickForeign, match="belongs to fleet south, this is fleet north"):
            work(stick)
    with pytest.raises(StickUnusable, match="belongs to fleet south, this is fleet north"):
        take_in(stick)
    with pytest.raises(StickUnusable, match="belongs to fleet south"):
        fleet_courier(office).hand_out(stick, "t-1")
    assert sorted(stick.rglob("*")) == before


def test_a_chunk_of_a_fleet_with_the_same_name_and_other_keys_is_named(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]], make_fleet_terminal: Any
) -> None:
    hall.record(1)
    other = hall.fleet.model_copy(update={"sealing_key": make_fleet_terminal().sealing.public()})
    hall.courier(fleet=other).export_to(stick)
    taken = take_in(stick)["t-1"]
    assert {problem.kind for problem in taken.problems} == {ProblemKind.FOREIGN}
    assert len(chunks_of(stick)) == 2


def test_a_retired_and_an_unknown_terminal_are_told_and_the_rest_is_done(
    office: Any, make_hall: Callable[..., Hall], stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    good, retired, unknown = make_hall("t-1"), make_hall("t-2"), make_hall("t-3", registered=False)
    for hall in (good, retired, unknown):
        hall.record(3, outcome=Outcome.CANCELLED, at=office.now)
        hall.export(stick)
    with office.database.begin() as connection:
        terminals.retire(connection, "t-2", now=office.now - timedelta(minutes=1))
    done = take_in(stick)
    assert (done["t-1"].stored, done["t-1"].is_in_order) == (3, True)
    assert done["t-2"].refused == 3
    assert "is retired" in done["t-2"].failures[0]
    assert not folder_of(stick, "roster", "t-2").exists()
    assert "register-terminal" in done["t-3"].failures[0]
    assert len(chunks_of(stick, terminal="t-3")) == 2
    assert len(stored(office)) == 3
    office.register(unknown.terminal)
    assert take_in(stick)["t-3"].stored == 3
    home = retired.bring_home(stick)
    assert home.refused == 3
    # Registration can be put right: the next export takes them along again.
    assert retired.export(stick).records == 3


def test_a_picture_refused_before_its_case_was_known_goes_with_the_next_sync_and_is_taken(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    (digest,) = hall.attachments.put([seal(b"a picture", reader=office.keys.sealing_key().public())])
    assert hall.export(stick).pictures == 1
    office.now += timedelta(days=30)
    with office.database.begin() as connection:
        terminals.retire(connection, "t-1", now=office.now)
    take_in(stick)
    photos = tuple(
        Photo(role=role, attachment=digest, width_px=1280, height_px=960, image_bytes=100)
        for role in (PhotoRole.IDENTITY_CARD, PhotoRole.WITH_NEWSPAPER)
    )

    def case(counter: int, previous: str | None) -> bytes:
        hall.terminal.counter, hall.terminal.previous = counter - 1, previous
        return bytes(hall.terminal.next_case(photos=photos))

    hall.outbox.append(case)
    home, exported = hall.courier().sync(stick)
    assert (home.pictures, home.pictures_refused, exported.records, exported.pictures) == (0, 1, 1, 1)
    take_in(stick)
    home = hall.bring_home(stick)
    assert (home.confirmed, home.pictures, home.pictures_refused) == (1, 1, 0)
    assert hall.attachments.counts() == PictureCounts(waiting=0, refused=0)
    assert [row.sha256 for row in office.rows("SELECT sha256 FROM attachments")] == [digest]


def test_a_picture_that_can_never_be_taken_goes_again_only_when_somebody_says_so(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    (digest,) = hall.attachments.put([seal(bytes(100), reader=office.keys.sealing_key().public())])
    hall.attachments.settle([ReceiptItem(sha256=digest, verdict=Verdict.REFUSED, reason="too_large")])
    assert hall.export(stick).pictures == 0
    assert hall.attachments.retry_refused(9) == 1
    assert hall.export(stick).pictures == 1
    take_in(stick)
    assert hall.bring_home(stick).pictures == 1


def test_a_message_that_the_fleet_fails_on_is_set_aside_and_costs_no_other(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    digests = hall.record(5, outcome=Outcome.CANCELLED)
    poison = hall.outbox.unconfirmed(5)[2].envelope

    class Faulty(Handler):
        def handle(self, messages: Any) -> list[Outbound]:
            if any(message.payload == poison for message in messages):
                raise RuntimeError("a fault of our own")
            return super().handle(messages)

    hall.export(stick)
    taken = take_in(stick, handler=office.make_handler(Faulty))["t-1"]
    assert (taken.stored, taken.set_aside, taken.is_in_order) == (4, 1, False)
    assert hall.bring_home(stick).confirmed == 4
    assert [row.sha256 for row in hall.outbox.unconfirmed(5)] == [digests[2]]
    assert [row.reason for row in office.quarantine()] == ["not_handled"]


@pytest.mark.parametrize(("code", "said"), [(errno.EROFS, "cannot be written to"), (errno.ENOSPC, "no room is left")])
def test_records_count_even_when_no_answer_can_be_written(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]], code: int, said: str
) -> None:
    hall.record(5, outcome=Outcome.CANCELLED)
    hall.export(stick)
    taken = take_in(stick, disk=CuttingDisk(1, OSError(code, os.strerror(code))))["t-1"]
    assert taken.stored == 5
    assert said in taken.failures[0]
    assert take_in(stick)["t-1"].repeated == 5
    assert hall.bring_home(stick).confirmed == 5


def test_a_terminal_without_records_or_network_gets_its_roster_in_many_pages(
    office: Any, hall: Hall, stick: Path
) -> None:
    office.import_people(450)
    office.hold_references()
    office.assign_all("t-1")
    assert fleet_courier(office).hand_out(stick, "t-1") == (3, 0)
    home = hall.bring_home(stick)
    assert (home.pages, home.pages_unfit) == (3, 0)
    assert all(hall.references.find(token) is not None for token in office.people.values())
    assert hall.policies.current() is not None

    # A second visit replaces the pages, and the roster begins anew.
    fleet_courier(office).hand_out(stick, "t-1")
    office.now += timedelta(hours=1)
    fleet_courier(office).hand_out(stick, "t-1")
    assert len(chunks_of(stick, "roster")) <= 3
    assert hall.bring_home(stick).pages == 3
    for name in ("t-9", "t-2"):
        with pytest.raises(NotFound, match="in service"):
            fleet_courier(office).hand_out(stick, name)


def test_a_roster_that_was_under_way_too_long_is_told_and_not_used(office: Any, hall: Hall, stick: Path) -> None:
    office.import_people(1)
    office.assign_all("t-1")
    fleet_courier(office).hand_out(stick, "t-1")
    hall.clock.advance(int(timedelta(days=60).total_seconds() * 10**9))
    home = hall.bring_home(stick)
    assert (home.pages, home.pages_unfit, home.expired, home.problems) == (0, 0, 1, [])
    assert hall.references.version() == 0
    assert chunks_of(stick, "roster") == []


def test_the_fleet_can_be_given_its_history_again(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    hall.record(40, outcome=Outcome.CANCELLED)
    hall.export(stick)
    take_in(stick)
    hall.bring_home(stick)
    assert hall.export(stick).records == 0
    assert hall.export(stick, everything=True).records == 40
    assert take_in(stick)["t-1"].repeated == 40
    hall.bring_home(stick)
    assert hall.counts() == {"acknowledged": 40}


def test_the_question_on_the_stick_is_the_newest_one(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    office.import_people(2)
    office.assign_all("t-1")
    hall.export(stick)
    hall.export(stick)
    (question,) = chunks_of(stick)
    fleet_courier(office).hand_out(stick, "t-1")
    hall.bring_home(stick)
    hall.export(stick)
    assert [path.name for path in chunks_of(stick)] != [question.name]
    assert len(chunks_of(stick)) == 1
    office.import_people(1, first=3)
    office.assign_all("t-1")
    take_in(stick)
    assert hall.bring_home(stick).pages == 1
    assert all(hall.references.find(token) for token in office.people.values())


def test_while_nothing_was_lost_every_counter_is_true(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    seen: list[tuple[Step, int, int]] = []
    hall.record(40, outcome=Outcome.CANCELLED)
    hall.courier().export_to(stick, on_progress=lambda *told: seen.append(told))
    assert seen == [(Step.WRITING, 0, 40), (Step.WRITING, 32, 40), (Step.WRITING, 40, 40)]
    take_in(stick)
    seen.clear()
    hall.courier(keep=5).sync(stick, on_progress=lambda *told: seen.append(told))
    assert (Step.READING, 1, 1) in seen
    assert hall.counts() == {"acknowledged": 5}


def test_the_programs_say_what_was_done_and_what_is_wrong(office: Any, hall: Hall, stick: Path) -> None:
    config = configure(hall)
    hall.record(3, outcome=Outcome.CANCELLED)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command(config, *arguments), capture_output=True, text=True, check=False)

    done = run("sync", stick)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "nothing came home on the stick"), done.stderr
    assert "3 records are on the stick" in done.stdout
    assert run("list").returncode == 1
    (hall.folder / "media" / "usb").mkdir(parents=True)
    for arguments, said in (
        (("import", stick), "carries nothing for terminal t-1"),
        (("export", stick / "none"), "plug it in"),
        (("export", hall.folder / "media" / "usb"), "none is mounted there"),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.splitlines()[-1].startswith("lifecert-terminal: stick")
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    fleet = hall.fleet.model_copy(update={"sealing_key": None})
    (hall.folder / "fleet.json").write_bytes(fleet.to_bytes())
    done = run("export", stick)
    assert done.returncode == 1
    assert "accept-fleet" in done.stderr


def test_a_stick_can_come_home_while_the_network_sends(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    # The receipt of the network for some records arrives between the plan of an export and its end.
    digests = hall.record(64, outcome=Outcome.CANCELLED)
    rows = hall.outbox.unconfirmed(64)

    def network(step: Step, done: int, _total: int) -> None:
        if step is Step.WRITING and done == 32:
            answers = office.send(hall.terminal, *(row.envelope for row in rows[20:50]))
            for answer in answers:
                hall.outbox.settle(office.receipt(answer.payload).items)

    hall.courier().export_to(stick, on_progress=network)
    take_in(stick)
    hall.bring_home(stick)
    assert Counter(stored(office)) == Counter(digests)
    assert hall.counts() == {"acknowledged": 64}


def test_a_wrong_time_of_the_terminal_does_not_matter(
    office: Any, hall: Hall, stick: Path, take_in: Callable[..., dict[str, Taken]]
) -> None:
    hall.clock = SteppedClock(datetime.fromtimestamp(0, office.now.tzinfo), source=ClockSource.NONE)
    hall.record(2, outcome=Outcome.CANCELLED)
    hall.export(stick)
    assert take_in(stick)["t-1"].stored == 2
    assert hall.bring_home(stick).confirmed == 2
    assert hall.clock.now().last_fleet_time == office.now


def test_inbound_is_the_one_mqtt_makes(office: Any, hall: Hall, stick: Path) -> None:
    seen: list[Inbound] = []

    class Watching(Handler):
        def handle(self, messages: Any) -> list[Outbound]:
            seen.extend(messages)
            return super().handle(messages)

    hall.record(2, outcome=Outcome.CANCELLED)
    rows = hall.outbox.unconfirmed(2)
    hall.export(stick)
    fleet_courier(office, handler=office.make_handler(Watching)).take_in(stick)
    assert [(one.topic, one.payload) for one in seen[:2]] == [
        (str(hall.terminal.topic(Kind.RECORD)), row.envelope) for row in rows
    ]
    assert seen[2].topic == str(hall.terminal.topic(Kind.ROSTER_REQUEST))


def test_the_fleets_program_says_what_was_done_and_what_is_wrong(
    office: Any, make_hall: Callable[..., Hall], stick: Path, tmp_path: Path, database_url: str
) -> None:
    config = tmp_path / "office" / "fleet.toml"
    config.write_text(f'fleet_id = "north"\ndata_dir = "."\ndatabase = "{database_url}"\n')

    def run(*arguments: object) -> Any:
        return CliRunner().invoke(app, ["courier", *map(str, arguments), "--config", str(config)])

    hall, unknown = make_hall("t-1"), make_hall("t-9", registered=False)
    hall.record(3, outcome=Outcome.CANCELLED)
    hall.export(stick)
    done = run("import", stick)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "terminal t-1: 3 records stored, 0 were here, 0 refused; 1 roster page written" in done.stderr
    done = run("export", stick, "--terminal", "t-1", "--json")
    assert json.loads(done.stdout) == {"terminal_id": "t-1", "pages": 1, "bundles": 0}

    hall.export(stick)
    unknown.record(1)
    unknown.export(stick)
    chunks_of(stick)[0].write_bytes(b"")
    done = run("import", stick, "--json")
    assert done.exit_code == 1
    assert [found["terminal_id"] for found in json.loads(done.stdout)["terminals"]] == ["t-1", "t-9"]
    assert "damaged; left out, its records are still on the terminal" in done.stderr
    assert "terminal t-9: is not registered" in done.stderr

    for arguments, said in (
        (("import", tmp_path / "none"), "plug it in"),
        (("import", tmp_path), "no terminal of fleet north has put anything onto it"),
        (("export", stick, "--terminal", "t-9"), "none of this name is in service"),
    ):
        done = run(*arguments)
        assert (done.exit_code, done.stdout) == (1, "")
        assert said in done.stderr
    (tmp_path / "office" / "keys" / "sealing.pem").unlink()
    done = run("import", stick)
    assert done.exit_code == 1
    assert "lifecert-fleet init" in done.stderr
