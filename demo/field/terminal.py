"""The terminal of the field, as a process: takes orders on standard input, one JSON object a line, and answers each with one.

Its clock is the terminal's own (`device.adapters.clock_system`) over a kernel that is played: time passes with the sessions.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from demo.field.people import PlayedPerson, Who
from device.adapters.attestation_file import FileAttestationStore
from device.adapters.clock_system import Readings, SystemClock
from device.adapters.entropy_system import SystemEntropy
from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.policy_file import FilePolicyStore
from device.adapters.references_sqlite import SqliteReferenceStore
from device.adapters.reports_files import FileReportStore
from device.adapters.rule_packs_file import FileRulePackStore
from device.adapters.running_file import FileRunning
from device.adapters.signer_keyfile import KeyfileSigner, load_fleet_identity, load_private_key
from device.app.front import make_front
from device.courier import courier
from device.desk.state import view_of
from device.desk.view import Screen, TouchKind
from device.runner.loop import Ports, Runner
from device.runner.records import Identity
from device.session.commands import Dated
from device.session.machine import State
from device.settings import Settings, load_settings
from device.simulated.clock import SteppedClock
from device.simulated.panel import SimulatedPanel
from device.simulated.screen import SimulatedScreen
from device.simulated.stores import MemoryCommands, MemoryDesired, MemoryShelf, MemoryUpdating
from device.simulated.vitals import SimulatedVitals
from device.uplink import loop as uplink
from device.uplink.inbox import Inbox
from device.uplink.mqtt import MqttLink
from protocol.policy import default_policy
from protocol.presence import tally
from protocol.records import NetworkUse
from protocol.times import DeviceTime

MODEL = "f1" * 32
"""Digest of the feature network that nobody runs here."""
FEATURES = "features_mobilefacenet"
_LONGEST_SESSION_NS = 900_000_000_000


class PlayedKernel:
    """What the kernel would say: a boot, a hardware clock, and time that passes when it is told to."""

    def __init__(self, *, boot_id: str, wall_clock: datetime, has_rtc: bool) -> None:
        self.steps = SteppedClock(wall_clock, boot_id=boot_id)
        self._boot_id = boot_id
        self._offset = timedelta()
        self._has_rtc = has_rtc
        self.is_synchronised = False

    def set_wall_clock(self, moment: datetime) -> None:
        """Have somebody, or a lost battery, set the clock."""
        self._offset += moment - self.read().wall_clock

    def read(self) -> Readings:
        """Return the readings now."""
        return Readings(
            boot_id=self._boot_id,
            monotonic_ns=self.steps.monotonic_ns(),
            wall_clock=self.steps.now().wall_clock + self._offset,
            network_bound_s=0.5 if self.is_synchronised else None,
            rtc_set_clock=self._has_rtc,
            network_stamp=1 if self.is_synchronised else None,
        )


class Mute:
    """Says nothing; the field is about what is kept."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str, *, dates: Sequence[Dated] = ()) -> None:  # noqa: ARG002 - the port's signature
        """Take a line."""
        self.lines.append(line)

    def length_s(self, line: str) -> float:  # noqa: ARG002 - no line is spoken
        """Return 0."""
        return 0.0

    def use(self, language: str | None, *, is_slow: bool) -> None:
        """Take no notice."""

    def stop(self) -> None:
        """Do nothing."""


