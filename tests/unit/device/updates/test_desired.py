from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from device.errors import SettingsInvalid
from device.settings import overlaid
from device.updates import marks
from device.updates.desired import FileDesiredStore, asked, checker
from device.updates.in_force import Started, start, values_of
from device.updates.marks import Marks, Process, is_held
from device.updates.release_keys import load
from device.updates.slots import MARK, Slots
from device.updates.trial import Limits
from device.updates.unpacking import unpack
from protocol.bundle import BundleKind
from protocol.desired import DESIRED_TYP, DesiredState, SettingValues
from protocol.envelope import sign
from protocol.errors import Malformed, NotForUs, ProtocolError, SignatureInvalid
from protocol.keys import PrivateKey
from tests.unit.device.updates.making import KEY, desired_of, make_bundle, moment, place, settings_in

pytestmark = pytest.mark.provisioning

FLEET = PrivateKey.generate()


def token(message: DesiredState, key: PrivateKey = FLEET) -> bytes:
    return sign(message.to_bytes(), key=key, typ=DESIRED_TYP)


def store(folder: Path) -> FileDesiredStore:
    return FileDesiredStore(
        folder / "desired.jws", FLEET.public(), fleet_id="north", terminal_id="t-1", check=checker(settings_in(folder))
    )


def test_the_newest_number_wins_whichever_way_it_came(tmp_path: Path) -> None:
    kept = store(tmp_path)
    assert kept.current() is None
    kept.apply(token(desired_of(5)))
    assert kept.apply(token(desired_of(4))).number == 5
    assert kept.apply(token(desired_of(6))).number == 6
    assert (tmp_path / "desired.jws").read_bytes().count(b".") == 2, "it is kept as it came"
    again = store(tmp_path).current()
    assert again is not None
    assert again.number == 6


@pytest.mark.parametrize(
    ("message", "key", "error"),
    [
        (desired_of(9, terminal="t-2"), FLEET, NotForUs),
        (desired_of(9), PrivateKey.generate(), SignatureInvalid),
    ],
)
def test_what_is_not_the_fleets_word_for_this_terminal_changes_nothing(
    tmp_path: Path, message: DesiredState, key: PrivateKey, error: type[ProtocolError]
) -> None:
    kept = store(tmp_path)
    kept.apply(token(desired_of(5)))
    with pytest.raises(error):
        kept.apply(token(message, key))
    found = kept.current()
    assert found is not None
    assert found.number == 5


def test_settings_that_this_terminal_cannot_have_are_refused_and_the_ones_before_stay(tmp_path: Path) -> None:
    def refuse(values: SettingValues) -> None:
        if values.uplink_window == 13:
            raise SettingsInvalid(["uplink.window: not here"])

    kept = FileDesiredStore(tmp_path / "d.jws", FLEET.public(), fleet_id="north", terminal_id="t-1", check=refuse)
    kept.apply(token(desired_of(5, settings=SettingValues(uplink_window=7))))
    with pytest.raises(Malformed, match=r"uplink\.window: not here"):
        kept.apply(token(desired_of(6, settings=SettingValues(uplink_window=13))))
    found = kept.current()
    assert found is not None
    assert found.settings.uplink_window == 7


