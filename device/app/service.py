"""The terminal as a service: puts the parts together from the settings, minds signals and systemd."""

from __future__ import annotations

import logging
import queue
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

from device.adapters.attestation_file import FileAttestationStore
from device.adapters.clock_system import SystemClock
from device.adapters.commands_sqlite import open_commands
from device.adapters.inference_tflite import open_network, open_networks
from device.adapters.notify_systemd import SystemdNotifier
from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.policy_file import FilePolicyStore
from device.adapters.reader_evdev import EvdevReader
from device.adapters.reader_lines import LineReader
from device.adapters.references_sqlite import SqliteReferenceStore
from device.adapters.rule_packs_file import FileRulePackStore
from device.adapters.running_file import FileRunning
from device.adapters.signer_keyfile import KeyfileSigner, load_fleet_identity
from device.adapters.sockets_systemd import inherited_socket
from device.app.board import make_board, make_panel
from device.app.checking import ThreadedCommissioning
from device.app.decommissioning import ask_to_be_erased, forget_asked, is_asked_to_be_erased
from device.app.front import make_front
from device.app.identity import identity_of
from device.app.log_tail import LogTail
from device.app.obeying import Obeying
from device.app.running import RunningTeller, running_of
from device.app.stick import ThreadedStick
from device.app.updating import TerminalUpdating
from device.desk.view import Language, Screen, View
from device.desk.view import Problem as ScreenProblem
from device.errors import CommandsUnavailable, DeviceError, RestartAsked
from device.ports import USUAL, Button, ClaimSource, DesiredStore, DeskScreen, Positioner, SlipPrinter, Viewfinder
from device.runner.lockstep import step
from device.runner.loop import Notice, Ports, Runner, Stored
from device.runner.moving import ReferenceMover
from device.runner.worker import VisionWorker, WorkerThread
from device.session.commands import Lamp
from device.session.events import ClaimRefused, Fault, RecordNotStored
from device.session.machine import State
from device.settings import Settings
from device.updates.in_force import Started, shadow_slots, start
from device.updates.marks import Process
from device.updates.stock import desired_store
from device.vision.inference import Networks
from device.vision.pipeline import VisionPipeline
from device.vision.shadow import Shadow, ShadowFound
from protocol.policy import Policy
from protocol.records import CertificationRecord
from protocol.registration import FleetIdentity
from protocol.selftest import SelftestReport

if TYPE_CHECKING:
    # Imported where a simulated part is made: a terminal with a camera never pays for them at its start.
    from device.simulated.clock import FastClock
    from device.simulated.control import ControlSocket

logger = logging.getLogger(__name__)

_LONGEST_WAIT_S = 1.0
"""Bounds a turn of an idle loop, so that the watchdog is fed several times within its period."""
_EXPIRE_EVERY_NS = 60_000_000_000
"""A roster's validity is given in days; a minute is early enough to delete it."""
_HUNG_NS = 15_000_000_000
"""A vision worker that neither begins nor ends a step for so long hangs: a frame is waited for half a second, and 5 s on opening."""
_REPAIR_NS = 600_000_000_000
"""A terminal that has been out of order for so long starts anew: that cures a library in a bad state, and each `Picamera2` that could not
be opened has left a file descriptor behind. It is long enough for systemd's limit on starts not to be reached."""
_END_S = 300.0
"""For so long a terminal whose end was asked for serves nobody: its unit begins within half a minute where it is installed."""
_STATUS_TIMEOUT_S = 10.0
_FAULTED_WAIT_S = 0.1
_FAULTED_STEP_NS = 1_000_000_000
"""A faulted terminal in fast time: a tenth of a second counts as one."""


class WorkerLost(DeviceError):
    """The vision worker ended by itself or cannot be repaired; the service stops, and systemd starts it again."""