class FieldTerminal:
    """The composed terminal."""

    def __init__(self, settings: Settings, kernel: PlayedKernel, *, seed: int) -> None:
        self._settings = settings
        self.kernel = kernel
        who = settings.terminal
        self._fleet = load_fleet_identity(settings.keys.fleet, fleet_id=who.fleet_id)
        self._signer = KeyfileSigner(settings.keys.signing.path)
        self._clock = SystemClock(settings.clock_path, read=kernel.read)
        self.outbox = SqliteOutbox(
            settings.outbox_path, max_rows=settings.outbox.max_rows, max_bytes=settings.outbox.max_bytes
        )
        self.references = SqliteReferenceStore(settings.references_path, settings.keys.storage.path, self._clock)
        self._policies = FilePolicyStore(settings.policy_path, self._fleet.signing_key)
        self._packs = FileRulePackStore(settings.rule_packs_path, self._fleet.signing_key)
        self._attestations = FileAttestationStore(
            settings.attestation_path,
            self._fleet.signing_key,
            fleet_id=who.fleet_id,
            terminal_id=who.terminal_id,
            key_id=self._signer.key_id,
        )
        ports = Ports(
            panel=SimulatedPanel(),
            prompter=Mute(),
            outbox=self.outbox,
            references=self.references,
            policies=self._policies,
            packs=self._packs,
            signer=self._signer,
            clock=self._clock,
            entropy=SystemEntropy(),
        )
        network = NetworkUse(name=FEATURES, sha256=MODEL, runtime="played")
        identity = Identity(
            fleet_id=who.fleet_id,
            terminal_id=who.terminal_id,
            software="field",
            networks=(network,),
            features_name=FEATURES,
            features_sha256=MODEL,
            features_runtime="played",
            is_simulated=True,
            fleet_sealing_key=self._fleet.sealing_key,
        )
        self.runner = Runner(ports, identity=identity)
        self.screen = SimulatedScreen()
        self.front = make_front(
            settings,
            self.runner,
            ports=ports,
            identity=identity,
            attestations=self._attestations,
            fleet=self._fleet,
            printer=None,
            screen=self.screen,
            stick=None,
            set_voice=lambda _language, _is_slow: None,
        )
        policy = self._policies.current() or default_policy()
        self.person = PlayedPerson(self.runner, kernel.steps, policy=policy, model_sha256=MODEL, seed=seed)
        self.runner.attach(self.person)
        ports.panel.start(self.runner.press)
        self.screen.start(self.front.desk.touch)
        self.front.desk.begin()
        self.runner.begin()
        self.settle()

    def settle(self) -> None:
        """Let everything happen that does not wait for time."""
        while self.runner.turn() or self.front.desk.expire():
            pass
        self.person.step()
        while self.runner.turn():
            pass
        self.front.desk.mind()

    def play(self) -> None:
        """Let time pass until nobody is served any more."""
        deadline = self.kernel.steps.monotonic_ns() + _LONGEST_SESSION_NS
        while True:
            self.settle()
            if self.runner.session.state in {State.IDLE, State.FAULTED}:
                return
            if self.kernel.steps.monotonic_ns() > deadline:
                raise RuntimeError(f"a session does not end: {self.runner.session.state}")
            if not self.person.is_acquiring:
                self._skip()

    def _skip(self) -> None:
        waits = [self.runner.next_deadline_ns(), self.front.desk.next_deadline_ns()]
        due = [deadline for deadline in waits if deadline is not None]
        if due:
            self.kernel.steps.advance_to(min(due))

    def touch(self, kind: TouchKind, value: str = "") -> None:
        """Touch the screen."""
        self.screen.touch(kind, value)
        self.settle()

    def read(self, text: str) -> None:
        """Hold something before the reader."""
        self.front.desk.read(text)
        self.settle()

    def state(self) -> dict[str, Any]:
        """Return what is shown and what is stored."""
        view = view_of(self.front.desk.desk)
        counts = self.outbox.counts()
        found = tally(counts)
        return {
            "stored": found.stored,
            "confirmed": found.confirmed,
            "shows_counts": view.operator is not None or view.screen is Screen.IDLE,
            "shown": None if view.counts is None else [view.counts.stored, view.counts.confirmed],
            "outbox": counts.model_dump(),
            "roster_version": self.references.version(),
            "up_s": self.kernel.steps.monotonic_ns() / 1e9,
        }

    def stick(self, path: Path) -> None:
        """Take home what a stick brings and put onto it what the fleet has not confirmed."""
        who = self._settings.terminal
        sealing_key = load_private_key(self._settings.keys.sealing.path)
        inbox = Inbox(
            fleet_id=who.fleet_id,
            terminal_id=who.terminal_id,
            fleet_key=self._fleet.signing_key,
            sealing_key=sealing_key,
        )
        parts = courier.Parts(
            self.outbox,
            self.references,
            self._policies,
            self._packs,
            self._attestations,
            self.front.staff,
            self.front.attachments,
            self._signer,
            self._clock,
            inbox,
            MemoryDesired(),
            MemoryShelf(),
        )
        courier.Courier(
            self._fleet,
            who.terminal_id,
            parts,
            sealing_key=sealing_key,
            mount_root=None,
            keep=self._settings.outbox.keep,
        ).sync(path)
        self._show_counters()

    def _show_counters(self) -> None:
        # The desk looks at the outbox every second.
        self.kernel.steps.advance(1_000_000_000)
        self.settle()

    def network(self, port: int, seconds: float, *, until: Callable[[], bool]) -> None:
        """Have the uplink run against a broker in real time, until something holds or the time is over."""
        who = self._settings.terminal
        inbox = Inbox(
            fleet_id=who.fleet_id,
            terminal_id=who.terminal_id,
            fleet_key=self._fleet.signing_key,
            sealing_key=load_private_key(self._settings.keys.sealing.path),
        )
        broker = self._settings.broker.model_copy(update={"host": "127.0.0.1", "port": port})
        clock = RealPace(self._clock, self.kernel.steps)
        parts = uplink.Parts(
            outbox=self.outbox,
            references=self.references,
            policies=self._policies,
            packs=self._packs,
            attestations=self._attestations,
            staff=self.front.staff,
            attachments=self.front.attachments,
            signer=self._signer,
            clock=clock,
            entropy=SystemEntropy(),
            inbox=inbox,
            vitals=SimulatedVitals(),
            running=FileRunning(self._settings.running_path),
            commands=MemoryCommands(),
            reports=FileReportStore(self._settings.reports_path),
            desired=MemoryDesired(),
            updates=MemoryUpdating(),
        )
        stop = threading.Event()
        link = uplink.Uplink(
            uplink.Identity(who.fleet_id, who.terminal_id, "field"),
            parts,
            self._settings.uplink,
            keep=self._settings.outbox.keep,
            keep_alive_s=broker.keep_alive_s,
            make_link=lambda on_arrived, on_taken: MqttLink(
                who.terminal_id,
                broker,
                connect_timeout_s=10,
                max_inflight=self._settings.uplink.window + 8,
                on_arrived=on_arrived,
                on_taken=on_taken,
            ),
            alive=lambda: stop.set() if clock.has_passed(seconds) or until() else None,
        )
        link.run(stop)
        self._show_counters()


