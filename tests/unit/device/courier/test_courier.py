from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from device.courier import courier as couriers
from device.courier.courier import Courier, Imported, Parts, Step
from device.courier.reporting import exported_lines, imported_lines, on_stderr, problem_lines
from device.errors import KeyUnusable, StickForeign, StickMissing, StickUnusable
from device.simulated.clock import SteppedClock
from device.simulated.stores import (
    FixedAttestation,
    FixedPolicy,
    FixedRulePacks,
    MemoryAttachments,
    MemoryDesired,
    MemoryOutbox,
    MemoryReferences,
    MemoryShelf,
    MemoryStaff,
    ThrowAwaySigner,
)
from device.updates.shelf import Shelf
from device.updates.stock import Stock
from device.uplink.inbox import Inbox
from protocol.courier import MANIFEST, CourierBundle, update_file
from protocol.courier_files import Problem, ProblemKind
from protocol.desired import DESIRED_TYP
from protocol.envelope import seal, sign
from protocol.keys import PrivateKey
from protocol.receipts import RECEIPT_TYP, Receipt, ReceiptItem, Verdict
from protocol.records import RECORD_TYP
from protocol.registration import FleetIdentity
from protocol.stick import StickFault, open_stick
from protocol.topics import Kind
from tests.unit.device.updates.making import KEY, desired_of, make_bundle, place, settings_in, want_of

FLEET_SIGNING, FLEET_SEALING, SEALING = PrivateKey.generate(), PrivateKey.generate(), PrivateKey.generate()
FLEET = FleetIdentity(fleet_id="north", signing_key=FLEET_SIGNING.public(), sealing_key=FLEET_SEALING.public())
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Desk:
    """A terminal in memory with a courier, and the fleet's end of a stick."""

    def __init__(self, fleet: FleetIdentity = FLEET, terminal_id: str = "t-1", **more: Any) -> None:
        self.outbox = MemoryOutbox()
        self.clock = SteppedClock(NOON)
        self.key = PrivateKey.generate()
        self.signer = ThrowAwaySigner()
        inbox = Inbox(fleet_id="north", terminal_id=terminal_id, fleet_key=FLEET_SIGNING.public(), sealing_key=SEALING)
        self.pictures = MemoryAttachments()
        self.desired, self.shelf = MemoryDesired(), MemoryShelf()
        references = MemoryReferences(claim_key=None)
        parts = Parts(
            self.outbox,
            references,
            FixedPolicy(None),
            FixedRulePacks(),
            FixedAttestation(None),
            MemoryStaff(),
            self.pictures,
            self.signer,
            self.clock,
            inbox,
            self.desired,
            self.shelf,
        )
        self.courier = Courier(fleet, terminal_id, parts, sealing_key=SEALING, mount_root=None, keep=10**6, **more)

    def record(self, count: int, size: int = 100) -> list[str]:
        def build(counter: int, _previous: str | None) -> bytes:
            return sign(f"{counter}".encode().ljust(size), key=self.key, typ=RECORD_TYP)

        return [self.outbox.append(build).sha256 for _ in range(count)]


@pytest.fixture
def answer(write_bundle: Callable[..., None]) -> Callable[..., None]:
    """Writes answers as the fleet does, unless told otherwise."""
    return partial(write_bundle, signer=FLEET_SIGNING, reader=SEALING)


def receipt(*items: tuple[str, Verdict], terminal: str = "t-1", reason: str | None = None) -> tuple[Kind, bytes]:
    made = Receipt(
        fleet_id="north",
        terminal_id=terminal,
        fleet_time=NOON,
        items=tuple(ReceiptItem(sha256=sha256, verdict=verdict, reason=reason) for sha256, verdict in items),
    )
    return Kind.RECEIPT, sign(made.to_bytes(), key=FLEET_SIGNING, typ=RECEIPT_TYP)


def test_an_export_changes_nothing_in_the_outbox(tmp_path: Path) -> None:
    desk = Desk()
    desk.record(40)
    before = desk.outbox.counts()
    assert desk.courier.export_to(tmp_path).records == 40
    assert desk.outbox.counts() == before


