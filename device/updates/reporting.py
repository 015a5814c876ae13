"""What a terminal says that it is, beside what it was asked to be; and what the installer remembers for that."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device.settings import Settings
from device.updates.in_force import bundle_in, current_slot, shadow_of, slots_of, values_of
from device.updates.marks import Fetch, Marks, Process
from device.updates.shelf import Shelf
from device.whole_file import write_whole
from protocol.bundle import BundleKind
from protocol.desired import (
    ComingBundle,
    DesiredBundle,
    DesiredState,
    EndedTrial,
    ReportedState,
    RunningBundle,
    SettingValues,
)

_State = Literal["waiting", "fetching", "fetched", "ready", "refused"]
_READY: Final[tuple[_State, None]] = ("ready", None)


class Tries(BaseModel):
    """What the installer remembers of bundles that it has tried."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tried: dict[str, int] = Field(default_factory=dict)
    """Bundle id: the number of the desired state it was tried for. It is not tried again before the office says so anew."""
    refused: dict[str, str] = Field(default_factory=dict)
    """Bundle id: why it was not put into a slot."""

    @classmethod
    def read(cls, settings: Settings) -> Tries:
        """Return what is remembered; nothing where it cannot be read."""
        try:
            return cls.model_validate_json(_path(settings).read_bytes())
        except (OSError, ValidationError):
            return cls()

    def write(self, settings: Settings) -> None:
        """Remember it.

        Raises:
            OSError: if it cannot be written.
        """
        write_whole(_path(settings), self.model_dump_json().encode())

    def is_spent(self, want: DesiredBundle) -> bool:
        """Say whether a bundle was tried since it is wanted, and came to its end there; what else the office changed does not matter."""
        return self.tried.get(want.bundle_id, 0) >= want.since


def report(
    settings: Settings, desired: DesiredState | None, shelf: Shelf, fetches: Mapping[str, Fetch], *, own: Settings
) -> ReportedState:
    """Return what the terminal says of itself.

    Args:
        settings: of its file.
        desired: what the office wants.
        shelf: bundles on their way.
        fetches: by bundle id, how it stands with those that are fetched.
        own: the settings in force for whoever asks.
    """
    mark = Marks(settings.updates_dir).read(Process.TERMINAL)
    running = []
    for kind in BundleKind:
        found = current_slot(settings, kind)
        name = mark.slots.get(kind) if mark is not None else None
        if name is not None:
            # What runs is what the terminal was started from, not what the next start will be.
            running.append(bundle_in(slots_of(settings, kind), name, kind))
        else:
            running.append(RunningBundle(kind=kind) if mark is not None or found is None else found.bundle)
    return ReportedState(
        desired_number=0 if desired is None else desired.number,
        running=tuple(running),
        coming=() if desired is None else _coming(settings, desired, shelf, fetches, running),
        ended=ended(settings),
        settings=_values(own, None if mark is None else mark.settings),
    )


def ended(settings: Settings) -> tuple[EndedTrial, ...]:
    """Return how the last trial of each kind ended."""
    found = {kind: slots_of(settings, kind).state().last for kind in BundleKind}
    return tuple(
        EndedTrial(kind=kind, bundle_id=last.bundle_id, is_kept=last.is_kept, why=last.why)
        for kind, last in found.items()
        if last is not None
    )


def what_changes(reported: ReportedState) -> Hashable:
    """Return what of it is worth telling at once: of a bundle that comes, when it has doubled."""
    coming = tuple((each.bundle_id, each.state, each.why, _doublings(each)) for each in reported.coming)
    return (reported.desired_number, reported.running, coming, reported.ended, reported.settings)


def _doublings(coming: ComingBundle) -> int:
    return (coming.received // (1024 * 1024)).bit_length() if coming.state == "fetching" else 0


def _coming(
    settings: Settings,
    desired: DesiredState,
    shelf: Shelf,
    fetches: Mapping[str, Fetch],
    running: list[RunningBundle],
) -> tuple[ComingBundle, ...]:
    tries = Tries.read(settings)
    mark = Marks(settings.updates_dir).read(Process.TERMINAL)
    runs = {each.bundle_id for each in running}
    wants = [(want, current_slot(settings, want.kind)) for want in desired.bundles if want.bundle_id not in runs]
    shadow = desired.shadow
    if shadow is not None and (mark is None or mark.shadow != shadow.bundle_id):
        wants.append((shadow, shadow_of(settings, desired)))
    coming = []
    for want, slot in wants:
        if slot is not None and slot.bundle.bundle_id == want.bundle_id:
            state, why = _READY
        else:
            state, why = _state(settings, want, shelf, fetches, tries)
        coming.append(
            ComingBundle(kind=want.kind, bundle_id=want.bundle_id, received=shelf.received(want), state=state, why=why)
        )
    return tuple(coming)


def _state(
    settings: Settings,
    want: DesiredBundle,
    shelf: Shelf,
    fetches: Mapping[str, Fetch],
    tries: Tries,
) -> tuple[_State, str | None]:
    if tries.is_spent(want):
        last = slots_of(settings, want.kind).state().last
        failed = last.why if last is not None and last.bundle_id == want.bundle_id else "not_switched"
        return "refused", tries.refused.get(want.bundle_id, failed)
    if shelf.is_whole(want):
        return "fetched", None
    found = fetches.get(want.bundle_id, Fetch("waiting"))
    return found.state, found.why


def _values(own: Settings, terminals: SettingValues | None) -> SettingValues:
    values = values_of(own)
    if terminals is None:
        return values
    # Each process says what is in force for itself: the voice is the terminal's.
    voice = {name: getattr(terminals, name) for name in SettingValues.model_fields if name.startswith("voice_")}
    return values.model_copy(update=voice)


def _path(settings: Settings) -> Path:
    return settings.updates.slots_dir / "installer.json"
