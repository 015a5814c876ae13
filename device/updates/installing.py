"""From the office's word and a bundle on the shelf to a slot on trial, and from there to the end of the trial.

This runs as root, because neither the terminal nor the uplink may write programs, and is called again and again (each minute, and when
something new lies there): every call does what can be done now and then ends. What lies in the data folder was put there by programs
with less rights, so all of it is checked here as if it had just come: who signed it, for whom, and every byte.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from device.errors import DeviceError
from device.settings import Settings
from device.updates.desired import read_desired
from device.updates.fetching import check_wanted, place_for, why_refused
from device.updates.in_force import current_slot, shadow_of, shadow_slots, slots_of
from device.updates.marks import Held, Marks, Process, is_held
from device.updates.place import local_hour, place_of
from device.updates.preparing import NotInstallable, make_environment
from device.updates.reporting import Tries
from device.updates.shelf import Shelf
from device.updates.slots import MARK, Slots
from device.updates.trial import Limits, Trial, Verdict, examined, heard
from device.updates.unpacking import unpack
from protocol.bundle import Bundle, BundleKind, BundleManifest, KeyOf, read_bundle
from protocol.desired import DesiredBundle, DesiredState
from protocol.envelope import unverified_payload
from protocol.errors import Malformed, ProtocolError
from protocol.keys import PublicJwk
from protocol.times import DeviceTime, is_within_hours
from protocol.wire import MAX_MESSAGE_BYTES

logger = logging.getLogger(__name__)

_ROOM = {BundleKind.APP: 5, BundleKind.NETWORKS: 1, BundleKind.VOICES: 1}
"""Bytes in a slot for each byte of a bundle: wheels are packed, and lie beside what comes of them."""
_LOCK: Final = "installer.lock"
_ORDER = (BundleKind.APP, BundleKind.NETWORKS, BundleKind.VOICES)


class ExaminationFailed(DeviceError):
    """A slot that must not run; the message says why."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a call did."""

    what: str
    """`nothing`, `busy`, `trial`, `switched`, `shadow`, `waits` or `refused`."""
    kind: BundleKind | None = None
    why: str = ""