def test_an_export_repeats_only_the_block_that_grew(tmp_path: Path) -> None:
    desk = Desk()
    desk.record(40)
    first = desk.courier.export_to(tmp_path)
    assert (first.chunks_written, first.chunks_kept) == (3, 0)
    again = desk.courier.export_to(tmp_path)
    assert (again.records, again.chunks_written, again.chunks_kept) == (40, 0, 2)
    desk.record(5)
    grown = desk.courier.export_to(tmp_path)
    assert (grown.records, grown.chunks_written, grown.chunks_kept) == (45, 1, 1)


def test_large_records_make_more_chunks_of_a_block_and_the_same_ones_each_time(tmp_path: Path) -> None:
    desk = Desk()
    desk.record(32, size=40_000)
    first = desk.courier.export_to(tmp_path)
    assert first.chunks_written == 6
    again = desk.courier.export_to(tmp_path)
    assert (again.chunks_written, again.chunks_kept) == (0, 5)


def test_what_is_more_than_a_stick_takes_waits_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "MOST_CHUNKS", 2)
    desk = Desk()
    desk.record(100)
    done = desk.courier.export_to(tmp_path)
    assert (done.records, done.left) == (64, 36)
    assert "36 more records or pictures wait" in exported_lines(done)[1]


def test_sealed_pictures_go_along_and_stay_until_the_receipt_is_home(
    tmp_path: Path, answer: Callable[..., None]
) -> None:
    desk = Desk()
    desk.record(3)
    digests = desk.pictures.put([seal(bytes([number]) * 200_000, reader=FLEET_SEALING.public()) for number in range(3)])
    first = desk.courier.export_to(tmp_path)
    assert (first.records, first.pictures, first.chunks_written) == (3, 3, 5)
    again = desk.courier.export_to(tmp_path)
    assert (again.pictures, again.chunks_written, again.chunks_kept) == (3, 0, 4)
    assert desk.pictures.counts().waiting == 3
    answer(tmp_path, receipt((digests[1], Verdict.STORED)))
    done = desk.courier.import_from(tmp_path)
    assert [one.sha256 for one in desk.pictures.waiting(9)] == [digests[0], digests[2]]
    assert imported_lines(done)[1] == "1 sealed pictures of cases confirmed, 0 refused"


def sealed(*plain: bytes) -> list[bytes]:
    return [seal(one, reader=FLEET_SEALING.public()) for one in plain]


def test_a_picture_the_stick_had_no_room_for_goes_with_the_next_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[..., None]
) -> None:
    desk = Desk()
    first, second = desk.pictures.put(sealed(b"one", b"two"))
    monkeypatch.setattr(couriers, "MOST_CHUNKS", 1)
    _, exported = desk.courier.sync(tmp_path)
    assert (exported.pictures, exported.left) == (1, 1)
    assert "1 more records or pictures wait" in exported_lines(exported)[2]
    answer(tmp_path, receipt((first, Verdict.STORED)))
    imported, exported = desk.courier.sync(tmp_path)
    assert (imported.pictures, exported.pictures, exported.left) == (1, 1, 0)
    assert [one.sha256 for one in desk.pictures.waiting(9)] == [second]


def test_a_refused_picture_goes_along_again_where_the_cause_may_be_cured_and_else_when_it_is_retried(
    tmp_path: Path, answer: Callable[..., None]
) -> None:
    desk = Desk()
    cured, large = desk.pictures.put(sealed(b"one", b"two"))
    answer(tmp_path, receipt((cured, Verdict.REFUSED), reason="retired_terminal"))
    answer(tmp_path, receipt((large, Verdict.REFUSED), reason="too_large"))
    imported, exported = desk.courier.sync(tmp_path)
    assert (imported.pictures, imported.pictures_refused, imported.refused) == (0, 2, 0)
    assert "2 refused" in imported_lines(imported)[1]
    assert exported.pictures == 1
    assert [one.sha256 for one in desk.pictures.refused(9)] == [large]
    desk.pictures.retry_refused(9)
    assert desk.courier.export_to(tmp_path).pictures == 2


