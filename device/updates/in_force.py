"""What a process starts from: the settings of its file with the office's over them, and the slots that run then.

It is found out once, at the start. A process never sees a switch: it keeps to the folders it found, holds them so that nobody empties
them, and is told by `Started.has_changed` that it should end for a new start as soon as nobody is served.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from device.errors import SettingsInvalid
from device.settings import Settings, overlaid
from device.updates.desired import asked
from device.updates.marks import Held, Mark, Marks, Process, is_held, serving_lock
from device.updates.slots import MARK, Slots
from protocol.bundle import BundleKind, BundleManifest
from protocol.desired import DesiredBundle, DesiredState, RunningBundle, SettingValues
from protocol.envelope import unverified_payload
from protocol.errors import ProtocolError

logger = logging.getLogger(__name__)

VOICE_PACK: Final = "pack.toml"
_MINDS: Final[Mapping[Process, tuple[frozenset[BundleKind], tuple[str, ...]]]] = {
    Process.TERMINAL: (frozenset(BundleKind), ("voice",)),
    Process.UPLINK: (frozenset({BundleKind.APP}), ("uplink", "updates")),
}
"""What each process must be started anew for: kinds of bundles, and sections of the settings."""
_MOST_TRIES = 5
_PATIENCE_S = 1.0
"""So long what a process runs from is tried to be held: others look at it for less than a thousandth of that."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot that runs, and what is in it."""

    name: str
    bundle: RunningBundle
    """Without an id where no mark is in the slot: what came with the terminal."""


def slots_of(settings: Settings, kind: BundleKind) -> Slots:
    """Return the slots of a kind."""
    return Slots(settings.updates.slots_dir / kind)


def current_slot(settings: Settings, kind: BundleKind) -> Slot | None:
    """Return the slot of a kind that runs; None before there is one."""
    slots = slots_of(settings, kind)
    name = slots.current
    return None if name is None else Slot(name, bundle_in(slots, name, kind))


def bundle_in(slots: Slots, name: str, kind: BundleKind) -> RunningBundle:
    """Return what a slot says is in it. Only root writes there, after it has checked: nothing is checked again here."""
    try:
        payload = unverified_payload((slots.path(name) / MARK).read_bytes())
        manifest = BundleManifest.parse(payload)
    except (OSError, ProtocolError):
        return RunningBundle(kind=kind)
    trial = slots.state().trial
    return RunningBundle(
        kind=kind,
        bundle_id=hashlib.sha256(payload).hexdigest(),
        number=manifest.number,
        label=manifest.label,
        is_on_trial=trial is not None and trial.to == name,
    )


def shadow_slots(settings: Settings) -> Slots:
    """Return the slots of networks that run beside those in use; they know no trial, since nothing depends on them."""
    return Slots(settings.updates.slots_dir / "shadow")


def shadow_of(settings: Settings, desired: DesiredState | None) -> Slot | None:
    """Return the slot with the networks that are to run in the shadow; None where none are, or they are not in it yet."""
    slots = shadow_slots(settings)
    name = slots.current
    if desired is None or desired.shadow is None or name is None:
        return None
    found = bundle_in(slots, name, BundleKind.NETWORKS)
    return Slot(name, found) if found.bundle_id == desired.shadow.bundle_id else None


def lacking(settings: Settings, desired: DesiredState) -> tuple[DesiredBundle, ...]:
    """Return what is wanted and in no slot, in the order in which it is fetched."""
    running = {kind: found.bundle.bundle_id for kind in BundleKind if (found := current_slot(settings, kind))}
    wants = [want for want in desired.bundles if running.get(want.kind) != want.bundle_id]
    if desired.shadow is not None and shadow_of(settings, desired) is None:
        wants.append(desired.shadow)
    return tuple({want.bundle_id: want for want in wants}.values())


def with_slots(settings: Settings, slots: Mapping[BundleKind, str]) -> Settings:
    """Return the settings with what is in these slots in the place of what came with the terminal; an empty slot changes nothing."""
    terminal = settings.terminal
    changes: dict[str, Any] = {}
    if (networks := _whole(settings, BundleKind.NETWORKS, slots)) is not None:
        changes["models_dir"] = networks
    if (voices := _whole(settings, BundleKind.VOICES, slots)) is not None:
        packs = sorted(path.parent for path in voices.glob(f"*/{VOICE_PACK}"))
        # Before the shipped ones, which come last by themselves; what the site put there by hand goes first.
        changes["voice_dirs"] = (*terminal.voice_dirs, *packs)
    return settings if not changes else settings.model_copy(update={"terminal": terminal.model_copy(update=changes)})