class Installer:
    """Carries out what the office wants.

    Args:
        settings: of the terminal's file.
        fleet_key: who may want something of this terminal.
        key_of: gives the release key of a key id, or None: who may make programs.
        now: the moment.
        examine: looks at an unpacked slot before anybody meets it; raises `ExaminationFailed`.
        make: makes the environment of a slot with programs.
    """

    def __init__(
        self,
        settings: Settings,
        fleet_key: PublicJwk,
        *,
        key_of: KeyOf,
        now: Callable[[], DeviceTime],
        examine: Callable[[BundleKind, Path], None],
        make: Callable[[Path, dict[str, str]], None] = make_environment,
    ) -> None:
        self._settings = settings
        self._fleet_key = fleet_key
        self._key_of = key_of
        self._now = now
        self._examine = examine
        self._make = make
        self._marks = Marks(settings.updates_dir)
        self._shelf = Shelf(settings.updates_dir, spare_bytes=settings.updates.spare_bytes, key_of=key_of)

    def apply(self) -> Done:
        """Do what can be done now.

        Raises:
            OSError: if the slots cannot be written to; what runs goes on.
        """
        folder = self._settings.updates.slots_dir
        folder.mkdir(parents=True, exist_ok=True)
        held = Held()
        if not held.hold(_lock_in(folder), is_alone=True):
            return Done("busy")
        try:
            desired = self._desired()
            if (kind := self._settle(desired)) is not None:
                # One at a time, or it would not be known which of them failed.
                return Done("trial", kind)
            return Done("nothing") if desired is None else self._next(desired)
        finally:
            held.let_go()

    def _desired(self) -> DesiredState | None:
        try:
            with _opened(self._settings.desired_path) as file:
                token = file.read(MAX_MESSAGE_BYTES)
            who = self._settings.terminal
            return read_desired(token, self._fleet_key, (who.fleet_id, who.terminal_id))
        except FileNotFoundError:
            return None
        except (OSError, ProtocolError) as error:
            logger.warning("what is wanted cannot be used why=%s", error)
            return None

    def _settle(self, desired: DesiredState | None) -> BundleKind | None:
        """Note what has become of a trial; return the kind whose trial goes on."""
        going_on = None
        for kind in BundleKind:
            slots = slots_of(self._settings, kind)
            if not slots.folder.is_dir():
                continue
            slots.let_read()
            trial = slots.recover().trial
            if trial is not None:
                self._note_tried(trial, desired)
                if self._judge(kind, slots, trial) is Verdict.WAIT:
                    going_on = kind
            self._raise_floor(slots)
        return going_on

    def _judge(self, kind: BundleKind, slots: Slots, trial: Trial) -> Verdict:
        terminal, uplink = self._marks.read(Process.TERMINAL), self._marks.read(Process.UPLINK)
        verdict = Verdict.WAIT
        if uplink is not None and uplink.is_heard and uplink.ids.get(kind) == trial.bundle_id:
            verdict = slots.change(heard)
        is_up = terminal is not None and terminal.is_up and terminal.ids.get(kind) == trial.bundle_id
        if verdict is Verdict.WAIT and is_up:
            verdict = slots.change(partial(examined, is_healthy=True))
        if verdict is Verdict.KEEP:
            logger.info("update stays kind=%s number=%d", kind, trial.number)
        return verdict

    def _raise_floor(self, slots: Slots) -> None:
        """Take nothing older any more than what runs for good allows; again and again, since a cut or a lost file may have undone it."""
        state, current = slots.state(), slots.current
        if state.trial is not None or current is None:
            return
        try:
            manifest = BundleManifest.parse(unverified_payload((slots.path(current) / MARK).read_bytes()))
        except (OSError, ProtocolError):
            return
        slots.raise_floor(manifest.floor)

    def _note_tried(self, trial: Trial, desired: DesiredState | None) -> None:
        if desired is not None:
            # Not for what the office said since: it may want just this one anew, and then it is tried anew.
            self._spend(trial.bundle_id, desired, number=trial.wish or desired.number)

    def _spend(
        self, bundle_id: str, desired: DesiredState, why: str | None = None, *, number: int | None = None
    ) -> None:
        tries = Tries.read(self._settings)
        wants = {each.bundle_id for each in (*desired.bundles, desired.shadow) if each is not None} | {bundle_id}
        # What is no longer wanted is forgotten, so that the file does not grow for ever.
        tried = {known: number for known, number in tries.tried.items() if known in wants}
        refused = {known: word for known, word in tries.refused.items() if known in wants and known != bundle_id}
        fresh = Tries(
            tried={**tried, bundle_id: max(number or desired.number, tried.get(bundle_id, 0))},
            refused=refused if why is None else {**refused, bundle_id: why},
        )
        if fresh != tries:
            fresh.write(self._settings)

    def _next(self, desired: DesiredState) -> Done:
        done = Done("nothing")
        tries = Tries.read(self._settings)
        wants = sorted(desired.bundles, key=lambda each: _ORDER.index(each.kind))
        for want in wants:
            found = current_slot(self._settings, want.kind)
            if found is not None and found.bundle.bundle_id == want.bundle_id:
                continue
            if tries.is_spent(want) or not self._shelf.is_whole(want):
                continue
            if not self._is_hour(desired):
                return Done("waits", want.kind, "hour")
            done = self._install(want, desired, slots_of(self._settings, want.kind))
            if done.what == "switched":
                return done
        return done if done.what != "nothing" else self._shadow(desired, tries)

    def _shadow(self, desired: DesiredState, tries: Tries) -> Done:
        """Put networks that decide nothing into their slot: checked and examined like any other, and without a trial."""
        want = desired.shadow
        if want is None or shadow_of(self._settings, desired) is not None:
            return Done("nothing")
        if tries.is_spent(want) or not self._shelf.is_whole(want) or not self._is_hour(desired):
            return Done("nothing")
        return self._install(want, desired, shadow_slots(self._settings))

    def _is_hour(self, desired: DesiredState) -> bool:
        updates, others = self._settings.updates, desired.settings
        hour = local_hour(self._now())
        if others.updates_from_hour is not None:
            return is_within_hours(others.updates_from_hour, others.updates_until_hour, hour)
        return is_within_hours(updates.from_hour, updates.until_hour, hour)

    def _install(self, want: DesiredBundle, desired: DesiredState, slots: Slots) -> Done:
        if want.kind is BundleKind.APP and slots.current is None:
            # There would be nothing to go back to.
            return self._refused(want, desired, "no_slots")
        slots.begin()
        if is_held(slots.path(slots.other)):
            # Something that was started before the last switch still runs from there.
            return Done("waits", want.kind, "in_use")
        try:
            with _opened(self._shelf.whole(want)) as file:
                return self._install_file(file, slots, want, desired)
        except ProtocolError as error:
            if error.code == "needs_newer" and self._will_run(want, desired):
                return Done("waits", want.kind, "needs_newer")
            return self._refused(want, desired, why_refused(error))
        except NotInstallable as error:
            logger.warning("%s", error)
            slots.clear()
            return self._refused(want, desired, "not_installable")
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            slots.clear()
            return Done("waits", want.kind, "room")

    def _install_file(self, file: BinaryIO, slots: Slots, want: DesiredBundle, desired: DesiredState) -> Done:
        place = place_of(self._settings, self._now())
        # Before anything else: the office asked for this one, and the slots are those of its kind.
        bundle = read_bundle(file, key_of=self._key_of)
        check_wanted(bundle, want, place)
        if not self._has_room(slots, bundle):
            return Done("waits", want.kind, "room")
        again = unpack(file, slots, place, key_of=self._key_of, prepare=self._preparation(bundle))
        if again.bundle_id != want.bundle_id:
            slots.clear()
            raise Malformed("bundle: another one than a moment ago", code="other_bundle")
        try:
            self._examine(want.kind, slots.path(slots.other))
        except ExaminationFailed as error:
            logger.warning("update failed its examination kind=%s number=%d why=%s", want.kind, want.number, error)
            slots.clear()
            if want is not desired.shadow:
                slots.refuse(want.bundle_id, "unhealthy", number=want.number, wish=desired.number)
            return self._refused(want, desired, "unhealthy")
        if want is desired.shadow:
            slots.place()
            return Done("shadow", want.kind)
        limits = Limits(needs_contact=self._needs_contact(want.kind))
        slots.switch(want.bundle_id, limits, number=want.number, wish=desired.number)
        self._spend(want.bundle_id, desired)
        logger.info("update on trial kind=%s number=%d label=%s", want.kind, want.number, want.label)
        return Done("switched", want.kind)

    def _preparation(self, bundle: Bundle) -> Callable[[Path], None]:
        if bundle.manifest.kind is not BundleKind.APP:
            return lambda _: None
        wheels = {each.name: each.sha256 for each in bundle.manifest.files if each.name.endswith(".whl")}
        return lambda root: self._make(root, wheels)

    def _needs_contact(self, kind: BundleKind) -> bool:
        """Say whether the new one must be answered by the fleet: programs, where the ones before were since the board was switched on."""
        uplink = self._marks.read(Process.UPLINK)
        return (
            kind is BundleKind.APP and uplink is not None and uplink.was_heard and uplink.boot_id == self._now().boot_id
        )

    def _has_room(self, slots: Slots, bundle: Bundle) -> bool:
        # What is in the other slot goes first.
        there = sum(path.lstat().st_size for path in slots.path(slots.other).rglob("*") if not path.is_dir())
        needed = bundle.size * _ROOM[bundle.manifest.kind] + self._settings.updates.spare_bytes
        return shutil.disk_usage(self._settings.updates.slots_dir).free + there >= needed

    def _will_run(self, want: DesiredBundle, desired: DesiredState) -> bool:
        """Say whether what a bundle needs is wanted as well, and has not failed."""
        try:
            with _opened(self._shelf.whole(want)) as file:
                bundle = read_bundle(file, key_of=self._key_of)
            check_wanted(bundle, want, place_for(desired, place_of(self._settings, self._now())))
        except (OSError, ProtocolError):
            return False
        tries = Tries.read(self._settings)
        needed = {each.kind for each in bundle.manifest.needs}
        return not any(tries.is_spent(each) for each in desired.bundles if each.kind in needed)

    def _refused(self, want: DesiredBundle, desired: DesiredState, why: str) -> Done:
        logger.warning("update refused kind=%s number=%d why=%s", want.kind, want.number, why)
        self._spend(want.bundle_id, desired, why)
        return Done("refused", want.kind, why)


def _lock_in(folder: Path) -> Path:
    """Return the file that an installer holds, made if there is none: its owner alone can open it, and so keep installers away."""
    path = folder / _LOCK
    path.touch(0o600, exist_ok=True)
    return path


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file that somebody with less rights may have put there: no link is followed, and nothing but a file is read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        yield file