def test_receipts_settle_and_every_number_is_that_of_the_outbox(tmp_path: Path, answer: Callable[..., None]) -> None:
    desk = Desk()
    stored = desk.record(5)
    first = receipt((stored[0], Verdict.STORED), (stored[1], Verdict.REPEATED))
    second = receipt((stored[2], Verdict.REFUSED), reason="fork")
    answer(tmp_path, first, second, receipt(("f" * 64, Verdict.STORED)))
    done = desk.courier.import_from(tmp_path)
    assert (done.confirmed, done.refused, done.chunks, done.problems) == (2, 1, 3, [])
    counts = desk.outbox.counts()
    assert (counts.acknowledged, counts.refused, counts.pending) == (2, 1, 2)
    assert imported_lines(done) == ["2 records confirmed, 1 refused"]


def test_a_refusal_that_can_be_cured_goes_along_again_and_one_that_cannot_does_not(
    tmp_path: Path, answer: Callable[..., None]
) -> None:
    desk = Desk()
    stored = desk.record(3)
    answer(tmp_path, receipt((stored[0], Verdict.REFUSED), reason="unsupported_version"))
    answer(tmp_path, receipt((stored[1], Verdict.REFUSED), reason="fork"))
    _, exported = desk.courier.sync(tmp_path)
    assert exported.records == 2


def test_the_fleets_time_is_a_lower_bound_and_never_goes_back(tmp_path: Path, answer: Callable[..., None]) -> None:
    desk = Desk()
    answer(tmp_path, receipt(("f" * 64, Verdict.STORED)), made_at=NOON + timedelta(days=3))
    desk.courier.import_from(tmp_path)
    answer(tmp_path, receipt(("f" * 64, Verdict.STORED)), made_at=NOON - timedelta(days=3))
    desk.courier.import_from(tmp_path)
    assert desk.clock.now().last_fleet_time == NOON + timedelta(days=3)


def test_a_message_for_another_terminal_inside_a_good_chunk_is_named_and_the_rest_counts(
    tmp_path: Path, answer: Callable[..., None]
) -> None:
    told: list[tuple[Kind, str]] = []
    desk = Desk(on_refused=lambda kind, why: told.append((kind, why)))
    stored = desk.record(1)
    answer(tmp_path, receipt((stored[0], Verdict.STORED)), receipt((stored[0], Verdict.REFUSED), terminal="t-2"))
    done = desk.courier.import_from(tmp_path)
    assert [problem.kind for problem in done.problems] == [ProblemKind.INVALID]
    assert done.confirmed == 1
    assert told == [(Kind.RECEIPT, "other_terminal")]
    # It stays on the stick and is named again.
    assert len(desk.courier.import_from(tmp_path).problems) == 2


def forge(stick: Path, answer: Callable[..., None]) -> None:
    answer(stick, *[receipt((digest * 64, Verdict.STORED)) for digest in "ab"], signer=PrivateKey.generate())


def misdirect(stick: Path, answer: Callable[..., None]) -> None:
    answer(stick, receipt(("a" * 64, Verdict.STORED)), reader=PrivateKey.generate())


def damage(stick: Path, answer: Callable[..., None]) -> None:
    answer(stick, receipt(("a" * 64, Verdict.STORED)))
    next(stick.rglob("0*.lcb")).write_bytes(b"x")


def lose(stick: Path, answer: Callable[..., None]) -> None:
    answer(stick, *[receipt((digest * 64, Verdict.STORED)) for digest in "ab"])
    next(stick.rglob("0*.lcb")).unlink()


def interrupt(stick: Path, answer: Callable[..., None]) -> None:
    answer(stick, receipt(("a" * 64, Verdict.STORED)))
    next(stick.rglob(MANIFEST)).unlink()


