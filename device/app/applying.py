"""`lifecert-terminal update`: the installer put together, and the examination as a program of its own, run by what is to be examined."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from device.adapters.clock_system import SystemClock
from device.adapters.signer_keyfile import load_fleet_identity
from device.settings import Settings, load_settings
from device.updates.in_force import current_slot, slots_of, with_slots
from device.updates.installing import Done, ExaminationFailed, Installer
from device.updates.marks import Marks
from device.updates.preparing import program_of
from device.updates.release_keys import release_keys
from device.updates.reporting import report
from device.updates.stock import desired_store, shelf_of
from protocol.bundle import BundleKind
from protocol.desired import ReportedState

logger = logging.getLogger(__name__)

_PROGRAM: Final = "from device.cli import main; main()"
_MOST_SAID = 2000


def settings_of(config: Path) -> Settings:
    """Read the settings for somebody who needs none of the keys: credentials that they name are not looked for.

    Raises:
        SettingsInvalid: as `load_settings`.
    """
    return load_settings(config, credentials=config.resolve().parent)


def apply(config: Path) -> Done:
    """Carry out what the office wants, as far as it can be now.

    Raises:
        DeviceError: if settings or the fleet's identity cannot be used.
        OSError: if the slots cannot be written to.
    """
    settings = settings_of(config)
    fleet = load_fleet_identity(settings.keys.fleet, fleet_id=settings.terminal.fleet_id)
    # `peek`: the file of what is remembered of the time is the terminal's.
    clock = SystemClock(settings.clock_path)
    return Installer(
        settings,
        fleet.signing_key,
        key_of=release_keys(settings.updates.release_keys),
        now=clock.peek,
        examine=examiner(config, settings),
    ).apply()


def status(config: Path) -> ReportedState:
    """Return what this terminal says that it is.

    Raises:
        DeviceError: as `apply`.
    """
    settings = settings_of(config)
    fleet = load_fleet_identity(settings.keys.fleet, fleet_id=settings.terminal.fleet_id)
    desired = desired_store(settings, fleet.signing_key).current()
    fetches = Marks(settings.updates_dir).fetches()
    return report(settings, desired, shelf_of(settings), fetches, own=settings)


def examiner(config: Path, settings: Settings) -> Callable[[BundleKind, Path], None]:
    """Return what has a slot examined by the program that will run with it."""

    def examine(kind: BundleKind, root: Path) -> None:
        program = program_of(root) if kind is BundleKind.APP else Path(sys.executable)
        now = {each: found.name for each in BundleKind if (found := current_slot(settings, each)) is not None}
        networks = root if kind is BundleKind.NETWORKS else with_slots(settings, now).terminal.models_dir
        voices = root if kind is BundleKind.VOICES else _voices(settings)
        _run(
            [str(program), "-I", "-c", _PROGRAM, "update", "examine", "--config", str(config)]
            + ["--networks", str(networks)]
            + ([] if voices is None else ["--voices", str(voices)]),
            settings.updates.examine_timeout_s,
        )

    return examine


def _voices(settings: Settings) -> Path | None:
    found = current_slot(settings, BundleKind.VOICES)
    if found is None or found.bundle.bundle_id is None:
        return None
    return slots_of(settings, BundleKind.VOICES).path(found.name)


def _run(command: list[str], timeout_s: float) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False, cwd="/"
        )
    except subprocess.TimeoutExpired as error:
        raise ExaminationFailed(f"it took more than {timeout_s:.0f} s") from error
    except OSError as error:
        raise ExaminationFailed(f"its program cannot be started: {error.strerror}") from error
    if done.returncode != 0:
        raise ExaminationFailed(done.stderr[-_MOST_SAID:].strip() or f"it ended with {done.returncode}")
    logger.info("examined: %s", "; ".join(done.stdout.splitlines()))
