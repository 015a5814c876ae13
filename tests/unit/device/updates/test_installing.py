"""The installer, from what lies in the data folder to a trial and its end; what lies there may have been put there by anybody."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from device.settings import Settings
from device.updates import slots as guard
from device.updates.disk import Disk
from device.updates.in_force import current_slot, lacking, slots_of, start
from device.updates.installing import Done, ExaminationFailed, Installer
from device.updates.marks import Fetch, Held, Mark, Marks, Process
from device.updates.preparing import NotInstallable
from device.updates.reporting import report
from device.updates.shelf import Shelf
from device.updates.slots import MARK, Slots
from device.updates.trial import Limits, passed
from protocol.bundle import BundleKind
from protocol.desired import DESIRED_TYP, DesiredBundle, DesiredState, SettingValues
from protocol.envelope import sign
from protocol.keys import PrivateKey
from protocol.times import DeviceTime
from tests.unit.device.updates.making import KEY, desired_of, make_bundle, moment, settings_in, unpacked, want_of

pytestmark = pytest.mark.provisioning

FLEET = PrivateKey.generate()
NETWORKS, APP = BundleKind.NETWORKS, BundleKind.APP


class Site:
    """A terminal's folders and an installer."""

    def __init__(self, folder: Path, **updates: Any) -> None:
        self.settings: Settings = settings_in(folder, **updates)
        self.settings.updates_dir.mkdir(parents=True)
        self.keys = {KEY.key_id: KEY.public()}
        self.now: DeviceTime = moment()
        self.examined: list[BundleKind] = []
        self.fails: str | None = None
        self.look: Callable[[], None] | None = None
        """Done while a slot is examined."""
        self.make: Callable[[Path, dict[str, str]], None] = lambda root, _: (root / "venv").mkdir()
        self.marks = Marks(self.settings.updates_dir)

    def want(self, desired: DesiredState, *bundles: bytes, key: PrivateKey = FLEET) -> None:
        self.settings.desired_path.write_bytes(sign(desired.to_bytes(), key=key, typ=DESIRED_TYP))
        for bundle in bundles:
            self.lay(want_of(bundle), bundle)

    def lay(self, want: DesiredBundle, bundle: bytes) -> Path:
        path = self.settings.updates_dir / f"{want.bundle_id}.bundle"
        path.write_bytes(bundle)
        return path

    def apply(self) -> Done:
        def examine(kind: BundleKind, root: Path) -> None:
            assert (root / MARK).is_file()
            self.examined.append(kind)
            if self.look is not None:
                self.look()
            if self.fails is not None:
                raise ExaminationFailed(self.fails)

        return Installer(
            self.settings,
            FLEET.public(),
            key_of=self.keys.get,
            now=lambda: self.now,
            examine=examine,
            make=lambda root, wheels: self.make(root, wheels),
        ).apply()

    def slots(self, kind: BundleKind = NETWORKS) -> Slots:
        return slots_of(self.settings, kind)

    def up(self, kind: BundleKind = NETWORKS, **more: Any) -> None:
        """The terminal says that it runs from what the link leads to."""
        found = current_slot(self.settings, kind)
        assert found is not None
        assert found.bundle.bundle_id is not None
        mark = {"boot_id": self.now.boot_id, "slots": {kind: found.name}, "ids": {kind: found.bundle.bundle_id}}
        self.marks.say(Process.TERMINAL, Mark.model_validate({**mark, "is_up": True, **more}))

    def prove(self, number: int, kind: BundleKind = NETWORKS, **more: Any) -> None:
        """Have a bundle run for good."""
        bundle = make_bundle(number, kind=kind, **more)
        self.want(desired_of(number, want_of(bundle)), bundle)
        assert self.apply() == Done("switched", kind)
        self.up(kind)
        assert self.apply() == Done("nothing")
        found = current_slot(self.settings, kind)
        assert found is not None
        assert (found.bundle.number, found.bundle.is_on_trial) == (number, False)


