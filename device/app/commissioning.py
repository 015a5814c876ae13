"""Commissioning: tries everything on the spot, asks the person there, and signs the report.

A part that fails keeps no other from being tried; what needs it is told as not tried. What a measure means is `device.commissioning`.
"""

from __future__ import annotations

import os
import platform
import queue
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.adapters.board_sysfs import battery_clocks, storage_life
from device.adapters.clock_system import SystemClock
from device.adapters.inference_tflite import open_networks
from device.adapters.reports_files import FileReportStore
from device.adapters.signer_keyfile import KeyfileSigner
from device.adapters.voice_alsa.microphone import ArecordMicrophone
from device.adapters.voice_alsa.player import AplayLoudspeaker
from device.app.board import Board, make_board
from device.app.golden import GoldenResult, check_golden
from device.app.policy import policy_in_force
from device.app.reaching import check_keys, reach_of
from device.app.seeing import Sight
from device.app.trying import People, Trying
from device.commissioning import judging
from device.commissioning.check import check
from device.commissioning.sound import RATE_HZ, SECONDS, found_in, sweep
from device.errors import DeviceError, LoudspeakerUnavailable
from device.ports import Button, Microphone
from device.session.commands import Lamp
from device.settings import Settings
from device.uplink.service import vitals_of
from device.vision.inference import Networks
from protocol.commissioning import (
    COMMISSIONING_TYP,
    CommissioningCheck,
    CommissioningReport,
    NetworkTime,
    Part,
    Question,
)
from protocol.policy import Policy, default_policy
from protocol.times import best_guess

_COLOUR_S: Final = 1.0
_PRESS_S: Final = 20.0
_WRITES, _WRITE_BYTES = 100, 64 * 1024
_TAIL_S: Final = 0.5
_COLOURS: Final = (Lamp.FAULT, Lamp.CERTIFIED, Lamp.WORKING)


@dataclass(slots=True)
class _Found:
    """What later parts need of earlier ones."""

    networks: Networks | None = None
    golden: tuple[GoldenResult, ...] = ()
    sensor: str | None = None


def commission(settings: Settings, people: People, *, board: Board | None = None) -> tuple[CommissioningReport, bytes]:
    """Try everything, sign the report, and leave it for the uplink to send.

    Args:
        settings: of the terminal.
        people: who are asked.
        board: parts that the running terminal lends; without it they are opened here, and the service must not run, as it has them.

    Returns:
        The report and its envelope (JWS).

    Raises:
        KeyUnusable: if the report cannot be signed.
        DeviceError: if a simulated part cannot be made, or the report cannot be kept.
    """
    _check_owner(settings.terminal.data_dir)
    clock = SystemClock(settings.clock_path)
    return _Commissioning(settings, people, clock, board or make_board(settings, clock)).run()


def _check_owner(folder: Path) -> None:
    """What is left here is sent and put aside by the uplink, which may not touch what is somebody else's.

    Raises:
        DeviceError: if the data folder is another user's.
    """
    try:
        owner = folder.stat().st_uid
    except OSError:
        # It is made on the way, and then it is ours.
        return
    if owner != os.geteuid():
        raise DeviceError(
            f"{folder}: belongs to another user; start it as the terminal's own, as `lifecert-provision commission` does by itself"
            " where it is started by root"
        )


