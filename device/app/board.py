"""The board of a terminal: what differs between a Raspberry Pi and a laptop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device.adapters.camera_picamera2 import Picamera2Camera
from device.adapters.clock_system import SystemClock
from device.adapters.entropy_system import SystemEntropy
from device.adapters.panel_gpiozero import GpiozeroPanel
from device.adapters.ring_light_gpiozero import GpiozeroRingLight
from device.app.prompting import make_prompter
from device.ports import Camera, Clock, Entropy, Panel, Prompter, RingLight
from device.settings import Settings

if TYPE_CHECKING:
    # Imported where a simulated part is made: a terminal with a camera never pays for them at its start.
    from device.simulated.camera import SimulatedCamera
    from device.simulated.clock import FastClock
    from device.simulated.panel import SimulatedPanel

_EMPTY_RATE = 20.0


@dataclass(frozen=True, slots=True)
class Board:
    """What differs between a Raspberry Pi and a laptop."""

    camera: Camera
    ring: RingLight | None
    panel: Panel
    prompter: Prompter
    clock: Clock
    entropy: Entropy
    fast_clock: FastClock | None
    """With it the frames of a clip move the time."""
    simulated_camera: SimulatedCamera | None
    simulated_panel: SimulatedPanel | None


def make_board(
    settings: Settings, system_clock: SystemClock, *, on_missing: Callable[[str, str], None] = lambda _pack, _line: None
) -> Board:
    """Return the parts that the settings name; the simulated ones only where the camera is simulated too.

    Raises:
        DeviceError: if a clip description cannot be used.
    """
    simulated_panel = _simulated_panel(settings.panel.stuck_s) if settings.panel.kind == "simulated" else None
    panel: Panel = simulated_panel or make_panel(settings, system_clock)
    if settings.camera.kind == "picamera2":
        ring = (
            GpiozeroRingLight(settings.board, settings.ring_light) if settings.ring_light.kind == "gpiozero" else None
        )
        return Board(
            Picamera2Camera(settings.camera),
            ring,
            panel,
            make_prompter(settings, sys.stdout, on_missing=on_missing),
            system_clock,
            SystemEntropy(),
            None,
            None,
            simulated_panel,
        )
    return _simulated_board(settings, system_clock, panel, simulated_panel, on_missing)


def make_panel(settings: Settings, system_clock: SystemClock) -> Panel:
    """Return the panel that the settings name."""
    if settings.panel.kind == "simulated":
        return _simulated_panel(settings.panel.stuck_s)
    return GpiozeroPanel(settings.board, settings.panel, now_ns=system_clock.monotonic_ns)


def _simulated_panel(stuck_s: float) -> SimulatedPanel:
    from device.simulated.panel import SimulatedPanel

    return SimulatedPanel(stuck_s=stuck_s)


def _simulated_board(
    settings: Settings,
    system_clock: SystemClock,
    panel: Panel,
    simulated_panel: SimulatedPanel | None,
    on_missing: Callable[[str, str], None],
) -> Board:
    from device.simulated.actor import EmptyRoom, open_actor
    from device.simulated.camera import HeardPrompter, SimulatedCamera, SimulatedRingLight
    from device.simulated.clock import FastClock
    from device.simulated.entropy import SeededEntropy

    chosen = settings.simulated
    actor = open_actor(chosen.actor) if chosen.actor is not None else EmptyRoom(_EMPTY_RATE)
    fast_clock = None if chosen.speed == "real" else FastClock(system_clock, is_held=chosen.speed == "held")
    clock: Clock = fast_clock or system_clock
    camera = SimulatedCamera(actor, clock)
    entropy: Entropy = SeededEntropy(chosen.entropy_seed) if chosen.entropy_seed is not None else SystemEntropy()
    prompter = make_prompter(settings, sys.stdout, HeardPrompter(camera.hear), on_missing=on_missing)
    ring: RingLight | None = None
    if settings.ring_light.kind == "simulated":
        ring = SimulatedRingLight(camera)
    elif settings.ring_light.kind == "gpiozero":
        ring = GpiozeroRingLight(settings.board, settings.ring_light)
    return Board(camera, ring, panel, prompter, clock, entropy, fast_clock, camera, simulated_panel)