def test_the_first_networks_are_tried_too_and_going_back_is_to_what_came_with_the_terminal(tmp_path: Path) -> None:
    site = Site(tmp_path)
    bundle = make_bundle(2)
    site.want(desired_of(1, want_of(bundle)), bundle)
    assert site.apply() == Done("switched", NETWORKS)
    assert site.examined == [NETWORKS]
    assert site.apply() == Done("trial", NETWORKS)
    for _ in range(Limits().starts + 1):
        guard.main(site.settings.updates.slots_dir)
    found = current_slot(site.settings, NETWORKS)
    assert found is not None
    assert found.bundle.bundle_id is None, "no bundle: what came with the terminal"
    assert site.apply() == Done("nothing"), "it is not tried again by itself"
    site.want(desired_of(2, want_of(bundle), settings=SettingValues(voice_volume=0.5)), bundle)
    assert site.apply() == Done("nothing"), "nor because the office has changed something else"
    site.want(desired_of(3, want_of(bundle, since=3)), bundle)
    assert site.apply() == Done("switched", NETWORKS), "but when the office says so anew"


def test_a_trial_that_goes_on_is_for_the_wish_that_it_began_with(tmp_path: Path) -> None:
    site = Site(tmp_path)
    bundle = make_bundle(2)
    site.want(desired_of(1, want_of(bundle)), bundle)
    assert site.apply() == Done("switched", NETWORKS)
    # The office has taken it back and wants it anew while it is on trial.
    site.want(desired_of(3, want_of(bundle, since=3)), bundle)
    assert site.apply() == Done("trial", NETWORKS)
    for _ in range(Limits().starts + 1):
        guard.main(site.settings.updates.slots_dir)
    last = site.slots().state().last
    assert last is not None
    assert (last.why, last.wish) == ("crash_loop", 1)
    assert site.apply() == Done("switched", NETWORKS)
    trial = site.slots().state().trial
    assert trial is not None
    assert trial.wish == 3
    site.fails = "a print is certified"
    other = make_bundle(3)
    site.want(desired_of(4, want_of(other)), other)
    site.slots().change(lambda trial: guard.replace(trial, is_healthy=False))
    assert site.apply() == Done("refused", NETWORKS, "unhealthy")
    last = site.slots().state().last
    assert last is not None
    assert (last.number, last.wish) == (3, 4)


def test_a_trial_that_an_older_program_began_is_for_the_wish_of_now(tmp_path: Path) -> None:
    site = Site(tmp_path)
    bundle = make_bundle(2)
    site.want(desired_of(1, want_of(bundle)), bundle)
    assert site.apply() == Done("switched", NETWORKS)
    site.slots().change(lambda trial: guard.replace(trial, wish=0))
    site.want(desired_of(3, want_of(bundle, since=3)), bundle)
    assert site.apply() == Done("trial", NETWORKS)
    for _ in range(Limits().starts + 1):
        guard.main(site.settings.updates.slots_dir)
    assert site.apply() == Done("nothing")