@dataclass(slots=True)
class Started:
    """What a process was started from."""

    process: Process
    settings: Settings
    """What is in force for it."""
    file: Settings
    """What its file says."""
    slots: dict[BundleKind, str]
    ids: dict[BundleKind, str]
    marks: Marks
    meant: str | None = None
    """The slot of programs that the link led to then."""
    shadow: Slot | None = None
    """The networks that run beside those in use."""
    is_stuck: bool = False
    """Whether the start before led elsewhere than the link just so: what starts it does not follow the link, and would never."""
    held: Held = field(default_factory=Held)

    def mark(self, boot_id: str, *, is_up: bool = False, is_heard: bool = False, was_heard: bool = False) -> Mark:
        """Return what is said of it."""
        return Mark(
            boot_id=boot_id,
            slots=self.slots,
            meant=self.meant,
            ids=self.ids,
            shadow=None if self.shadow is None else self.shadow.bundle.bundle_id,
            settings=values_of(self.settings),
            is_up=is_up,
            is_heard=is_heard,
            was_heard=was_heard,
        )

    def has_changed(self, desired: DesiredState | None) -> bool:
        """Say whether a start now would be from something else.

        Args:
            desired: what the office wants now; of None nothing is said, since it may only be unreadable for a moment.
        """
        kinds, sections = _MINDS[self.process]
        if any(name != self.slots.get(kind) for kind, name in self._now().items() if kind in kinds):
            return True
        if desired is None:
            return False
        if self.process is Process.TERMINAL and shadow_of(self.file, desired) != self.shadow:
            return True
        wanted = _overlaid(self.file, desired.settings)
        return any(getattr(wanted, name) != getattr(self.settings, name) for name in sections)

    def may_end(self) -> bool:
        """Say whether the uplink may be started anew: not before a terminal that runs is, since the two share what is on the disk."""
        folder = self.file.updates_dir
        if not is_held(folder / "serving.lock", is_alone=True):
            return True
        mark = self.marks.read(Process.TERMINAL)
        app = current_slot(self.file, BundleKind.APP)
        return app is None or (mark is not None and mark.slots.get(BundleKind.APP) == app.name)

    def _now(self) -> dict[BundleKind, str]:
        found = {kind: slots_of(self.file, kind).current for kind in BundleKind}
        now = {kind: name for kind, name in found.items() if name is not None}
        if BundleKind.APP not in self.slots or (self.is_stuck and now.get(BundleKind.APP) == self.meant):
            # It was not started from a slot, or not from the right one, so another start would not be, either.
            now.pop(BundleKind.APP, None)
        return now


def start(process: Process, settings: Settings, desired: DesiredState | None) -> Started:
    """Find out what a process starts from, and hold it.

    Args:
        process: which.
        settings: of its file.
        desired: what the office wants.
    """
    held = Held()
    kinds, _ = _MINDS[process]
    slots = {kind: name for kind in BundleKind if kind in kinds and (name := _taken(settings, kind, held)) is not None}
    if process is Process.TERMINAL:
        _hold(held, serving_lock(settings.updates_dir), is_alone=True)
    bundles = {kind: bundle_in(slots_of(settings, kind), name, kind) for kind, name in slots.items()}
    ids = {kind: found.bundle_id for kind, found in bundles.items() if found.bundle_id is not None}
    marks = Marks(settings.updates_dir)
    app, meant, before = slots.get(BundleKind.APP), slots_of(settings, BundleKind.APP).current, marks.read(process)
    is_stuck = app != meant and before is not None and (before.slots.get(BundleKind.APP), before.meant) == (app, meant)
    if is_stuck:
        logger.error("runs from slot %s although %s is meant: the service does not follow the link", app, meant)
    in_force = with_slots(settings if desired is None else _overlaid(settings, desired.settings), slots)
    shadow = shadow_of(settings, desired) if process is Process.TERMINAL else None
    if shadow is not None:
        _hold(held, shadow_slots(settings).path(shadow.name))
    return Started(process, in_force, settings, slots, ids, marks, meant, shadow, is_stuck, held)


def values_of(settings: Settings) -> SettingValues:
    """Return the settings that the office may set as they are in force."""
    found: dict[str, Any] = {}
    for name in SettingValues.model_fields:
        section, _, key = name.partition("_")
        found[name] = getattr(getattr(settings, section), key)
    return SettingValues(**{name: value for name, value in found.items() if _may_be_said(name, value)})


def _may_be_said(name: str, value: Any) -> bool:
    # A file may have what the office may not ask for.
    try:
        SettingValues(**{name: value})
    except ValidationError:
        return False
    return True


def _overlaid(settings: Settings, values: SettingValues) -> Settings:
    try:
        return overlaid(settings, asked(values))
    except SettingsInvalid as error:
        # The file was changed since they were taken.
        logger.error("the office's settings do not fit the file, which holds alone why=%s", error)  # noqa: TRY400
        return settings


def _taken(settings: Settings, kind: BundleKind, held: Held) -> str | None:
    slots = slots_of(settings, kind)
    if kind is BundleKind.APP:
        name = slot_of_program(slots.folder, Path(sys.prefix))
        if name is not None:
            _hold(held, slots.path(name))
        return name
    for _ in range(_MOST_TRIES):
        name = slots.current
        if name is None:
            return None
        # It may have been switched between the look and the hold; then the other one is held.
        if held.hold(slots.path(name), patience_s=_PATIENCE_S) and slots.current == name:
            return name
    return None


def _hold(held: Held, path: Path, *, is_alone: bool = False) -> None:
    if not held.hold(path, is_alone=is_alone, patience_s=_PATIENCE_S):
        logger.error("cannot be held, so others do not see that it is in use path=%s", path)


def slot_of_program(folder: Path, prefix: Path) -> str | None:
    """Return the slot that a program runs from, whatever link led to it; None where it runs from elsewhere.

    Args:
        folder: the slots of programs.
        prefix: the folder of its environment (`sys.prefix`).
    """
    try:
        parts = prefix.resolve().relative_to(folder.resolve()).parts
    except (ValueError, OSError):
        return None
    return parts[0] if parts and parts[0] in ("a", "b") else None


def _whole(settings: Settings, kind: BundleKind, slots: Mapping[BundleKind, str]) -> Path | None:
    name = slots.get(kind)
    if name is None:
        return None
    path = slots_of(settings, kind).path(name)
    return path if (path / MARK).is_file() else None