def run(
    settings: Settings,
    *,
    stopping: threading.Event | None = None,
    reader: TextIO | None = None,
    on_turn: Callable[[], None] = lambda: None,
) -> None:
    """Serve people until SIGTERM or SIGINT, or until `stopping` is set.

    Args:
        settings: of the terminal.
        stopping: ends the service; without it signals do, and it must be called from the main thread.
        reader: where document numbers are typed or scanned, one a line; standard input by default.
        on_turn: called after every turn of the loop.

    Raises:
        DeviceError: if a part that must be there at start cannot be used, or the vision worker is lost.
    """
    stop = stopping if stopping is not None else _stop_on_signals()
    notifier = SystemdNotifier()
    fleet = load_fleet_identity(settings.keys.fleet, fleet_id=settings.terminal.fleet_id)
    desired = desired_store(settings, fleet.signing_key)
    started = start(Process.TERMINAL, settings, desired.current())
    terminal = Terminal(started, desired, fleet, reader=reader if reader is not None else sys.stdin)

    def after_turn() -> None:
        notifier.alive()
        on_turn()

    notifier.ready(f"terminal {settings.terminal.terminal_id}")
    logger.info("terminal started terminal=%s", settings.terminal.terminal_id)
    try:
        terminal.run(stop, on_turn=after_turn)
    finally:
        notifier.stopping()
        terminal.close()
        started.held.let_go()
    logger.info("terminal stopped")


def run_erased(settings: Settings, *, stopping: threading.Event | None = None) -> None:
    """Say that this terminal was taken out of service, by lamp and screen, until told to stop; it has nothing to certify anybody with.

    Args:
        settings: of the terminal.
        stopping: as of `run`.

    Raises:
        DeviceError: if the board or the screen cannot be opened.
    """
    logger.warning("terminal is decommissioned and serves nobody terminal=%s", settings.terminal.terminal_id)
    _serve_nobody(settings, stopping, ScreenProblem.DECOMMISSIONED, is_over=lambda _turns: False)


def run_until_erased(settings: Settings, *, stopping: threading.Event | None = None, wait_s: float = _END_S) -> None:
    """Serve nobody while the end that the fleet asked for is awaited: the program that erases the terminal stops this one.

    Args:
        settings: of the terminal.
        stopping: as of `run`.
        wait_s: for how long at most. Where nothing came of it the wish is forgotten.

    Raises:
        RestartAsked: if nothing came of it.
        DeviceError: if the board or the screen cannot be opened.
    """
    logger.warning("the end of the terminal is awaited terminal=%s", settings.terminal.terminal_id)

    def is_over(turns: int) -> bool:
        return turns * _LONGEST_WAIT_S >= wait_s or not is_asked_to_be_erased(settings)

    if _serve_nobody(settings, stopping, None, is_over=is_over):
        forget_asked(settings)
        raise RestartAsked("terminal: it was to be erased, and was not; it goes on")


def _serve_nobody(
    settings: Settings,
    stopping: threading.Event | None,
    problem: ScreenProblem | None,
    *,
    is_over: Callable[[int], bool],
) -> bool:
    """Show that nobody is served until told to stop, or until `is_over`, asked with the number of turns; return whether it was that."""
    stop = stopping if stopping is not None else _stop_on_signals()
    notifier = SystemdNotifier()
    panel = make_panel(settings, SystemClock(settings.clock_path))
    screen = make_screen(settings)
    view = View(Screen.OUT_OF_ORDER, settings.terminal.languages[0], problem=problem)
    panel.start(lambda _press: None, lambda _seen: None)
    panel.show(Lamp.FAULT)
    if screen is not None:
        screen.desk.start(lambda _touch: None)
        screen.desk.show(view)
    notifier.ready(f"terminal {settings.terminal.terminal_id} serves nobody")
    turns = 0
    try:
        while not stop.wait(_LONGEST_WAIT_S):
            notifier.alive()
            turns += 1
            if is_over(turns):
                return True
        return False
    finally:
        notifier.stopping()
        if screen is not None:
            screen.desk.stop()
        panel.stop()