class RealPace:
    """A clock whose played time passes as real time does."""

    def __init__(self, clock: SystemClock, steps: SteppedClock) -> None:
        self._clock = clock
        self._steps = steps
        self._real_ns = time.monotonic_ns
        self._began_ns = self._last_ns = time.monotonic_ns()

    def has_passed(self, seconds: float) -> bool:
        """Say whether so much time has passed since the beginning."""
        return self._real_ns() - self._began_ns > seconds * 1e9

    def monotonic_ns(self) -> int:
        """Return played time."""
        now = self._real_ns()
        self._steps.advance(max(0, now - self._last_ns))
        self._last_ns = now
        return self._clock.monotonic_ns()

    def now(self) -> DeviceTime:
        """Return the moment."""
        self.monotonic_ns()
        return self._clock.now()

    def note_fleet_time(self, moment: datetime, *, after_ns: int | None = None) -> None:
        """Remember a moment the fleet signed."""
        self._clock.note_fleet_time(moment, after_ns=after_ns)


def main() -> None:
    """Serve orders until standard input ends."""
    config, start = Path(sys.argv[1]), json.loads(sys.argv[2])
    kernel = PlayedKernel(
        boot_id=start["boot_id"],
        wall_clock=datetime.fromisoformat(start["wall_clock"]).astimezone(UTC),
        has_rtc=start["has_rtc"],
    )
    kernel.is_synchronised = start["is_synchronised"]
    terminal = FieldTerminal(load_settings(config), kernel, seed=start["seed"])
    _say({"ready": True, **terminal.state()})
    for line in sys.stdin:
        order = json.loads(line)
        _say(_obey(terminal, order) | terminal.state())


def _obey(terminal: FieldTerminal, order: dict[str, Any]) -> dict[str, Any]:
    match order["do"]:
        case "serve":
            return _serve(terminal, order)
        case "wait":
            terminal.kernel.steps.advance(round(order["seconds"] * 1e9))
            terminal.settle()
        case "set_clock":
            terminal.kernel.set_wall_clock(datetime.fromisoformat(order["moment"]))
        case "network":
            wanted = order.get("roster_version")
            terminal.network(
                order["port"],
                order["seconds"],
                until=lambda: _is_done(terminal, wanted),
            )
        case "stick":
            terminal.stick(Path(order["path"]))
        case _:
            raise ValueError(order["do"])
    return {}


def _is_done(terminal: FieldTerminal, roster_version: int | None) -> bool:
    if roster_version is not None:
        return terminal.references.version() >= roster_version
    counts = terminal.outbox.counts()
    return counts.pending + counts.published + terminal.front.attachments.counts().waiting == 0


def _serve(terminal: FieldTerminal, order: dict[str, Any]) -> dict[str, Any]:
    """Play one errand by touches and codes, as the worker and the person do it."""
    terminal.person.who = Who(order["who"])
    errand = order["errand"]
    began = terminal.kernel.steps.monotonic_ns()
    shown = len(terminal.screen.shown)
    if errand == "alone":
        terminal.read(order["number"])
        terminal.play()
    else:
        if terminal.front.desk.desk.operator is None:
            terminal.read(order["code"])
        terminal.touch(TouchKind.TASK, errand)
        terminal.touch(TouchKind.NUMBER, order["number"])
        for kind, value in order["touches"]:
            terminal.kernel.steps.advance(3_000_000_000)
            terminal.touch(TouchKind(kind), value)
        terminal.play()
        if terminal.screen.view is not None and terminal.screen.view.screen is Screen.DONE:
            terminal.touch(TouchKind.BACK)
    outcomes = [view.result.outcome for view in terminal.screen.shown[shown:] if view.result is not None]
    return {
        "outcome": outcomes[-1] if outcomes else None,
        "seconds": (terminal.kernel.steps.monotonic_ns() - began) / 1e9,
    }


def _say(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
