"""What a bundle finds on this terminal: machine, interpreter, what runs, what is too old, and the time."""

from __future__ import annotations

import platform
import sys

from device.settings import Settings
from device.updates.in_force import current_slot, slots_of
from protocol.bundle import BundleKind, Place
from protocol.times import DeviceTime


def place_of(settings: Settings, moment: DeviceTime) -> Place:
    """Return the place that this terminal is now.

    Args:
        settings: where its slots are.
        moment: now; a clock that nothing bounds makes nothing expire.
    """
    running = {kind: found.bundle.number for kind in BundleKind if (found := current_slot(settings, kind)) is not None}
    return Place(
        machine=platform.machine(),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        running=running,
        floors={kind: slots_of(settings, kind).state().floor for kind in BundleKind},
        now=moment.wall_clock if moment.uncertainty_s is not None else None,
    )


def local_hour(moment: DeviceTime) -> int | None:
    """Return the hour of the terminal's day, 0..23, as its time zone is set; None where nothing vouches for the clock."""
    return moment.wall_clock.astimezone().hour if moment.uncertainty_s is not None else None