class Terminal:
    """The composed terminal. Everything but `run` and `close` happens inside."""

    def __init__(self, started: Started, desired: DesiredStore, fleet: FleetIdentity, *, reader: TextIO) -> None:
        settings = self._settings = started.settings
        terminal = settings.terminal
        networks = open_networks(
            terminal.models_dir, features=terminal.features, texture=terminal.texture, runtime=terminal.runtime
        )
        self._system_clock = SystemClock(settings.clock_path)
        self._shadow_found: queue.SimpleQueue[tuple[str, ShadowFound]] = queue.SimpleQueue()
        self._missing: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._board = make_board(
            settings, self._system_clock, on_missing=lambda pack, line: self._missing.put((pack, line))
        )
        self._outbox = SqliteOutbox(
            settings.outbox_path, max_rows=settings.outbox.max_rows, max_bytes=settings.outbox.max_bytes
        )
        self._references = SqliteReferenceStore(
            settings.references_path, settings.keys.storage.path, self._system_clock
        )
        self._policies = FilePolicyStore(settings.policy_path, fleet.signing_key)
        ports = Ports(
            panel=self._board.panel,
            prompter=self._board.prompter,
            outbox=self._outbox,
            references=self._references,
            policies=self._policies,
            packs=FileRulePackStore(settings.rule_packs_path, fleet.signing_key),
            signer=KeyfileSigner(settings.keys.signing.path),
            clock=self._board.clock,
            entropy=self._board.entropy,
        )
        identity = identity_of(
            networks,
            fleet_id=terminal.fleet_id,
            terminal_id=terminal.terminal_id,
            is_simulated=self._board.simulated_camera is not None,
            fleet_sealing_key=fleet.sealing_key,
        )
        self._runner = Runner(ports, identity=identity, on_notice=self._notice)
        self._screen = make_screen(settings)
        self._printer = make_printer(settings)
        self._positioner = make_positioner(settings, self._system_clock)
        self._commissioning = ThreadedCommissioning(
            settings, self._board, borrow=self._runner.borrow, show_lamp=self._show_usual_lamp
        )
        self._front = make_front(
            settings,
            self._runner,
            ports=ports,
            identity=identity,
            attestations=FileAttestationStore(
                settings.attestation_path,
                fleet.signing_key,
                fleet_id=terminal.fleet_id,
                terminal_id=terminal.terminal_id,
                key_id=ports.signer.key_id,
            ),
            fleet=fleet,
            printer=self._printer,
            screen=self._screen.desk if self._screen is not None else None,
            stick=ThreadedStick(settings),
            commissioning=self._commissioning,
            positioner=self._positioner,
            set_voice=self._set_voice,
        )
        shadow = make_shadow(started, networks)
        self._mover = None
        if shadow is not None:
            self._mover = ReferenceMover(
                shadow.network,
                maker=self._runner.references,
                references=ports.references,
                policies=ports.policies,
                clock=ports.clock,
                entropy=ports.entropy,
                identity=identity,
                events=self._front.events,
                order=self._runner.order,
            )
        self._worker = VisionWorker(
            self._board.camera,
            VisionPipeline(networks),
            now_ns=self._board.clock.monotonic_ns,
            post=self._runner.post,
            is_paced=self._board.fast_clock is not None,
            ring=self._board.ring,
            texture=networks.texture,
            sensor_id=settings.camera.sensor,
            viewfinder=self._screen.viewfinder if self._screen is not None else None,
            shadow=shadow,
            on_shadow=lambda record_id, found: self._shadow_found.put((record_id, found)),
        )
        self._runner.attach(self._worker)
        self._teller = RunningTeller(
            FileRunning(settings.running_path), running_of(settings, identity), self._board.clock
        )
        self._commands = open_commands(settings.commands_path)
        self._log = LogTail()
        logging.getLogger().addHandler(self._log)
        self._obeying = Obeying(
            self._commands,
            ports.signer,
            self._board.clock,
            diagnose=self._diagnose,
            log=self._log.lines,
            show_beacon=self._show_beacon,
            decommission=lambda token: ask_to_be_erased(settings, token),
        )
        self._updating = TerminalUpdating(started, desired, self._front.events, self._system_clock)
        self._control = self._make_control()
        self._readers: list[ClaimSource] = [LineReader(reader)]
        if settings.readers.devices:
            self._readers.append(EvdevReader(settings.readers.devices))
        self._expired_ns = 0
        self._faulted_ns: int | None = None
        """Since when the terminal is out of order."""
        self._is_open = False

    def run(self, stopping: threading.Event, *, on_turn: Callable[[], None]) -> None:
        """Serve until told to stop; a session under way is recorded before.

        Raises:
            PanelUnavailable: if the board cannot be opened.
            WorkerLost: if the vision worker crashed or hangs, or the terminal stays out of order.
            RestartAsked: if the fleet asks for it, or there is something newer to start from, and nobody is being served.
        """
        self._board.panel.start(self._press, self._front.desk.note_board)
        if self._screen is not None:
            self._screen.desk.start(self._front.desk.touch)
        if self._printer is not None:
            self._printer.start()
        if self._positioner is not None:
            self._positioner.start()
        self._front.desk.begin()
        self._runner.begin()
        if self._board.fast_clock is not None:
            while not stopping.is_set():
                self._turn_fast(self._board.fast_clock)
                self._after_turn(on_turn)
            self._runner.end()
            return
        thread = WorkerThread(self._worker, on_crash=self._runner.post_crash)
        thread.start()
        try:
            while not stopping.is_set():
                self._runner.turn(self._longest_wait_s())
                self._check_worker(thread)
                self._after_turn(on_turn)
        finally:
            # What the worker said last, and a session under way, are recorded before anything is given back.
            self._runner.end()
            thread.stop()

    def close(self) -> None:
        """Give back everything; may be called twice."""
        if self._runner.is_lent:
            self._runner.is_lent = False
            self._commissioning.end()
        for source in (*self._readers, *([self._control] if self._control else [])):
            source.stop()
        if self._screen is not None:
            self._screen.desk.stop()
        if self._printer is not None:
            self._printer.stop()
        if self._positioner is not None:
            self._positioner.stop()
        if self._board.ring is not None:
            self._board.ring.stop()
        self._board.camera.stop()
        self._board.panel.stop()
        self._front.close()
        self._board.prompter.stop()
        logging.getLogger().removeHandler(self._log)
        self._commands.close()
        self._references.close()
        self._outbox.close()

    def _press(self, button: Button) -> None:
        if not self._commissioning.press(button):
            self._runner.press(button)

    def _set_voice(self, language: Language, is_slow: bool) -> None:
        """Speak and write in the language somebody chose; in the usual ones where nobody did or it is the first of them."""
        is_usual = language == self._settings.terminal.languages[0]
        self._board.prompter.use(None if is_usual else language, is_slow=is_slow)

    def _longest_wait_s(self) -> float:
        deadline = self._front.desk.next_deadline_ns()
        if deadline is None:
            return _LONGEST_WAIT_S
        return max(0.0, min(_LONGEST_WAIT_S, (deadline - self._board.clock.monotonic_ns()) / 1e9))

    def _check_worker(self, thread: WorkerThread) -> None:
        if not thread.is_alive:
            raise WorkerLost("vision worker: ended by itself, see the log")
        now = self._board.clock.monotonic_ns()
        if now - self._worker.beat_ns > _HUNG_NS:
            raise WorkerLost("vision worker: hangs in the camera or a network")
        if self._runner.session.state is not State.FAULTED:
            self._faulted_ns = None
        elif self._faulted_ns is None:
            self._faulted_ns = now
        elif now - self._faulted_ns > _REPAIR_NS:
            raise WorkerLost(
                f"terminal: out of order for {_REPAIR_NS // 10**9} s, see the log; it starts anew under systemd"
            )

    def _turn_fast(self, clock: FastClock) -> None:
        state = self._runner.session.state
        if state in {State.IDLE, State.FAULTED} and not self._worker.is_acquiring:
            # Between sessions no frame moves the clock: wait for an input in real time; a faulted terminal retries soon.
            self._worker.step()
            wait_s = _FAULTED_WAIT_S if state is State.FAULTED else _LONGEST_WAIT_S
            if not self._runner.turn(wait_s) or state is State.FAULTED:
                clock.advance(_FAULTED_STEP_NS if state is State.FAULTED else round(wait_s * 1e9))
        else:
            step(self._runner, self._worker, clock)

    def _after_turn(self, on_turn: Callable[[], None]) -> None:
        now = self._board.clock.monotonic_ns()
        if not self._is_open and self._runner.has_started:
            self._is_open = True
            for source in self._readers:
                source.start(lambda text, _errand=USUAL: self._front.desk.read(text))
            if self._control is not None:
                self._control.start(self._runner.present_claim)
        self._front.desk.expire()
        while not self._missing.empty():
            self._front.desk.note_missing_line(*self._missing.get())
        while not self._shadow_found.empty():
            record_id, found = self._shadow_found.get()
            if found.summary is not None:
                self._updating.note_shadow(found.summary)
            if found.moved is not None and self._mover is not None:
                self._mover.take(record_id, found.moved)
        self._front.desk.mind()
        self._teller.look(self._worker.looked_at, is_mains_lost=self._runner.is_power_failing)
        if self._runner.session.state is State.IDLE and now - self._expired_ns > _EXPIRE_EVERY_NS:
            self._expired_ns = now
            try:
                self._references.expire(self._system_clock.now())
            except DeviceError as error:
                logger.error("roster not expired why=%s", error)  # noqa: TRY400 - the message says all, a trace nothing
                self._runner.post_fault(Fault.STORAGE)
        self._obey()
        self._updating.look(self._is_free)
        on_turn()

    def _is_free(self) -> bool:
        """Say whether nobody is being served, at the camera or at the screen."""
        desk = self._front.desk.desk
        is_idle = self._runner.session.state in {State.IDLE, State.FAULTED} and not self._worker.is_acquiring
        return is_idle and desk.operator is None and desk.screen in {Screen.IDLE, Screen.OUT_OF_ORDER}

    def _obey(self) -> None:
        try:
            self._obeying.look(is_free=self._is_free())
        except CommandsUnavailable as error:
            logger.warning("the fleet's commands cannot be read why=%s", error)

    def _show_beacon(self, is_lit: bool | None) -> None:
        """Blink with the status lamp and say on the screen that this is the one; with None, end it."""
        self._front.desk.show_identity(is_on=is_lit is not None)
        if is_lit and self._runner.session.state in {State.IDLE, State.FAULTED}:
            self._board.panel.show(Lamp.ATTENTION)
        else:
            self._show_usual_lamp()

    def _show_usual_lamp(self) -> None:
        """Show what the terminal shows when nobody is served; a session that has begun sets the lamp itself."""
        usual = {State.FAULTED: Lamp.FAULT, State.IDLE: Lamp.IDLE}.get(self._runner.session.state)
        if usual is not None:
            self._board.panel.show(usual)

    def _diagnose(self) -> SelftestReport:
        """Try what can be tried beside a terminal that is at work."""
        looked_at = self._worker.looked_at
        rate = "no session yet" if looked_at is None else f"{looked_at.rate_hz:.1f} pictures/s in the last session"
        in_use = {"camera": f"in use: {rate}", "ring-light": "in use", "voice": "not played before people"}
        if self._printer is not None:
            in_use["printer"] = f"in use: {self._printer.condition}"
        # It opens voice packs and more, which a service that starts has no need of.
        from device.app.selftest import selftest

        return selftest(self._settings, in_use=in_use)

    def _make_control(self) -> ControlSocket | None:
        path, camera, panel = (
            self._settings.simulated.control_socket,
            self._board.simulated_camera,
            self._board.simulated_panel,
        )
        if path is None or camera is None or panel is None:
            return None
        from device.simulated.control import ControlSocket

        return ControlSocket(
            path,
            camera=camera,
            panel=panel,
            is_free=lambda: self._runner.session.state is State.IDLE,
            ask_status=self._ask_status,
            on_touch=self._front.desk.touch,
            on_read=self._front.desk.read,
        )

    def _ask_status(self) -> dict[str, Any]:
        answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._runner.call(lambda: answers.put(self._status()))
        try:
            return answers.get(timeout=_STATUS_TIMEOUT_S)
        except queue.Empty:
            raise WorkerLost("terminal: the loop does not answer") from None

    def _status(self) -> dict[str, Any]:
        policy: Policy | None = self._policies.current()
        panel = self._board.simulated_panel
        return {
            "state": str(self._runner.session.state),
            "lamp": str(panel.lamp) if panel is not None and panel.lamp is not None else None,
            "outbox": self._outbox.counts().model_dump(),
            "pictures": self._front.attachments.counts().model_dump(),
            "policy_version": policy.policy_version if policy else None,
            "roster_version": self._references.version(),
            "view": self._front.desk.view.to_json(),
        }

    def _end_shadow(self, record: CertificationRecord | None) -> None:
        mover = self._mover
        if mover is not None:
            # After what is waiting by now, which is that the record is stored: the person is told the result first.
            self._runner.call(lambda: mover.end(record))

    def _notice(self, notice: Notice) -> None:
        if isinstance(notice, Stored | RecordNotStored):
            self._end_shadow(notice.record if isinstance(notice, Stored) else None)
        if self._control is None:
            return
        match notice:
            case Stored(record, sha256, _):
                until = record.decision.certified_until
                answer = {
                    "ok": True,
                    "outcome": str(record.decision.outcome),
                    "reasons": [str(reason) for reason in record.decision.reasons],
                    "session_id": record.session_id,
                    "record_id": record.record_id,
                    "counter": record.counter,
                    "sha256": sha256,
                    "certified_until": until.isoformat() if until else None,
                }
            case ClaimRefused(_, problem):
                answer = {"ok": False, "error": str(problem)}
            case RecordNotStored():
                answer = {"ok": False, "error": "not_stored"}
            case _:
                answer = {"ok": False, "error": "fault"}
        self._control.conclude(answer)