@pytest.mark.parametrize(
    ("spoil", "kind", "why"),
    [
        (forge, ProblemKind.FORGED, "signature"),
        (misdirect, ProblemKind.FOREIGN, "other_terminal"),
        (damage, ProblemKind.DAMAGED, "malformed"),
        (lose, ProblemKind.MISSING, "incomplete"),
        (interrupt, ProblemKind.UNFINISHED, "incomplete"),
    ],
)
def test_files_that_do_not_count_are_told_once_for_each_reason(
    tmp_path: Path,
    spoil: Callable[[Path, Callable[..., None]], None],
    answer: Callable[..., None],
    kind: ProblemKind,
    why: str,
) -> None:
    told: list[tuple[Kind | CourierBundle, str]] = []
    spoil(tmp_path, answer)
    done = Desk(on_refused=lambda what, reason: told.append((what, reason))).courier.import_from(tmp_path)
    assert {problem.kind for problem in done.problems} == {kind}
    assert told == [(CourierBundle.ANSWERS, why)]


def test_every_kind_of_problem_has_a_reason() -> None:
    assert set(couriers._WHY) == set(ProblemKind) - {ProblemKind.INVALID}


def test_a_stick_without_anything_for_this_terminal_is_told(tmp_path: Path, answer: Callable[..., None]) -> None:
    answer(tmp_path, receipt(("f" * 64, Verdict.STORED)))
    with pytest.raises(StickForeign, match="nothing for terminal t-2"):
        Desk(terminal_id="t-2").courier.import_from(tmp_path)
    imported, exported = Desk(terminal_id="t-2").courier.sync(tmp_path)
    assert (imported.chunks, exported.records) == (0, 0)


def test_without_the_fleets_sealing_key_nothing_is_written_and_receipts_still_come_home(
    tmp_path: Path, answer: Callable[..., None]
) -> None:
    desk = Desk(FLEET.model_copy(update={"sealing_key": None}))
    stored = desk.record(1)
    for work in (desk.courier.export_to, desk.courier.sync):
        with pytest.raises(KeyUnusable, match="accept-fleet"):
            work(tmp_path)
    assert list(tmp_path.iterdir()) == []
    answer(tmp_path, receipt((stored[0], Verdict.STORED)))
    assert desk.courier.import_from(tmp_path).confirmed == 1


def test_each_fault_of_a_stick_has_an_error_of_its_own_that_keeps_the_fault(tmp_path: Path) -> None:
    desk = Desk()
    with pytest.raises(StickMissing, match="plug it in") as missing:
        desk.courier.export_to(tmp_path / "none")
    assert missing.value.fault == StickFault.ABSENT
    with open_stick(tmp_path), pytest.raises(StickUnusable, match="another program") as busy:
        desk.courier.export_to(tmp_path)
    assert busy.value.fault == StickFault.BUSY


def test_problems_of_one_kind_are_one_line() -> None:
    done = Imported(problems=[Problem(name, ProblemKind.DAMAGED) for name in "abc"])
    done.problems.append(Problem("m", ProblemKind.UNFINISHED))
    lines = problem_lines(done)
    assert len(lines) == 2
    assert lines[0].startswith("a and 2 more: damaged")
    for kind in ProblemKind:
        assert problem_lines(Imported(problems=[Problem("x", kind)]))[0].startswith("x: ")
    assert imported_lines(Imported()) == ["nothing came home on the stick"]


def test_progress_on_stderr_is_some_lines_and_not_thousands(capsys: pytest.CaptureFixture[str]) -> None:
    show = on_stderr()
    for done in range(1001):
        show(Step.WRITING, done, 1000)
    show(Step.READING, 0, 0)
    lines = capsys.readouterr().err.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (21, "writing: 0 of 1000", "writing: 1000 of 1000")


def updates_on(stick: Path, *bundles: bytes, fleet: str = "north") -> Path:
    folder = stick / "lifecert" / f"fleet-{fleet}" / "updates"
    folder.mkdir(parents=True, exist_ok=True)
    for bundle in bundles:
        (folder / update_file(want_of(bundle).bundle_id)).write_bytes(bundle)
    return folder


