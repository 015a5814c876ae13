"""A stick in the running terminal: real stores and files, in a thread of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from device.adapters.outbox_sqlite import SqliteOutbox
from device.app.stick import ThreadedStick
from device.courier.sticks import Stick
from device.desk.view import CourierView, Problem
from device.settings import Settings, load_settings
from protocol.envelope import sign
from protocol.keys import PrivateKey
from protocol.records import RECORD_TYP
from protocol.registration import FleetIdentity

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
    identity = FleetIdentity(
        fleet_id="north", signing_key=PrivateKey.generate().public(), sealing_key=PrivateKey.generate().public()
    )
    (tmp_path / "fleet.json").write_bytes(identity.to_bytes())
    (tmp_path / "terminal.toml").write_text(SETTINGS)
    return load_settings(tmp_path / "terminal.toml")


def run(settings: Settings, stick: Path) -> list[tuple[CourierView, str | None]]:
    told: list[tuple[CourierView, str | None]] = []
    runner = ThreadedStick(settings)
    runner.run(str(stick), lambda view, problem: told.append((view, problem)))
    assert runner.wait(60)
    return told


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