def test_every_setting_that_the_office_may_set_is_one_of_the_terminals(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    values = values_of(settings)
    assert set(type(values).model_fields) == set(values.model_dump())
    given = {
        "voice_volume": 0.25, "voice_slow": True, "uplink_window": 3, "uplink_presence_s": 2.0, "uplink_health_s": 3.0,
        "uplink_roster_refresh_s": 4.0, "updates_bytes_per_s": 2048, "updates_from_hour": 22, "updates_until_hour": 5,
    }  # fmt: skip
    assert set(given) == set(SettingValues.model_fields)
    changed = overlaid(settings, asked(SettingValues(**given)))
    assert values_of(changed).model_dump() == given
    assert changed.terminal == settings.terminal


def test_an_overlay_that_does_not_fit_names_every_problem(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        overlaid(settings_in(tmp_path), {"uplink_window": 0, "voice_loudness": 1, "colour_red": 1})
    said = str(caught.value)
    assert "uplink.window" in said
    assert "voice.loudness: unknown key" in said
    assert "colour" in said


def put(settings_folder: Path, number: int, kind: BundleKind = BundleKind.NETWORKS) -> str:
    slots = Slots(settings_folder / "slots" / kind)
    slots.begin()
    found = unpack(
        io.BytesIO(make_bundle(number, kind=kind)),
        slots,
        place(),
        key_of=lambda _: KEY.public(),
        prepare=lambda _: None,
    )
    slots.switch(found.bundle_id, Limits(), number=number)
    return found.bundle_id


def started(folder: Path, process: Process, desired: DesiredState | None = None) -> Started:
    return start(process, settings_in(folder), desired)


def test_a_process_keeps_to_what_it_was_started_from_and_is_told_of_what_is_newer(tmp_path: Path) -> None:
    first = started(tmp_path, Process.TERMINAL)
    assert first.settings.terminal.models_dir == Path("/opt/lifecert/models")
    assert not first.has_changed(None)
    bundle_id = put(tmp_path, 2)
    assert first.has_changed(None), "the networks have been switched"
    assert first.settings.terminal.models_dir == Path("/opt/lifecert/models")
    second = started(tmp_path, Process.TERMINAL)
    assert second.settings.terminal.models_dir == tmp_path / "slots" / "networks" / "b"
    assert second.ids == {BundleKind.NETWORKS: bundle_id}
    assert not second.has_changed(None)
    # Nobody empties a slot that is run from.
    assert is_held(tmp_path / "slots" / "networks" / "b")
    second.held.let_go()
    assert not is_held(tmp_path / "slots" / "networks" / "b")
    first.held.let_go()


def test_each_process_minds_its_own_settings_and_kinds(tmp_path: Path) -> None:
    terminal, uplink = started(tmp_path, Process.TERMINAL), started(tmp_path, Process.UPLINK)
    louder, wider = (desired_of(2, settings=SettingValues(**{name: 1})) for name in ("voice_volume", "uplink_window"))
    quieter = desired_of(3, settings=SettingValues(voice_volume=0.5))
    assert (terminal.has_changed(quieter), uplink.has_changed(quieter)) == (True, False)
    assert (terminal.has_changed(wider), uplink.has_changed(wider)) == (False, True)
    assert not terminal.has_changed(louder), "it is as loud already"
    put(tmp_path, 2)
    assert (terminal.has_changed(None), uplink.has_changed(None)) == (True, False)
    for each in (terminal, uplink):
        each.held.let_go()


def test_voices_of_a_slot_come_before_the_shipped_ones_and_after_what_the_site_has(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots" / "voices")
    slots.begin()
    (slots.path("a") / "zh").mkdir()
    (slots.path("a") / "zh" / "pack.toml").write_text("")
    found = started(tmp_path, Process.TERMINAL)
    assert found.settings.terminal.voice_dirs == (), "without a mark a slot is not whole"
    found.held.let_go()
    (slots.path("a") / MARK).write_bytes(b"x.e30.x")
    found = started(tmp_path, Process.TERMINAL)
    assert found.settings.terminal.voice_dirs == (slots.path("a") / "zh",)
    found.held.let_go()


def test_the_uplink_is_not_started_anew_before_a_terminal_that_runs(tmp_path: Path) -> None:
    app = Slots(tmp_path / "slots" / "app")
    app.begin()
    uplink = started(tmp_path, Process.UPLINK)
    uplink.slots[BundleKind.APP] = "b"
    assert uplink.has_changed(None)
    assert uplink.may_end(), "no terminal runs"
    terminal = started(tmp_path, Process.TERMINAL)
    terminal.slots[BundleKind.APP] = "b"
    said = Marks(tmp_path / "data" / "updates")
    said.say(Process.TERMINAL, terminal.mark(moment().boot_id))
    assert not uplink.may_end(), "a terminal runs from the old ones"
    terminal.slots[BundleKind.APP] = "a"
    said.say(Process.TERMINAL, terminal.mark(moment().boot_id))
    assert uplink.may_end()
    terminal.held.let_go()


def test_who_only_looks_whether_a_terminal_runs_neither_keeps_it_from_saying_so_nor_is_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = marks.serving_lock(tmp_path / "data" / "updates")
    looking = marks.Held()
    assert looking.hold(lock)
    assert not is_held(lock, is_alone=True), "somebody else looks, too"
    waits: list[float] = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        looking.let_go()

    monkeypatch.setattr(marks, "sleep", pause)
    terminal = started(tmp_path, Process.TERMINAL)
    assert waits, "it was tried again"
    assert is_held(lock, is_alone=True)
    terminal.held.let_go()
    assert not is_held(lock, is_alone=True)


def test_a_terminal_that_cannot_say_that_it_runs_runs_all_the_same_and_logs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lock = marks.serving_lock(tmp_path / "data" / "updates")
    other = marks.Held()
    assert other.hold(lock, is_alone=True)
    clock = iter(range(1000))
    monkeypatch.setattr(marks, "monotonic", lambda: float(next(clock)))
    started(tmp_path, Process.TERMINAL).held.let_go()
    assert "cannot be held" in caplog.text
    assert "serving.lock" in caplog.text
    other.let_go()


def test_a_service_that_does_not_follow_the_link_is_not_started_anew_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Slots(tmp_path / "slots" / "app")
    app.begin()
    (app.path("b") / "venv").mkdir(parents=True)
    monkeypatch.setattr("device.updates.in_force.sys.prefix", str(app.path("b") / "venv"))
    seen = []
    for _ in range(2):
        found = started(tmp_path, Process.TERMINAL)
        seen.append(found.has_changed(None))
        found.marks.say(Process.TERMINAL, found.mark(moment().boot_id))
        found.held.let_go()
    # Once it may have been switched in the middle of the start.
    assert seen == [True, False]
    (app.folder / "current").unlink()
    (app.folder / "current").symlink_to("b")
    found = started(tmp_path, Process.TERMINAL)
    assert not found.has_changed(None)
    found.held.let_go()


def test_a_mark_that_is_a_link_or_no_mark_is_none(tmp_path: Path) -> None:
    marks = Marks(tmp_path)
    (tmp_path / "other").write_text('{"boot_id": "x"}')
    (tmp_path / "terminal.json").symlink_to(tmp_path / "other")
    assert marks.read(Process.TERMINAL) is None
    (tmp_path / "uplink.json").write_text("[]")
    assert marks.read(Process.UPLINK) is None


@pytest.mark.parametrize(
    "content", [None, b"", b"[]", b'{"keys": [{}]}', b'{"keys": [{"kty":"EC","crv":"P-256","x":"a","y":"b"}]}']
)
def test_release_keys_that_cannot_be_read_are_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_bytes(content)
    assert load(path) == {}


def test_release_keys_are_found_by_their_thumbprint_whatever_else_is_said_of_them(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [{**KEY.public().model_dump(), "kid": "2026", "use": "sig"}]}))
    assert load(path) == {KEY.key_id: KEY.public()}