def test_a_bundle_of_updates_is_copied_in_with_the_word_that_it_is_wanted_and_stays_for_the_next_terminal(
    tmp_path: Path, answer: Callable[..., None]
) -> None:
    stick, bundle, other = tmp_path / "stick", make_bundle(2, files=40), make_bundle(3)
    want = want_of(bundle)
    desired = desired_of(1, want)
    answer(stick, (Kind.DESIRED, sign(desired.to_bytes(), key=FLEET_SIGNING, typ=DESIRED_TYP)))
    folder = updates_on(stick, bundle, other)
    desk = Desk()
    settings = settings_in(tmp_path / "terminal")
    shelf = Shelf(settings.updates_dir, spare_bytes=0, key_of=lambda kid: KEY.public() if kid == KEY.key_id else None)
    desk.courier._parts = replace(
        desk.courier._parts, shelf=Stock(settings, desk.desired, shelf, place=lambda: place())
    )
    done = desk.courier.import_from(stick)
    assert (done.updates, done.problems) == (1, [])
    assert any("1 bundles of updates" in line for line in imported_lines(done))
    assert shelf.whole(want).read_bytes() == bundle
    assert {path.name for path in folder.iterdir()} == {
        update_file(want_of(each).bundle_id) for each in (bundle, other)
    }
    assert [path.name for path in settings.updates_dir.iterdir()] == [update_file(want.bundle_id)]
    # Once more: it is here, and nothing else came.
    with pytest.raises(StickForeign):
        desk.courier.import_from(stick)


@pytest.mark.parametrize(
    ("laid", "kind", "why"),
    [
        (make_bundle(2)[:-1], ProblemKind.DAMAGED, "malformed"),
        (make_bundle(2) + b"x", ProblemKind.DAMAGED, "malformed"),
        (b"garbage" * 1000, ProblemKind.DAMAGED, "malformed"),
        (make_bundle(2, key=PrivateKey.generate()), ProblemKind.FORGED, "signature"),
        (make_bundle(2, machine="x86_64"), ProblemKind.DAMAGED, "malformed"),
        (None, ProblemKind.NO_ROOM, None),
    ],
)
def test_a_bundle_on_a_stick_that_is_not_to_be_taken_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, laid: bytes | None, kind: ProblemKind, why: str | None
) -> None:
    refused: list[tuple[str, str]] = []
    desk = Desk(on_refused=lambda kind, why: refused.append((str(kind), why)))
    settings = settings_in(tmp_path / "terminal")
    shelf = Shelf(settings.updates_dir, spare_bytes=0, key_of=lambda kid: KEY.public() if kid == KEY.key_id else None)
    desk.courier._parts = replace(
        desk.courier._parts, shelf=Stock(settings, desk.desired, shelf, place=lambda: place())
    )
    bundle = make_bundle(2)
    want = want_of(bundle)
    desk.desired.apply(sign(desired_of(1, want).to_bytes(), key=FLEET_SIGNING, typ=DESIRED_TYP))
    folder = updates_on(tmp_path / "stick")
    (folder / update_file(want.bundle_id)).write_bytes(bundle if laid is None else laid)
    if laid is None:
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr("device.updates.shelf.shutil.disk_usage", lambda _: usage._replace(free=10))
    done = desk.courier.import_from(tmp_path / "stick")
    assert [problem.kind for problem in done.problems] == [kind]
    assert done.updates == 0
    assert refused == ([] if why is None else [("desired", why)])
    assert list(settings.updates_dir.iterdir()) == []
    assert problem_lines(done)


def test_links_and_folders_in_the_place_of_a_bundle_are_passed_over(tmp_path: Path) -> None:
    bundle = make_bundle(2)
    want = want_of(bundle)
    desk = Desk()
    desk.courier._parts = replace(desk.courier._parts, shelf=MemoryShelf(want))
    folder = updates_on(tmp_path / "stick")
    (tmp_path / "elsewhere").write_bytes(bundle)
    (folder / update_file(want.bundle_id)).symlink_to(tmp_path / "elsewhere")
    assert desk.courier.sync(tmp_path / "stick")[0].updates == 0
    (folder / update_file(want.bundle_id)).unlink()
    (folder / update_file(want.bundle_id)).mkdir()
    assert desk.courier.sync(tmp_path / "stick")[0].updates == 0