def test_what_proved_itself_stays_and_its_floor_holds(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.prove(4, floor=3)
    old = make_bundle(2)
    site.want(desired_of(9, want_of(old)), old)
    assert site.apply() == Done("refused", NETWORKS, "too_old")
    earlier = make_bundle(3)
    site.want(desired_of(10, want_of(earlier)), earlier)
    assert site.apply() == Done("switched", NETWORKS), "one back is possible"


@pytest.mark.parametrize("left", [b"", b"{", None])
def test_a_floor_is_known_again_from_what_runs_where_what_was_remembered_is_lost(
    tmp_path: Path, left: bytes | None
) -> None:
    site = Site(tmp_path)
    site.prove(4, floor=3)
    remembered = site.slots().folder / "state.json"
    remembered.unlink()
    if left is not None:
        remembered.write_bytes(left)
    older = make_bundle(2)
    site.want(desired_of(9, want_of(older)), older)
    assert site.apply() == Done("refused", NETWORKS, "too_old")
    assert site.slots().state().floor == 3


def test_a_floor_is_raised_although_the_power_failed_between(tmp_path: Path) -> None:
    site = Site(tmp_path)
    bundle = make_bundle(4, floor=3)
    site.want(desired_of(1, want_of(bundle)), bundle)
    site.apply()
    slots = site.slots()
    site.up()
    slots.change(lambda trial: guard.replace(trial, is_healthy=True, limits=Limits(needs_contact=False)))
    assert slots.state().floor == 0
    site.apply()
    assert slots.state().floor == 3


def test_one_at_a_time(tmp_path: Path) -> None:
    site = Site(tmp_path)
    networks, voices = make_bundle(1), make_bundle(1, kind=BundleKind.VOICES)
    site.want(desired_of(1, want_of(networks), want_of(voices)), networks, voices)
    assert site.apply() == Done("switched", NETWORKS)
    assert site.apply() == Done("trial", NETWORKS)
    site.up()
    assert site.apply() == Done("switched", BundleKind.VOICES)


def test_what_another_one_needs_goes_first(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.slots(APP).begin()
    app = make_bundle(7, kind=APP)
    networks = make_bundle(1, needs=({"kind": "app", "number": 7},))
    site.want(desired_of(1, want_of(networks), want_of(app)), networks)
    assert site.apply() == Done("waits", NETWORKS, "needs_newer")
    site.lay(want_of(app), app)
    assert site.apply() == Done("switched", APP)
    site.up(APP)
    assert site.apply() == Done("switched", NETWORKS)


def test_programs_must_be_answered_where_the_fleet_was_heard_from_before(tmp_path: Path) -> None:
    for was_heard, boot, needs in ((True, "b" * 32, True), (True, "c" * 32, False), (False, "b" * 32, False)):
        site = Site(tmp_path / f"{was_heard}{boot[0]}")
        site.slots(APP).begin()
        site.marks.say(Process.UPLINK, Mark(boot_id=boot, was_heard=was_heard))
        app = make_bundle(7, kind=APP)
        site.want(desired_of(1, want_of(app)), app)
        assert site.apply() == Done("switched", APP)
        site.up(APP)
        assert site.apply() == (Done("trial", APP) if needs else Done("nothing"))
        if needs:
            ids = {APP: want_of(app).bundle_id}
            site.marks.say(Process.UPLINK, Mark(boot_id=boot, ids=ids, is_heard=True, was_heard=True))
            assert site.apply() == Done("nothing")
            last = site.slots(APP).state().last
            assert last is not None
            assert last.is_kept


def test_what_fails_its_examination_never_runs(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.prove(1)
    site.fails = "a print is certified"
    bundle = make_bundle(2)
    site.want(desired_of(8, want_of(bundle)), bundle)
    before = site.slots().current
    assert site.apply() == Done("refused", NETWORKS, "unhealthy")
    assert site.slots().current == before
    state = site.slots().state()
    assert state.trial is None
    assert state.last is not None
    assert (state.last.number, state.last.is_kept, state.last.why, state.last.count) == (2, False, "unhealthy", 2)
    assert unpacked(site.slots(), before or "", key_of=site.keys.get) is not None
    assert site.apply() == Done("nothing")


def damaged(bundle: bytes) -> bytes:
    return bundle[:-1] + bytes([bundle[-1] ^ 1])


@pytest.mark.parametrize(
    ("bundle", "laid", "why"),
    [
        (make_bundle(2, machine="aarch64" if os.uname().machine != "aarch64" else "x86_64"), None, "other_machine"),
        (make_bundle(2, python="3.9"), None, "other_python"),
        (make_bundle(2), make_bundle(2)[:-10], "cut_short"),
        (make_bundle(2), make_bundle(2) + b"x", "too_long"),
        (make_bundle(2), damaged(make_bundle(2)), "other_file"),
        (make_bundle(2), make_bundle(3), "other_bundle"),
        (make_bundle(2), make_bundle(2, kind=BundleKind.VOICES), "other_bundle"),
        (make_bundle(2), b"", "not_a_bundle"),
        (make_bundle(2), make_bundle(2, key=PrivateKey.generate()), "signature"),
    ],
)
def test_what_is_not_to_be_taken_is_refused_once_and_nothing_of_it_is_written(
    tmp_path: Path, bundle: bytes, laid: bytes | None, why: str
) -> None:
    site = Site(tmp_path)
    site.prove(1)
    there = sorted(site.slots().folder.rglob("*"))
    want = want_of(bundle)
    site.want(desired_of(5, want))
    site.lay(want, bundle if laid is None else laid)
    assert site.apply() == Done("refused", NETWORKS, why)
    assert sorted(site.slots().folder.rglob("*")) == there
    assert site.apply() == Done("nothing")
    shelf = Shelf(site.settings.updates_dir, spare_bytes=0, key_of=site.keys.get)
    said = report(site.settings, desired_of(5, want), shelf, {}, own=site.settings)
    assert [(each.state, each.why) for each in said.coming] == [("refused", why)]


def test_without_a_release_key_nothing_is_taken(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.keys = {}
    bundle = make_bundle(2)
    site.want(desired_of(1, want_of(bundle)), bundle)
    assert site.apply() == Done("refused", NETWORKS, "signature")


@pytest.mark.parametrize("how", ["stranger", "other terminal", "garbage", "pipe", "link to what only root may read"])
def test_what_is_wanted_is_the_fleets_word_for_this_terminal_or_nothing(tmp_path: Path, how: str) -> None:
    site = Site(tmp_path)
    bundle = make_bundle(2)
    if how == "stranger":
        site.want(desired_of(1, want_of(bundle)), bundle, key=KEY)
    elif how == "other terminal":
        site.want(desired_of(1, want_of(bundle), terminal="t-2"), bundle)
    elif how == "garbage":
        site.settings.desired_path.write_bytes(b"\x00" * 100)
    elif how == "pipe":
        os.mkfifo(site.settings.desired_path)
    else:
        site.want(desired_of(1, want_of(bundle)), bundle)
        site.settings.desired_path.rename(tmp_path / "secret")
        site.settings.desired_path.symlink_to(tmp_path / "secret")
    assert site.apply() == Done("nothing")
    assert not site.slots().folder.exists()


def test_a_bundle_that_is_a_link_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    site = Site(tmp_path)
    bundle = make_bundle(2)
    site.want(desired_of(1, want_of(bundle)), bundle)
    path = site.settings.updates_dir / f"{want_of(bundle).bundle_id}.bundle"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        site.apply()
    path.unlink()
    os.mkfifo(path)
    assert site.apply() == Done("nothing")


def test_wheels_that_cannot_be_installed_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.slots(APP).begin()
    bundle = make_bundle(2, kind=APP)
    site.want(desired_of(1, want_of(bundle)), bundle)

    def make(root: Path, _wheels: dict[str, str]) -> None:
        raise NotInstallable("no matching distribution")

    site.make = make
    assert site.apply() == Done("refused", APP, "not_installable")
    assert site.slots(APP).current == "a"
    assert not site.slots(APP).path("b").exists()


def test_programs_without_a_slot_to_go_back_to_are_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    bundle = make_bundle(2, kind=APP)
    site.want(desired_of(1, want_of(bundle)), bundle)
    assert site.apply() == Done("refused", APP, "no_slots")


def test_a_slot_that_is_run_from_is_not_emptied(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.prove(1)
    held = Held()
    assert held.hold(site.slots().path(site.slots().other))
    bundle = make_bundle(2)
    site.want(desired_of(2, want_of(bundle)), bundle)
    assert site.apply() == Done("waits", NETWORKS, "in_use")
    held.let_go()
    assert site.apply() == Done("switched", NETWORKS)


def test_two_installers_are_one_too_many(tmp_path: Path) -> None:
    site = Site(tmp_path)
    bundle = make_bundle(1)
    site.want(desired_of(1, want_of(bundle)), bundle)
    found: list[Done] = []
    site.look = lambda: found.append(site.apply())
    assert site.apply() == Done("switched", NETWORKS)
    assert found == [Done("busy")]


def test_who_may_only_read_the_slots_keeps_nobody_from_them(tmp_path: Path) -> None:
    site = Site(tmp_path)
    bundle = make_bundle(1)
    site.want(desired_of(1, want_of(bundle)), bundle)
    folder = site.settings.updates.slots_dir
    site.slots().begin()
    held = Held()
    # Anybody can hold what anybody can open.
    assert held.hold(folder, is_alone=True)
    assert held.hold(site.slots().folder, is_alone=True)
    assert site.apply() == Done("switched", NETWORKS)
    guard.main(folder)
    trial = site.slots().state().trial
    assert trial is not None
    assert trial.starts == 1
    held.let_go()
    locks = [folder / "installer.lock", site.slots().folder / "lock"]
    assert [stat.S_IMODE(lock.stat().st_mode) for lock in locks] == [0o600, 0o600]


def test_how_a_trial_ended_can_be_read_by_the_services_whatever_mask_root_had(tmp_path: Path) -> None:
    site = Site(tmp_path)
    bundle = make_bundle(2)
    site.want(desired_of(1, want_of(bundle)), bundle)
    assert site.apply() == Done("switched", NETWORKS)
    state = site.slots().folder / "state.json"
    # As `lifecert-terminal.service` has it for all that it starts.
    command = [sys.executable, "-E", "-s", "-S", guard.__file__, site.settings.updates.slots_dir]
    for _ in range(Limits().starts + 1):
        assert subprocess.run(command, check=False, umask=0o077).returncode == 0
        assert stat.S_IMODE(state.stat().st_mode) == 0o644
    last = site.slots().state().last
    assert last is not None
    assert (last.is_kept, last.why) == (False, "crash_loop")
    # By an older copy beside the slots it was not so.
    state.chmod(0o600)
    assert site.apply() == Done("nothing")
    assert stat.S_IMODE(state.stat().st_mode) == 0o644


def test_a_start_does_not_wait_for_ever_for_whoever_keeps_the_slots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(tmp_path)
    bundle = make_bundle(1)
    site.want(desired_of(1, want_of(bundle)), bundle)
    assert site.apply() == Done("switched", NETWORKS)
    held = Held()
    assert held.hold(site.slots().folder / "lock", is_alone=True)
    assert guard.main(site.settings.updates.slots_dir, patience_s=0.1) == 0
    assert "not waited for any longer" in capsys.readouterr().err
    trial = site.slots().state().trial
    assert trial is not None
    assert trial.starts == 1
    held.let_go()


class Stalling(Disk):
    """A card that stands still between what is remembered of a trial and the link, until somebody else has looked."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def link(self, target: str, path: Path) -> None:
        self._meanwhile()
        super().link(target, path)


def test_a_start_that_waited_in_vain_leaves_a_switch_alone_that_is_under_way(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.prove(1)
    folder = site.settings.updates.slots_dir
    slots = Slots(site.slots().folder, Stalling(lambda: guard.main(folder, patience_s=0.1)))
    before = slots.current
    slots.switch("2" * 64, Limits(), number=2)
    trial = slots.state().trial
    assert trial is not None
    assert (slots.current, trial.to, trial.back, trial.starts) == (trial.to, slots.current, before, 0)
    assert guard.main(folder) == 0
    counted = slots.state().trial
    assert counted is not None
    assert counted.starts == 1


def test_a_full_disk_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path)
    site.prove(1)
    current = site.slots().current
    bundle = make_bundle(2)
    site.want(desired_of(2, want_of(bundle)), bundle)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("device.updates.installing.shutil.disk_usage", lambda _: usage._replace(free=100))
    assert site.apply() == Done("waits", NETWORKS, "room")
    monkeypatch.undo()
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("device.updates.disk.os.write", full)
    assert site.apply() == Done("waits", NETWORKS, "room")
    assert not site.slots().path(site.slots().other).exists(), "a full disk is no fuller than before"
    monkeypatch.setattr("device.updates.disk.os.write", write)
    assert site.slots().current == current
    assert site.apply() == Done("switched", NETWORKS)


def test_the_hours_of_the_file_and_of_the_office(tmp_path: Path) -> None:
    here = moment().wall_clock.astimezone().hour
    closed = {"from_hour": (here + 2) % 24, "until_hour": (here + 4) % 24}
    site = Site(tmp_path, **closed)
    bundle = make_bundle(2)
    want = want_of(bundle)
    site.want(desired_of(1, want), bundle)
    assert site.apply() == Done("waits", NETWORKS, "hour")
    office = {"updates_from_hour": here, "updates_until_hour": (here + 1) % 24}
    site.want(desired_of(2, want, settings=office), bundle)
    assert site.apply() == Done("switched", NETWORKS)


def test_a_clock_that_stands_at_its_beginning_keeps_nothing_from_being_mended(tmp_path: Path) -> None:
    site = Site(tmp_path, from_hour=3, until_hour=4)
    site.now = moment(wall_clock="1970-01-01T00:00:00Z", source="none", uncertainty_s=None)
    bundle = make_bundle(2)
    site.want(desired_of(1, want_of(bundle)), bundle)
    assert site.apply() == Done("switched", NETWORKS)


def test_a_trial_that_is_over_by_time_goes_back_and_a_guard_older_than_the_program_still_can(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.prove(1)
    bundle = make_bundle(2)
    site.want(desired_of(2, want_of(bundle)), bundle)
    site.apply()
    path = site.slots().folder / "state.json"
    found = json.loads(path.read_bytes())
    found["trial"]["of_a_later_version"] = found["later"] = found["last"]["later"] = 1
    path.write_text(json.dumps(found))
    guard.main(site.settings.updates.slots_dir, partial(passed, seconds=24 * 3600))
    assert site.slots().state().trial is not None, "somebody is being served all day, and it was never started"
    guard.main(site.settings.updates.slots_dir)
    guard.main(site.settings.updates.slots_dir, partial(passed, seconds=29 * 60))
    assert site.slots().state().trial is not None
    guard.main(site.settings.updates.slots_dir, partial(passed, seconds=60))
    last = site.slots().state().last
    assert last is not None
    assert (last.is_kept, last.why, last.number) == (False, "not_examined", 2)


def test_what_is_said_is_what_the_terminal_runs_and_not_what_its_next_start_will_be(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.prove(1)
    shelf = Shelf(site.settings.updates_dir, spare_bytes=0, key_of=site.keys.get)
    bundle = make_bundle(2)
    want = want_of(bundle)
    desired = desired_of(2, want)

    def said(**fetches: Fetch) -> tuple[int, list[tuple[str, str | None, int]]]:
        found = report(site.settings, desired, shelf, fetches, own=site.settings)
        (running,) = [each.number for each in found.running if each.kind is NETWORKS]
        return running, [(each.state, each.why, each.received) for each in found.coming]

    assert said() == (1, [("waiting", None, 0)])
    assert said(**{want.bundle_id: Fetch("waiting", "hour")}) == (1, [("waiting", "hour", 0)])
    shelf.part(want).write_bytes(bundle[:50])
    assert said(**{want.bundle_id: Fetch("fetching")}) == (1, [("fetching", None, 50)])
    site.want(desired, bundle)
    assert said() == (1, [("fetched", None, len(bundle))])
    site.apply()
    assert said() == (1, [("ready", None, len(bundle))])
    site.up()
    assert said() == (2, [])
    guard.main(site.settings.updates.slots_dir)
    site.slots().change(partial(passed, seconds=3600))
    assert said() == (2, []), "the terminal still runs from it"
    site.up()
    assert said()[1] == [("refused", "not_examined", len(bundle))]


def test_networks_in_the_shadow_are_examined_and_run_beside_without_a_trial(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.prove(1)
    bundle = make_bundle(5)
    want = want_of(bundle)
    desired = desired_of(7, shadow=want)
    assert lacking(site.settings, desired) == (want,)
    site.want(desired)
    site.lay(want, bundle)
    before = site.slots().current
    assert site.apply() == Done("shadow", NETWORKS)
    assert site.examined == [NETWORKS, NETWORKS]
    assert site.apply() == Done("nothing")
    assert site.slots().current == before
    assert lacking(site.settings, desired) == ()
    shelf = Shelf(site.settings.updates_dir, spare_bytes=0, key_of=site.keys.get)

    def coming() -> list[str]:
        return [each.state for each in report(site.settings, desired, shelf, {}, own=site.settings).coming]

    assert coming() == ["ready"]
    started = start(Process.TERMINAL, site.settings, desired)
    assert started.shadow is not None
    assert started.shadow.bundle.number == 5
    site.marks.say(Process.TERMINAL, started.mark(site.now.boot_id, is_up=True))
    assert coming() == []
    assert not started.has_changed(desired)
    assert started.has_changed(desired_of(8)), "it is wanted no more"
    started.held.let_go()
    again = start(Process.TERMINAL, site.settings, desired_of(8))
    assert again.shadow is None
    assert again.has_changed(desired_of(9, shadow=want))
    again.held.let_go()
    # A second one takes the other place.
    other = make_bundle(6)
    site.want(desired_of(9, shadow=want_of(other)))
    site.lay(want_of(other), other)
    assert site.apply() == Done("shadow", NETWORKS)


def test_networks_in_the_shadow_that_fail_are_refused_and_those_in_use_go_on(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.prove(1)
    site.fails = "a print is certified"
    bundle = make_bundle(5)
    site.want(desired_of(7, shadow=want_of(bundle)))
    site.lay(want_of(bundle), bundle)
    last = site.slots().state().last
    assert site.apply() == Done("refused", NETWORKS, "unhealthy")
    assert site.slots().state().last == last
    assert site.apply() == Done("nothing")
