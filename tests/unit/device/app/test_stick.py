"""A stick in the running terminal: real stores and files, in a thread of its own."""

from __future__ import annotations

import errno
import itertools
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from device.adapters.outbox_sqlite import SqliteOutbox
from device.app.stick import ThreadedStick
from device.cli import app
from device.courier.sticks import Stick
from device.desk.view import CourierView, Problem
from device.settings import Settings, load_settings
from protocol import base64url
from protocol.courier import MANIFEST, CourierBundle
from protocol.envelope import seal, sign, typ_of, verify
from protocol.events import EVENT_TYP, EventKind, TerminalEvent
from protocol.keys import PrivateKey
from protocol.receipts import RECEIPT_TYP, Receipt, ReceiptItem, Verdict
from protocol.records import RECORD_TYP
from protocol.registration import FleetIdentity
from protocol.roster import ROSTER_TYP, RosterPage
from protocol.stick import Disk, open_stick
from protocol.topics import Kind

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = datetime(2099, 1, 1, tzinfo=UTC)

SETTINGS = """
[terminal]
fleet_id = "north"
terminal_id = "t-1"
data_dir = "data"

[keys]
signing = "signing.pem"
sealing = "sealing.pem"
storage = "storage.key"
fleet = "fleet.json"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("signing", "sealing"):
        PrivateKey.generate().save(tmp_path / f"{name}.pem")
    fleet = PrivateKey.generate()
    fleet.save(tmp_path / "fleet.pem")
    identity = FleetIdentity(fleet_id="north", signing_key=fleet.public(), sealing_key=PrivateKey.generate().public())
    (tmp_path / "fleet.json").write_bytes(identity.to_bytes())
    (tmp_path / "terminal.toml").write_text(SETTINGS)
    return load_settings(tmp_path / "terminal.toml")


def run(settings: Settings, stick: Path) -> list[tuple[CourierView, str | None]]:
    told: list[tuple[CourierView, str | None]] = []
    runner = ThreadedStick(settings)
    runner.run(str(stick), lambda view, problem: told.append((view, problem)))
    assert runner.wait(60)
    return told


def receipt(tmp_path: Path, sha256: str) -> tuple[Kind, bytes]:
    made = Receipt(
        fleet_id="north",
        terminal_id="t-1",
        fleet_time=NOW,
        items=(ReceiptItem(sha256=sha256, verdict=Verdict.STORED, reason=None),),
    )
    return Kind.RECEIPT, sign(made.to_bytes(), key=PrivateKey.load(tmp_path / "fleet.pem"), typ=RECEIPT_TYP)


def page(tmp_path: Path, *, expires_at: datetime, after: int = 0) -> tuple[Kind, bytes]:
    made = RosterPage(
        fleet_id="north",
        terminal_id="t-1",
        issued_at=NOW - timedelta(days=40),
        expires_at=expires_at,
        after=after,
        upto=after + 1,
        complete=True,
        claim_key=base64url.encode(bytes(32)),
        feature_keys={},
        entries=(),
    )
    token = sign(made.to_bytes(), key=PrivateKey.load(tmp_path / "fleet.pem"), typ=ROSTER_TYP)
    return Kind.ROSTER, seal(token, reader=PrivateKey.load(tmp_path / "sealing.pem").public())


def noted(settings: Settings) -> list[tuple[EventKind, dict[str, str]]]:
    """Return the events of the chain."""
    outbox = SqliteOutbox(settings.outbox_path, max_rows=100, max_bytes=1 << 24)
    rows = outbox.history(100)
    outbox.close()
    key = PrivateKey.load(settings.keys.signing.path).public()
    assert [row.counter for row in rows] == list(range(1, len(rows) + 1))
    found = []
    for row in rows:
        if typ_of(row.envelope) == EVENT_TYP:
            payload = verify(row.envelope, key_of=lambda _: key, typ=EVENT_TYP).payload
            event = TerminalEvent.parse(payload)
            found.append((event.kind, event.detail))
    return found


def one_record(settings: Settings) -> str:
    outbox = SqliteOutbox(settings.outbox_path, max_rows=100, max_bytes=1 << 24)
    key = PrivateKey.load(settings.keys.signing.path)
    stored = outbox.append(lambda counter, _: sign(b"%d" % counter, key=key, typ=RECORD_TYP))
    outbox.close()
    return stored.sha256


@pytest.mark.parametrize(("is_forged", "why"), [(True, "signature"), (False, "other_terminal")])
def test_what_is_not_genuine_or_for_another_terminal_is_told_and_noted_and_the_rest_counts(
    settings: Settings, tmp_path: Path, is_forged: bool, why: str, write_bundle: Callable[..., None]
) -> None:
    stick, fleet = tmp_path / "stick", PrivateKey.load(tmp_path / "fleet.pem")
    sealing = PrivateKey.load(tmp_path / "sealing.pem")
    write_bundle(stick, receipt(tmp_path, one_record(settings)), signer=fleet, reader=sealing)
    write_bundle(
        stick,
        *[page(tmp_path, expires_at=LATER) for _ in range(2)],
        signer=PrivateKey.generate() if is_forged else fleet,
        reader=sealing if is_forged else PrivateKey.generate(),
        bundle=CourierBundle.ROSTER,
    )
    view, problem = run(settings, stick)[-1]
    assert (view.state, view.exported, view.imported) == ("done", 1, 1)
    assert problem == Problem.STICK_PART_REFUSED
    # Two files and their manifest: one link.
    assert noted(settings) == [(EventKind.REFUSED, {"kind": "roster", "why": why})]


def test_a_stick_whose_answers_are_not_whole_is_told_and_noted(
    settings: Settings, tmp_path: Path, write_bundle: Callable[..., None]
) -> None:
    stick, fleet = tmp_path / "stick", PrivateKey.load(tmp_path / "fleet.pem")
    write_bundle(
        stick,
        receipt(tmp_path, one_record(settings)),
        signer=fleet,
        reader=PrivateKey.load(tmp_path / "sealing.pem"),
    )
    next(stick.rglob(MANIFEST)).unlink()
    view, problem = run(settings, stick)[-1]
    assert (view.state, view.imported, problem) == ("done", 1, Problem.STICK_PART_REFUSED)
    assert noted(settings) == [(EventKind.REFUSED, {"kind": "answers", "why": "incomplete"})]


def test_a_roster_that_has_expired_is_told_and_noted(
    settings: Settings, tmp_path: Path, write_bundle: Callable[..., None]
) -> None:
    stick, fleet = tmp_path / "stick", PrivateKey.load(tmp_path / "fleet.pem")
    sealing = PrivateKey.load(tmp_path / "sealing.pem")
    write_bundle(
        stick,
        page(tmp_path, expires_at=NOW - timedelta(days=1)),
        signer=fleet,
        reader=sealing,
        bundle=CourierBundle.ROSTER,
    )
    view, problem = run(settings, stick)[-1]
    assert (view.state, problem) == ("done", Problem.STICK_ROSTER_REFUSED)
    assert noted(settings) == [(EventKind.REFUSED, {"kind": "roster", "why": "expired"})]


def test_a_roster_that_does_not_fit_is_told(
    settings: Settings, tmp_path: Path, write_bundle: Callable[..., None]
) -> None:
    stick, fleet = tmp_path / "stick", PrivateKey.load(tmp_path / "fleet.pem")
    write_bundle(
        stick,
        page(tmp_path, expires_at=LATER, after=7),
        signer=fleet,
        reader=PrivateKey.load(tmp_path / "sealing.pem"),
        bundle=CourierBundle.ROSTER,
    )
    view, problem = run(settings, stick)[-1]
    assert (view.state, problem) == ("done", Problem.STICK_ROSTER_REFUSED)


def test_records_go_out_and_the_count_is_told_while_they_do(settings: Settings, tmp_path: Path) -> None:
    outbox = SqliteOutbox(settings.outbox_path, max_rows=100, max_bytes=1 << 24)
    key = PrivateKey.load(tmp_path / "signing.pem")
    for _ in range(40):
        outbox.append(lambda counter, _: sign(b"%d" % counter, key=key, typ=RECORD_TYP))
    outbox.close()
    stick = tmp_path / "stick"
    stick.mkdir()
    told = run(settings, stick)
    assert told[-1] == (CourierView("done", exported=40, imported=0, total=40), None)
    assert [view.state for view, _ in told[:-1]] == ["running"] * (len(told) - 1)
    assert max(view.exported for view, _ in told[:-1]) == 40


def test_a_stick_that_is_gone_is_told_as_such(settings: Settings, tmp_path: Path) -> None:
    ((view, problem),) = run(settings, tmp_path / "gone")
    assert (view.state, problem) == ("failed", Problem.STICK_ABSENT)


def test_a_terminal_without_its_sealing_key_says_that_it_did_not_work(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "sealing.pem").unlink()
    (tmp_path / "stick").mkdir()
    ((view, problem),) = run(settings, tmp_path / "stick")
    assert (view.state, problem) == ("failed", Problem.STICK_FAILED)


def call(settings: Settings, verb: str, stick: Path, *options: str) -> int:
    config = settings.outbox_path.parents[1] / "terminal.toml"
    return CliRunner().invoke(app, ["courier", verb, str(stick), "--config", str(config), *options]).exit_code


def test_the_command_line_notes_what_the_screen_does(
    settings: Settings, tmp_path: Path, write_bundle: Callable[..., None]
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    sha256 = one_record(settings)
    assert call(settings, "sync", stick) == 0
    assert noted(settings) == [
        (EventKind.STICK_EXPORTED, {"records": "1"}),
        (EventKind.STICK_IMPORTED, {"messages": "0"}),
    ]
    assert call(settings, "export", stick, "--all") == 0
    assert noted(settings)[2:] == [(EventKind.STICK_EXPORTED, {"records": "3"})]
    fleet, sealing = (PrivateKey.load(tmp_path / f"{name}.pem") for name in ("fleet", "sealing"))
    write_bundle(stick, receipt(tmp_path, sha256), signer=fleet, reader=sealing)
    write_bundle(
        stick,
        page(tmp_path, expires_at=LATER),
        signer=PrivateKey.generate(),
        reader=sealing,
        bundle=CourierBundle.ROSTER,
    )
    assert call(settings, "import", stick) == 1
    assert noted(settings)[3:] == [
        (EventKind.REFUSED, {"kind": "roster", "why": "signature"}),
        (EventKind.STICK_IMPORTED, {"messages": "1", "why": "stick_part_refused"}),
    ]


class CutDisk(Disk):
    """Is pulled out at the second file."""

    def __init__(self) -> None:
        self.files = 0

    def create(self, name: str, folder: int) -> int:
        self.files += 1
        if self.files == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().create(name, folder)


def test_the_command_line_notes_a_stick_that_is_pulled_out(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    one_record(settings)
    monkeypatch.setattr("device.courier.courier.open_stick", lambda path, **_: open_stick(path, disk=CutDisk()))
    assert call(settings, "sync", stick) == 1
    assert noted(settings) == [(EventKind.STICK_FAILED, {"why": "stick_removed"})]


def test_terminal_and_command_line_write_one_chain(settings: Settings, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    key = PrivateKey.load(settings.keys.signing.path)
    running = SqliteOutbox(settings.outbox_path, max_rows=100, max_bytes=1 << 24)
    for _ in range(3):
        running.append(lambda counter, _: sign(b"%d" % counter, key=key, typ=RECORD_TYP))
        assert call(settings, "export", stick) == 0
    rows = running.history(100)
    running.close()
    assert [row.counter for row in rows] == [1, 2, 3, 4, 5, 6]
    public = key.public()
    for before, row in itertools.pairwise(rows):
        if typ_of(row.envelope) == EVENT_TYP:
            event = TerminalEvent.parse(verify(row.envelope, key_of=lambda _: public, typ=EVENT_TYP).payload)
            assert (event.counter, event.previous) == (row.counter, before.sha256)


def test_nothing_is_listed_where_nothing_is_mounted(settings: Settings) -> None:
    assert ThreadedStick(settings).sticks() == ()


def test_a_stick_whose_label_is_no_utf_8_can_be_shown_and_chosen(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = os.fsdecode(b"caf\xe9 %41")
    stick = tmp_path / label
    stick.mkdir()
    monkeypatch.setattr("device.app.stick.mounted_sticks", lambda _: [Stick(stick, is_read_only=False)])
    (shown,) = ThreadedStick(settings).sticks()
    assert shown.name == "caf\N{REPLACEMENT CHARACTER} %41"
    json.dumps([shown.code, shown.name], ensure_ascii=False).encode()
    told: list[str | None] = []
    runner = ThreadedStick(settings)
    runner.run(shown.code, lambda _, problem: told.append(problem))
    assert runner.wait(60)
    assert told[-1] is None
    assert list(stick.iterdir())


def test_an_error_nobody_thought_of_is_told_and_its_message_is_not_logged(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read(*_: object, **__: object) -> None:
        raise ValueError("what stands on the stick")

    monkeypatch.setattr("device.courier.courier.Courier.sync", read)
    (tmp_path / "stick").mkdir()
    ((view, problem),) = run(settings, tmp_path / "stick")
    assert (view.state, problem) == ("failed", Problem.STICK_FAILED)
    assert "ValueError" in caplog.text
    assert "what stands" not in caplog.text