class _Commissioning:
    def __init__(self, settings: Settings, people: People, clock: SystemClock, board: Board) -> None:
        self._settings = settings
        self._clock = clock
        self._board = board
        self._signer = KeyfileSigner(settings.keys.signing.path)
        self._found = _Found()
        self._presses: queue.SimpleQueue[Button] = queue.SimpleQueue()
        self._trying = Trying(people, _technician(self._board, settings))

    def run(self) -> tuple[CommissioningReport, bytes]:
        begun = self._now()
        reach = reach_of(self._settings, self._signer, self._clock)
        for part, attempt in (
            (Part.KEYS, lambda: check_keys(self._settings, self._signer, self._now())),
            (Part.CLOCK, self._time),
            (Part.POWER, lambda: judging.judge_power(vitals_of(self._settings).read())),
            (Part.STORAGE, self._storage),
            (Part.STORAGE_LIFE, self._storage_life),
            (Part.NETWORK, lambda: reach.of(Part.NETWORK)),
            (Part.BROKER, lambda: reach.of(Part.BROKER)),
            (Part.FLEET, lambda: reach.of(Part.FLEET)),
            (Part.NETWORKS, self._networks),
        ):
            self._trying.attempt(part, attempt)
        sight = Sight(
            self._trying,
            self._board,
            wanted=self._settings.camera.size,
            networks=self._found.networks,
            policy=self._policy(),
        )
        sight.look()
        self._found.sensor = sight.sensor
        self._trying.attempt(Part.LOUDSPEAKER, self._loudspeaker)
        self._touched()
        return self._signed(begun)

    def _now(self) -> datetime:
        return best_guess(self._clock.peek())

    def _signed(self, begun: datetime) -> tuple[CommissioningReport, bytes]:
        now = self._clock.peek()
        report = CommissioningReport(
            fleet_id=self._settings.terminal.fleet_id,
            terminal_id=self._settings.terminal.terminal_id,
            report_id=secrets.token_hex(16),
            begun_at=begun,
            finished_at=best_guess(now),
            clock=now.source,
            software=version("lifecert"),
            machine=f"{platform.system()} {platform.machine()}",
            sensor=self._found.sensor,
            is_simulated="simulated" in (self._settings.camera.kind, self._settings.panel.kind),
            networks=tuple(
                NetworkTime(
                    name=each.name,
                    sha256=each.sha256,
                    difference=round(each.largest_difference, 6),
                    median_ms=each.median_ms,
                )
                for each in self._found.golden
            ),
            checks=tuple(self._trying.checks),
        )
        envelope = self._signer.sign(report.to_bytes(), COMMISSIONING_TYP)
        FileReportStore(self._settings.reports_path).put(envelope)
        return report, envelope

    def _time(self) -> CommissioningCheck:
        clocks = [] if self._is_simulated else battery_clocks()
        return judging.judge_clock(self._clock.peek(), battery=next(iter(clocks), None), has_battery=bool(clocks))

    def _storage(self) -> CommissioningCheck:
        folder = self._settings.terminal.data_dir
        folder.mkdir(parents=True, exist_ok=True)
        durations = _write_durations(folder)
        median_s, slow_s = np.percentile(durations, (50, 99))
        return judging.judge_storage(
            judging.Writes(
                rate_mib_s=_WRITES * _WRITE_BYTES / sum(durations) / 2**20,
                median_ms=float(median_s) * 1000,
                slow_ms=float(slow_s) * 1000,
                free_bytes=shutil.disk_usage(folder).free,
            )
        )

    def _storage_life(self) -> CommissioningCheck:
        life = storage_life(self._settings.terminal.data_dir)
        return judging.judge_storage_life(worn_percent=life.worn_percent, is_ending=life.is_ending)

    def _networks(self) -> CommissioningCheck:
        terminal = self._settings.terminal
        networks = open_networks(
            terminal.models_dir, features=terminal.features, texture=terminal.texture, runtime=terminal.runtime
        )
        self._found.networks = networks
        self._found.golden = check_golden(networks)
        slowest = max(self._found.golden, key=lambda each: each.median_ms)
        return judging.judge_networks(len(self._found.golden), slowest.name, slowest.median_ms)

    def _policy(self) -> Policy:
        """Return the policy in force; where the fleet has sent none that can be used, the one that a fleet starts with."""
        try:
            return policy_in_force(self._settings) or default_policy()
        except DeviceError:
            # What is wrong with the fleet's identity is told with the keys.
            return default_policy()

    def _loudspeaker(self) -> CommissioningCheck:
        voice = self._settings.voice
        if voice.kind == "none":
            return check(Part.LOUDSPEAKER, "skipped", "none", is_required=False)
        # What is still being said has the device.
        self._board.prompter.stop()
        speaker = AplayLoudspeaker(voice.device)
        pcm = (sweep() * voice.volume).astype("<i2").tobytes()
        if voice.microphone is not None:
            heard = _recorded(ArecordMicrophone(voice.microphone), lambda: speaker.play(pcm, RATE_HZ).wait())
            if (found := judging.judge_loop(found_in(heard))) is not None:
                return found
        speaker.play(pcm, RATE_HZ).wait()
        return judging.judge_answer(Part.LOUDSPEAKER, self._trying.ask(Question.HEARD))

    def _touched(self) -> None:
        """Try lamp and buttons, with the panel opened once."""
        panel = self._board.panel
        try:
            panel.start(self._presses.put)
        except DeviceError as error:
            self._trying.fail(error, Part.STATUS_LAMP, Part.BUTTONS)
            return
        try:
            self._trying.attempt(Part.STATUS_LAMP, self._status_lamp)
            self._trying.attempt(Part.BUTTONS, self._buttons)
        finally:
            panel.stop()

    def _status_lamp(self) -> CommissioningCheck:
        for lamp in _COLOURS:
            self._board.panel.show(lamp)
            time.sleep(0.0 if self._is_simulated else _COLOUR_S)
        return judging.judge_answer(Part.STATUS_LAMP, self._trying.ask(Question.LAMP))

    def _buttons(self) -> CommissioningCheck:
        missing, wrong = [], []
        for question, button in (
            (Question.PRESS_START, Button.START),
            (Question.PRESS_REPEAT, Button.REPEAT),
            (Question.PRESS_CANCEL, Button.CANCEL),
        ):
            while not self._presses.empty():
                self._presses.get()
            self._trying.tell(question)
            try:
                felt = self._presses.get(timeout=_PRESS_S)
            except queue.Empty:
                missing.append(button.value)
                continue
            if felt is not button:
                wrong.append(f"{button.value} = {felt.value}")
        return judging.judge_buttons(tuple(missing), tuple(wrong))

    @property
    def _is_simulated(self) -> bool:
        return self._board.simulated_camera is not None