def make_shadow(started: Started, networks: Networks) -> Shadow | None:
    """Return the features network that is to run in the shadow of the one in use; one that cannot is logged and costs nothing else."""
    if started.shadow is None:
        return None
    terminal = started.settings.terminal
    folder = shadow_slots(started.file).path(started.shadow.name)
    try:
        network = open_network(folder / f"{terminal.features}.toml", runtime=terminal.runtime)
        return Shadow(network, present=networks.features)
    except (DeviceError, ValueError) as error:
        logger.error("no network in the shadow why=%s", error)  # noqa: TRY400 - the message says all, a trace nothing
        return None


@dataclass(frozen=True, slots=True)
class ScreenParts:
    """The screen, and what the camera shows on it."""

    desk: DeskScreen
    viewfinder: Viewfinder


def make_printer(settings: Settings) -> SlipPrinter | None:
    """Return the printer that the settings name, None where slips are shown only."""
    if settings.printer.kind == "none":
        return None
    # A terminal without a printer does not pay for its library at its start.
    from device.adapters.printer_escpos import EscposPrinter

    return EscposPrinter(settings.printer)


def make_positioner(settings: Settings, clock: SystemClock) -> Positioner | None:
    """Return the position receiver that the settings name."""
    if settings.position.kind == "none":
        return None
    from device.adapters.positioner_nmea import NmeaPositioner

    return NmeaPositioner(settings.position.device, baud=settings.position.baud, monotonic_ns=clock.monotonic_ns)


def make_screen(settings: Settings) -> ScreenParts | None:
    """Return the screen that the settings name, None for a terminal with voice, lamp and buttons alone.

    Raises:
        DeviceError: if systemd passed a socket that must not be used.
    """
    if settings.screen.kind == "none":
        return None
    # A terminal without a screen does not pay for it at its start.
    from device.screen.server import WebScreen
    from device.screen.viewfinder import LatestFrame

    viewfinder = LatestFrame()
    return ScreenParts(WebScreen(settings.screen.port, viewfinder, listening=inherited_socket("screen")), viewfinder)


def _stop_on_signals() -> threading.Event:
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return stopping