def _technician(board: Board, settings: Settings) -> Callable[[Question], None]:
    """Return what does by hand what is asked for: somebody on the spot, or where the board is simulated a simulated one."""
    if board.simulated_camera is None:
        return lambda _question: None
    from device.simulated.actor import EmptyRoom, open_actor
    from device.simulated.target import SimulatedTechnician

    chosen = settings.simulated.actor
    person = open_actor(chosen) if chosen is not None else EmptyRoom(20.0)
    return SimulatedTechnician(board.simulated_camera, board.simulated_panel, person).do


def _write_durations(folder: Path) -> list[float]:
    """Return the seconds of each of so many writes that wait for the disk."""
    data = secrets.token_bytes(_WRITE_BYTES)
    durations = []
    with tempfile.NamedTemporaryFile(dir=folder, prefix="commissioning-") as file:
        for _ in range(_WRITES):
            begin = time.perf_counter()
            os.write(file.fileno(), data)
            os.fdatasync(file.fileno())
            durations.append(time.perf_counter() - begin)
    return durations


def _recorded(microphone: Microphone, play: Callable[[], None]) -> NDArray[np.int16]:
    """Return what a microphone hears while something is played, int16 (N,)."""
    told: queue.SimpleQueue[LoudspeakerUnavailable | None] = queue.SimpleQueue()

    def sound() -> None:
        try:
            play()
            told.put(None)
        except LoudspeakerUnavailable as error:
            told.put(error)

    player = threading.Thread(target=sound, name="sweep", daemon=True)
    player.start()
    heard = microphone.record(SECONDS + 2 * _TAIL_S, RATE_HZ)
    player.join()
    if (error := told.get()) is not None:
        raise error
    return np.frombuffer(heard[: len(heard) // 2 * 2], "<i2").astype(np.int16)
